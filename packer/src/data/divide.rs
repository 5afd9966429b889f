//! Divides a list without splits into training and test. 30 % of the groups are tested on; a hash
//! of their names chooses them, so that groups added later hardly ever move others. A class that
//! would be on one side only gives the other side its nearest group.
//!
//! Refused: a class whose groups cannot be on both sides.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::entry::Entry;
use super::part::Split;
use crate::Error;

/// The fraction of all groups that becomes the test split.
const TEST_FRACTION: f64 = 0.3;

/// Groups of a lower rank are tested on.
fn threshold() -> u64 {
    (TEST_FRACTION * 2f64.powi(64)) as u64
}

/// The first eight bytes of a name's SHA-256.
fn rank(name: &str) -> u64 {
    let mut head = [0; 8];
    head.copy_from_slice(&Sha256::digest(name.as_bytes())[..8]);
    u64::from_be_bytes(head)
}

struct Group {
    rank: u64,
    split: Split,
    /// Sorted, each once.
    classes: Vec<usize>,
}

/// The groups of a list by name, the lowest rank first, and where each class has some.
struct Division<'a> {
    /// The classes' names, sorted.
    classes: Vec<&'a str>,
    groups: Vec<(&'a str, Group)>,
    /// The number of groups of each class on each side.
    count: Vec<[usize; 2]>,
}

/// Gives every entry of the list or folder `file` the split of its group.
///
/// # Errors
/// [`Error::DataFolder`] for a class that cannot be on both sides.
pub(super) fn by_group(file: &Path, entries: &mut [Entry]) -> Result<(), Error> {
    let mut division = Division::by_rank(entries);
    division.balance().map_err(|what| Error::DataFolder { path: file.to_owned(), what })?;
    let splits: BTreeMap<String, Split> =
        division.groups.into_iter().map(|(name, group)| (name.to_owned(), group.split)).collect();
    for entry in entries {
        entry.split = splits[&entry.group];
    }
    Ok(())
}

impl<'a> Division<'a> {
    /// Every group on the side that its rank says.
    fn by_rank(entries: &'a [Entry]) -> Self {
        let mut classes: Vec<&str> = entries.iter().map(|entry| entry.class.as_str()).collect();
        classes.sort_unstable();
        classes.dedup();
        let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
        for entry in entries {
            let rank = rank(&entry.group);
            let split = if rank < threshold() { Split::Test } else { Split::Train };
            let group =
                groups.entry(&entry.group).or_insert(Group { rank, split, classes: Vec::new() });
            let class = classes.partition_point(|name| *name < entry.class.as_str());
            if let Err(place) = group.classes.binary_search(&class) {
                group.classes.insert(place, class);
            }
        }
        let mut groups: Vec<(&str, Group)> = groups.into_iter().collect();
        groups.sort_by_key(|(name, group)| (group.rank, *name));
        let mut count = vec![[0usize; 2]; classes.len()];
        for (_, group) in &groups {
            group.classes.iter().for_each(|&class| count[class][group.split as usize] += 1);
        }
        Division { classes, groups, count }
    }

    /// Moves groups until each class is on both sides, the class of the fewest groups first.
    fn balance(&mut self) -> Result<(), String> {
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        order.sort_by_key(|&class| self.count[class][0] + self.count[class][1]);
        for class in order {
            for side in [Split::Train, Split::Test] {
                if self.count[class][side as usize] == 0 {
                    self.move_one(class, side)?;
                }
            }
        }
        Ok(())
    }

    /// Moves the group of `class` to `side` that is nearest to it, unless another class would be
    /// left without a group.
    fn move_one(&mut self, class: usize, side: Split) -> Result<(), String> {
        let from = if side == Split::Train { Split::Test } else { Split::Train };
        let count = &mut self.count;
        let movable = |(_, group): &&mut (&str, Group)| {
            let spared = |&other: &usize| count[other][from as usize] > 1;
            group.split == from
                && group.classes.contains(&class)
                && group.classes.iter().all(spared)
        };
        // The lowest ranks are nearest to the test side, the highest to the training side.
        let nearest = match side {
            Split::Test => self.groups.iter_mut().find(movable),
            Split::Train => self.groups.iter_mut().rfind(movable),
        };
        let Some((_, group)) = nearest else {
            let groups = count[class][from as usize];
            return Err(format!(
                "class {} cannot be both in training and in test, for its images are of {groups} \
                 {} that cannot be divided; add patients, or say in a column split what is train \
                 and what is test",
                self.classes[class],
                if groups == 1 { "group" } else { "groups" }
            ));
        };
        group.split = side;
        for &other in &group.classes {
            count[other][from as usize] -= 1;
            count[other][side as usize] += 1;
        }
        Ok(())
    }
}
