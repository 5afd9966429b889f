//! A task's images and classes: which file, which class, which group, which split, and what else is
//! known. It holds no pixel.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::attributes::Attribute;
use super::part::{Split, SplitPart};
use crate::Error;

/// One image of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Relative to the data set's root; in a file, the part and the number.
    pub path: PathBuf,
    /// Index into [`Dataset::classes`].
    pub label: usize,
    /// The patient, case or slide it comes from.
    pub group: String,
    pub split: Split,
    /// Whether the data set itself puts this training image into a validation part.
    pub validation: bool,
}

/// A task's images and classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The folder or file, as it was given.
    pub root: PathBuf,
    /// Sorted by their bytes.
    pub classes: Vec<String>,
    pub items: Vec<Item>,
    /// What else is known of each item.
    pub attributes: Vec<Attribute>,
}

impl Item {
    /// The part of the split that it is in.
    pub(super) fn part(&self) -> SplitPart {
        SplitPart::new(self.split, self.validation)
    }
}

impl Dataset {
    /// Indices of the items of `split`, in order.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.items.len()).filter(|&i| self.items[i].split == split).collect()
    }

    /// Indices of the training items outside and inside the validation part that the data set
    /// itself states. That part may be empty.
    ///
    /// # Errors
    /// [`Error::HoldOut`] where there is such a part and a class is not on both sides.
    pub fn stated_parts(&self) -> Result<(Vec<usize>, Vec<usize>), Error> {
        let (validation, training): (Vec<usize>, Vec<usize>) =
            self.indices(Split::Train).into_iter().partition(|&i| self.items[i].validation);
        for (class, name) in self.classes.iter().enumerate() {
            let lacks = |part: &[usize]| !part.iter().any(|&i| self.items[i].label == class);
            if !validation.is_empty() && (lacks(&training) || lacks(&validation)) {
                let part = if lacks(&training) { "training" } else { "validation" };
                let what = format!(
                    "class {name} has no image in the {part} part that the data state; add some, \
                     or have a part taken from all training images"
                );
                return Err(Error::HoldOut { what });
            }
        }
        Ok((training, validation))
    }

    /// Images of each class in `split`.
    pub fn class_counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for item in self.items.iter().filter(|i| i.split == split) {
            counts[item.label] += 1;
        }
        counts
    }

    /// Number of different groups in `split`.
    pub fn group_count(&self, split: Split) -> usize {
        let groups = self.items.iter().filter(|i| i.split == split).map(|i| i.group.as_str());
        groups.collect::<BTreeSet<_>>().len()
    }
}
