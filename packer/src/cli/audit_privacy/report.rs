//! What an audit found, as JSON and in words.

use serde::Serialize;

use crate::audit::{Distances, Membership, Rate};
use crate::condense::privacy::Accounting;

/// What was found.
#[derive(Serialize)]
pub struct Report {
    /// Nearest distances of the set, in pixels and in features.
    pub distances: Option<[Distances; 2]>,
    pub set: Option<Membership>,
    pub module: Option<Membership>,
    /// What the set's own accounting promises.
    pub promise: Option<Promise>,
}

/// The budget of a set that was released with one.
#[derive(Serialize)]
pub struct Promise {
    pub epsilon: f64,
    pub delta: f64,
    /// What no attack whatever exceeds at the two rates, for the membership of one group.
    pub largest_tpr_at_1_percent: f64,
    pub largest_tpr_at_01_percent: f64,
}

impl Promise {
    /// That of a set released with this accounting.
    pub fn of(accounting: &Accounting) -> Self {
        let Accounting { epsilon, delta, .. } = *accounting;
        let bound = |rate: f64| (epsilon.exp() * rate + delta).min(1.0);
        Promise {
            epsilon,
            delta,
            largest_tpr_at_1_percent: bound(0.01),
            largest_tpr_at_01_percent: bound(0.001),
        }
    }
}

impl Report {
    /// The report in words.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for d in self.distances.iter().flatten() {
            let Distances { space, real, to_training, to_control, control_to_training, .. } = d;
            text += &format!(
                "Distances in {space}, medians: a synthetic image to the nearest of {real} \
                 training images {to_training:.4}, of {real} \
                 images that had no part in it {to_control:.4}; these among each other \
                 {control_to_training:.4}.\n  Nearest of all: \
                 {:.4} and {:.4}. Nearer to a training image: {} of the synthetic images; .5 \
                 favours neither.\n",
                d.least_to_training,
                d.least_to_control,
                show(d.nearer_to_training)
            );
        }
        for (what, found) in [("set", &self.set), ("module", &self.module)] {
            let Some(m) = found else { continue };
            text += &format!(
                "Membership, {} shadow {what}s of random halves of the patients: of the members, \
                 {} are found where 1 % of the others \
                 are taken for members, {} where 0.1 % are; AUC {}.\n  Guessing finds .010, .001, \
                 and has AUC .5.\n",
                m.shadows,
                show(m.tpr_at_1_percent),
                show(m.tpr_at_01_percent),
                show(m.auc)
            );
        }
        if let Some(p) = &self.promise {
            text += &format!(
                "The set was released with epsilon {} and delta {}: at these rates no attack \
                 whatever finds more than {:.3} and {:.3} \
                 of the patients that were in.\n",
                p.epsilon, p.delta, p.largest_tpr_at_1_percent, p.largest_tpr_at_01_percent
            );
        }
        text + "These are lower bounds: what these attacks do not find, others may. Intervals are \
                95 %, over patients.\n"
    }
}

/// A rate with its interval.
fn show(Rate { value, low, high }: Rate) -> String {
    format!("{value:.3} ({low:.3} to {high:.3})")
}
