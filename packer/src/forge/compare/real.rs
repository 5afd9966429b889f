//! Real images of a task, and a model's numbers on them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::{Scores, Test};
use crate::data::Images;
use crate::eval::bootstrap::Bootstrap;
use crate::eval::{Estimate, Metric};

/// The test images of a task.
pub struct Real {
    pub task: String,
    pub classes: Vec<String>,
    pub size: usize,
    pub images: Images,
    /// An error is the class whose images are all of one group.
    pub bootstrap: Result<Bootstrap, usize>,
    /// By network: [n, hidden].
    pub features: RefCell<BTreeMap<String, Vec<f32>>>,
}

/// Balanced accuracy, AUC, and balanced accuracy with the task unknown, without and with routing.
pub type Numbers = [Option<f64>; 4];

/// A model's numbers on one task's images, and in every resample.
pub struct Measured {
    pub whole: Numbers,
    pub draws: Vec<Numbers>,
}

impl Real {
    pub fn described(&self) -> Test {
        let groups: BTreeSet<&usize> = self.images.groups().iter().collect();
        let one_group =
            |class: &usize| format!("class {} has images of one group only", self.classes[*class]);
        let no_intervals = self.bootstrap.as_ref().err().map(one_group);
        Test {
            task: self.task.clone(),
            images: self.images.len(),
            groups: groups.len(),
            no_intervals,
        }
    }
}

impl Measured {
    pub fn scores(&self) -> Option<Scores> {
        let estimate = |name, which: usize| -> Option<Estimate> {
            let draws = self.draws.iter().filter_map(|draw| draw[which]).collect();
            Some(Estimate::new(name, self.whole[which]?, draws))
        };
        Some(Scores {
            balanced_accuracy: estimate(Metric::BalancedAccuracy, 0)?,
            auc: estimate(Metric::Auc, 1),
            task_unknown: estimate(Metric::BalancedAccuracy, 2),
            task_unknown_routing: estimate(Metric::BalancedAccuracy, 3),
        })
    }
}

/// The mean over tasks. Draw i of the first task is paired with draw i + 1 of the second and so on,
/// so that tasks are drawn independently.
pub fn mean(tasks: &[&Measured]) -> Option<Measured> {
    let count = tasks.iter().map(|task| task.draws.len()).min()?;
    let of = |numbers: &[Numbers]| -> Numbers {
        [0, 1, 2, 3].map(|which| {
            let all = numbers.iter().map(|n| n[which]).collect::<Option<Vec<f64>>>()?;
            Some(all.iter().sum::<f64>() / all.len() as f64)
        })
    };
    let draw = |i: usize| {
        tasks.iter().enumerate().map(|(k, task)| task.draws[(i + k) % count]).collect::<Vec<_>>()
    };
    let whole = of(&tasks.iter().map(|task| task.whole).collect::<Vec<_>>());
    Some(Measured { whole, draws: (0..count).map(|i| of(&draw(i))).collect() })
}
