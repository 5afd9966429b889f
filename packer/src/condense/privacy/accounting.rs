//! What may be spent of patients' privacy, and what a release says of how it was spent.

use serde::{Deserialize, Serialize};

/// What may be spent, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    pub epsilon: f64,
    pub delta: f64,
    /// The fewest groups (patients) that a class may have.
    pub least_groups: usize,
    pub counts: Counts,
}

/// What is said of the number of groups in each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Declared as public: used as they are.
    Public,
    /// Released with noise, within the same budget.
    Noised,
}

/// How a private release was made: everything needed to check the claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounting {
    pub epsilon: f64,
    pub delta: f64,
    /// Whose presence is hidden: the groups of the data set.
    pub unit: String,
    /// What two neighbouring data sets differ in.
    pub neighbours: String,
    pub mechanism: String,
    /// The largest norm of what one group adds to the sums of all classes together.
    pub clip: f64,
    /// The largest L2 distance of what is released between neighbours: the clip, and the counts'
    /// share if they are noised.
    pub sensitivity: f64,
    /// Standard deviation of the noise on each released value.
    pub sigma: f64,
    pub counts: Counts,
    /// By class: as declared, or as released.
    pub groups_per_class: Vec<f64>,
    /// Values released in the one use of the mechanism: every part of the feature row of every
    /// class, and counts if noised.
    pub released_values: usize,
    pub least_groups: usize,
    /// What the numbers cover and what they do not.
    pub statement: String,
}

/// What the numbers of a release cover and what they do not, in words.
pub(super) fn statement(Budget { epsilon, delta, counts, least_groups }: Budget) -> String {
    let counts = match counts {
        Counts::Public => {
            "The number of groups in each class is declared as public and is not protected"
        }
        Counts::Noised => "The number of groups in each class was noised within the same budget",
    };
    format!(
        "This set, and whatever is computed from it alone, is ({epsilon}, {delta})-differentially \
         private for the presence \
         of any one group (patient) in the training images, made by this one release; a second set \
         from the same patients \
         spends a second budget. {counts}; that each class has at least {least_groups} groups is \
         not protected either. \
         The statement covers this set only: not a module trained on the same images, not metrics \
         measured on them."
    )
}
