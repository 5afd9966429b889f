//! Takes a validation part from the training groups, whole groups at a time, each class in
//! proportion. Test is never touched.

use std::collections::BTreeMap;

use super::dataset::{Dataset, Split};
use crate::Error;
use crate::random::{Purpose, Stream};

impl Dataset {
    /// Splits the training items into (training, validation) indices, both in order. For each
    /// class, rarest first, groups in random order go to validation while that brings the class
    /// nearer to `fraction` of its images. A fraction of 0 holds out nothing; one outside [0, 1),
    /// or a class that cannot be on both sides, is an error.
    pub fn hold_out(&self, fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>), Error> {
        let train = self.indices(Split::Train);
        if fraction == 0.0 {
            return Ok((train, Vec::new()));
        }
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::HoldOut {
                what: format!("the fraction is {fraction}; it must be at least 0 and below 1"),
            });
        }
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for &item in &train {
            let counts = groups
                .entry(&self.items[item].group)
                .or_insert_with(|| vec![0; self.classes.len()]);
            counts[self.items[item].label] += 1;
        }
        let mut groups: Vec<(&str, Vec<usize>)> = groups.into_iter().collect();
        Stream::at(seed, Purpose::HoldOut, 0, 0).shuffle(&mut groups);

        let total = self.class_counts(Split::Train);
        // Groups that still train and hold the class: none may fall to 0.
        let mut remaining: Vec<usize> = (0..total.len())
            .map(|class| groups.iter().filter(|(_, counts)| counts[class] > 0).count())
            .collect();
        let mut order: Vec<usize> = (0..total.len()).collect();
        order.sort_by_key(|&class| (remaining[class], class));

        let mut held = vec![0usize; total.len()];
        let mut taken = vec![false; groups.len()];
        for class in order {
            let target = fraction * total[class] as f64;
            for (slot, (_, counts)) in groups.iter().enumerate() {
                let nearer =
                    (held[class] + counts[class]) as f64 - target < target - held[class] as f64;
                let safe = counts.iter().zip(&remaining).all(|(&n, &left)| n == 0 || left > 1);
                if taken[slot] || counts[class] == 0 || !safe || !(nearer || held[class] == 0) {
                    continue;
                }
                taken[slot] = true;
                for (c, &n) in counts.iter().enumerate().filter(|&(_, &n)| n > 0) {
                    held[c] += n;
                    remaining[c] -= 1;
                }
            }
            if held[class] == 0 {
                let name = &self.classes[class];
                let what = format!(
                    "class {name} would vanish from training or from validation, for it is in too \
                     few training groups; \
                     train without a validation part or add groups"
                );
                return Err(Error::HoldOut { what });
            }
        }
        let validated: std::collections::HashSet<&str> = groups
            .iter()
            .zip(&taken)
            .filter(|&(_, &taken)| taken)
            .map(|((group, _), _)| *group)
            .collect();
        Ok(train
            .into_iter()
            .partition(|&item| !validated.contains(self.items[item].group.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::super::dataset::Item;
    use super::*;

    /// `groups[class]` training groups of five images each, and one test image of each class.
    fn dataset(groups: &[usize]) -> Dataset {
        let mut items = Vec::new();
        for (label, &count) in groups.iter().enumerate() {
            for group in 0..count {
                for image in 0..5 {
                    let path = PathBuf::from(format!("{label}-{group}-{image}.png"));
                    items.push(Item {
                        path,
                        label,
                        group: format!("{label}-{group}"),
                        split: Split::Train,
                        validation: false,
                    });
                }
            }
            let path = PathBuf::from(format!("{label}-test.png"));
            items.push(Item {
                path,
                label,
                group: format!("{label}-test"),
                split: Split::Test,
                validation: false,
            });
        }
        let classes = (0..groups.len()).map(|c| format!("class {c}")).collect();
        Dataset { root: PathBuf::from("x"), classes, items, attributes: Vec::new() }
    }

    #[test]
    fn whole_groups_are_held_out_in_proportion() {
        let data = dataset(&[20, 8, 40]);
        let (train, validation) = data.hold_out(0.25, 3).unwrap();
        let groups = |indices: &[usize]| -> BTreeSet<&str> {
            indices.iter().map(|&i| data.items[i].group.as_str()).collect()
        };
        assert!(groups(&train).is_disjoint(&groups(&validation)));
        assert!(train.iter().chain(&validation).all(|&i| data.items[i].split == Split::Train));
        assert_eq!(train.len() + validation.len(), 68 * 5);
        for (class, expected) in [(0, 25), (1, 10), (2, 50)] {
            assert_eq!(
                validation.iter().filter(|&&i| data.items[i].label == class).count(),
                expected
            );
        }
        assert_eq!(data.hold_out(0.25, 3).unwrap(), (train.clone(), validation));
        assert_ne!(data.hold_out(0.25, 4).unwrap().0, train);
    }

    #[test]
    fn tiny_and_huge_fractions_leave_every_class_on_both_sides() {
        let data = dataset(&[2, 3]);
        for fraction in [1e-6, 0.5, 0.999] {
            let (train, validation) = data.hold_out(fraction, 0).unwrap();
            for side in [train, validation] {
                let labels: BTreeSet<usize> = side.iter().map(|&i| data.items[i].label).collect();
                assert_eq!(labels.len(), 2, "fraction {fraction}");
            }
        }
    }

    #[test]
    fn groups_that_hold_several_classes_stay_whole() {
        let mut data = dataset(&[10, 10]);
        for item in &mut data.items {
            item.group = item.group.replace("1-", "0-");
        }
        let (train, validation) = data.hold_out(0.3, 1).unwrap();
        assert!(
            train
                .iter()
                .all(|&t| validation.iter().all(|&v| data.items[t].group != data.items[v].group))
        );
        assert_eq!(validation.len(), 30);
    }

    #[test]
    fn a_class_with_one_group_is_refused() {
        let error = dataset(&[1, 5]).hold_out(0.2, 0).unwrap_err().to_string();
        assert!(error.contains("class 0") && error.contains("too few training groups"), "{error}");
    }

    #[test]
    fn a_fraction_outside_its_range_is_refused() {
        for fraction in [-0.1, 1.0, f64::NAN] {
            assert!(matches!(dataset(&[3, 3]).hold_out(fraction, 0), Err(Error::HoldOut { .. })));
        }
        assert!(dataset(&[1, 1]).hold_out(0.0, 0).unwrap().1.is_empty());
    }
}
