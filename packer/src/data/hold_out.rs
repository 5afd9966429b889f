//! Takes a validation part from the training groups, whole groups at a time, each class in
//! proportion. Test images are never touched.

use std::collections::{BTreeMap, HashSet};

use super::dataset::Dataset;
use super::part::Split;
use crate::Error;
use crate::random::{Purpose, Stream};

impl Dataset {
    /// Splits the training items into (training, validation) indices, both in order.
    ///
    /// Classes come rarest first. For each one, groups in random order go to validation while that
    /// brings the class nearer to `fraction` of its images. A fraction of 0 holds out nothing.
    ///
    /// # Errors
    /// [`Error::HoldOut`]: a fraction below 0, 1 or above; a class that cannot be on both sides.
    pub fn hold_out(&self, fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>), Error> {
        let train = self.indices(Split::Train);
        if fraction == 0.0 {
            return Ok((train, Vec::new()));
        }
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::HoldOut {
                what: format!(
                    "the fraction is {fraction}; it must be above 0 and below 1, or 0 for no \
                     validation part"
                ),
            });
        }
        let mut groups = self.counts_by_group(&train);
        Stream::at(seed, Purpose::HoldOut, 0, 0).shuffle(&mut groups);
        let total = self.class_counts(Split::Train);
        let mut chosen = Chosen::of(&groups, total.len());
        for class in chosen.rarest_first() {
            chosen.take(&groups, class, fraction * total[class] as f64);
            if chosen.images[class] == 0 {
                let name = &self.classes[class];
                let what = format!(
                    "class {name} would vanish from training or from validation, for it is in too \
                     few training groups; train without a validation part or add groups"
                );
                return Err(Error::HoldOut { what });
            }
        }
        let taken = groups.iter().zip(&chosen.taken).filter(|&(_, &taken)| taken);
        let validated: HashSet<&str> = taken.map(|((group, _), _)| *group).collect();
        Ok(train
            .into_iter()
            .partition(|&item| !validated.contains(self.items[item].group.as_str())))
    }

    /// The groups of the items `train`, sorted by name, each with its images of each class.
    fn counts_by_group(&self, train: &[usize]) -> Vec<(&str, Vec<usize>)> {
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for &item in train {
            let counts = groups
                .entry(&self.items[item].group)
                .or_insert_with(|| vec![0; self.classes.len()]);
            counts[self.items[item].label] += 1;
        }
        groups.into_iter().collect()
    }
}

/// The groups that were chosen for validation so far.
struct Chosen {
    /// Whether each group was.
    taken: Vec<bool>,
    /// Their images of each class.
    images: Vec<usize>,
    /// Groups that still train and hold each class: none may fall to 0.
    remaining: Vec<usize>,
}

impl Chosen {
    /// None of `groups` yet.
    fn of(groups: &[(&str, Vec<usize>)], classes: usize) -> Self {
        let remaining = (0..classes)
            .map(|class| groups.iter().filter(|(_, counts)| counts[class] > 0).count())
            .collect();
        Chosen { taken: vec![false; groups.len()], images: vec![0; classes], remaining }
    }

    /// The classes, that of the fewest groups first.
    fn rarest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.remaining.len()).collect();
        order.sort_by_key(|&class| (self.remaining[class], class));
        order
    }

    /// Takes groups while that brings `class` nearer to `target` images, and at least one.
    fn take(&mut self, groups: &[(&str, Vec<usize>)], class: usize, target: f64) {
        for (slot, (_, counts)) in groups.iter().enumerate() {
            let held = self.images[class];
            let nearer = (held + counts[class]) as f64 - target < target - held as f64;
            let safe = counts.iter().zip(&self.remaining).all(|(&n, &left)| n == 0 || left > 1);
            if self.taken[slot] || counts[class] == 0 || !safe || !(nearer || held == 0) {
                continue;
            }
            self.taken[slot] = true;
            for (class, &n) in counts.iter().enumerate().filter(|&(_, &n)| n > 0) {
                self.images[class] += n;
                self.remaining[class] -= 1;
            }
        }
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
