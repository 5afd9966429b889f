//! Divides a list without splits into training and test: 30 % of the groups, chosen by a hash of
//! their names, so that groups added later hardly ever move others. A class that would be on one
//! side only gives the other its nearest group.
//!
//! Refused: a class whose groups cannot be on both sides.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::dataset::{Entry, Split};
use crate::Error;

/// The part of all groups that becomes the test split.
const TEST_FRACTION: f64 = 0.3;

/// What is below it is tested on.
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

/// Gives every entry of the list or folder `file` the split of its group.
pub(super) fn by_group(file: &Path, entries: &mut [Entry]) -> Result<(), Error> {
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.class.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for entry in &*entries {
        let rank = rank(&entry.group);
        let split = if rank < threshold() { Split::Test } else { Split::Train };
        let group =
            groups.entry(&entry.group).or_insert(Group { rank, split, classes: Vec::new() });
        let class = names.partition_point(|name| *name < entry.class.as_str());
        if let Err(place) = group.classes.binary_search(&class) {
            group.classes.insert(place, class);
        }
    }
    let mut groups: Vec<(&str, Group)> = groups.into_iter().collect();
    groups.sort_by_key(|(name, group)| (group.rank, *name));

    // Groups of each class on each side.
    let mut count = vec![[0usize; 2]; names.len()];
    for (_, group) in &groups {
        group.classes.iter().for_each(|&class| count[class][group.split as usize] += 1);
    }
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&class| count[class][0] + count[class][1]);
    for class in order {
        for lacks in [Split::Train, Split::Test] {
            if count[class][lacks as usize] > 0 {
                continue;
            }
            let from = if lacks == Split::Train { Split::Test } else { Split::Train };
            let movable = |(_, group): &&mut (&str, Group)| {
                let spared = |&other: &usize| count[other][from as usize] > 1;
                group.split == from
                    && group.classes.contains(&class)
                    && group.classes.iter().all(spared)
            };
            // The lowest ranks are nearest to being tested on, the highest to being trained on.
            let nearest = match lacks {
                Split::Test => groups.iter_mut().find(movable),
                Split::Train => groups.iter_mut().rfind(movable),
            };
            let Some((_, group)) = nearest else {
                let groups = count[class][from as usize];
                let what = format!(
                    "class {} cannot be both in training and in test, for its images are of \
                     {groups} {} that cannot be divided; add patients, \
                     or say in a column split what is train and what is test",
                    names[class],
                    if groups == 1 { "group" } else { "groups" }
                );
                return Err(Error::DataFolder { path: file.to_owned(), what });
            };
            group.split = lacks;
            for &other in &group.classes {
                count[other][from as usize] -= 1;
                count[other][lacks as usize] += 1;
            }
        }
    }
    let splits: BTreeMap<String, Split> =
        groups.into_iter().map(|(name, group)| (name.to_owned(), group.split)).collect();
    for entry in entries {
        entry.split = splits[&entry.group];
    }
    Ok(())
}
