//! A merged model: the networks that it runs, a head for each task, and its answers, with the task
//! given or not.
//!
//! The caller computes the features of an image under each of [`Model::networks`]. The cheap parts
//! (heads, weights, routing) are computed here.

use std::collections::BTreeMap;

use super::Sites;
use super::mixture::mixture;
use super::routed::Prototypes;
use crate::lora::Head;
use crate::predict::{argmax, probabilities};

/// A model of several tasks on one base.
#[derive(Clone, Debug)]
pub struct Model {
    pub heads: BTreeMap<String, Head>,
    pub composition: Composition,
    /// Finds an image's task if nobody names it. A routed composition also weights its modules by
    /// it.
    pub routing: Option<Prototypes>,
}

/// The networks of a model, and how their answers are combined.
#[derive(Clone, Debug)]
pub enum Composition {
    /// One network.
    Fusion(Sites),
    /// One network for each module. By task, the weight of each.
    Mixture { modules: Vec<Sites>, weights: BTreeMap<String, Vec<f64>> },
    /// One network for each task, in the order of the heads. The model's routing weights them for
    /// each image, so it must be there.
    Routed { modules: Vec<Sites> },
}

/// A model's answer for an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub task: String,
    /// The probabilities of that task's classes.
    pub probabilities: Vec<f64>,
}

impl Model {
    /// The networks whose features an answer needs, in order. A network without sites is the frozen
    /// base; with routing it comes first.
    pub fn networks(&self) -> Vec<Sites> {
        let adapted = match &self.composition {
            Composition::Fusion(sites) => vec![sites.clone()],
            Composition::Mixture { modules, .. } | Composition::Routed { modules } => {
                modules.clone()
            }
        };
        self.routing.iter().map(|_| Sites::new()).chain(adapted).collect()
    }

    /// The answer for one image. `features` holds its feature under each of [`Model::networks`]. If
    /// no task is given, routing finds the most probable one. A model without routing takes the
    /// most probable class of all tasks.
    pub fn answer(&self, features: &[&[f32]], task: Option<&str>) -> Answer {
        let say =
            |task: &str| Answer { task: task.to_owned(), probabilities: self.of(features, task) };
        if let Some(task) = task {
            return say(task);
        }
        if let Some(routing) = &self.routing {
            let task = argmax(&routing.task_probabilities(features[0]));
            return say(self.heads.keys().nth(task).expect("every task has prototypes"));
        }
        let sure = |answer: &Answer| answer.probabilities.iter().copied().fold(0.0, f64::max);
        let all = self.heads.keys().map(|task| say(task));
        all.reduce(|best, next| if sure(&next) > sure(&best) { next } else { best })
            .expect("a model has a task")
    }

    fn of(&self, features: &[&[f32]], task: &str) -> Vec<f64> {
        let head = &self.heads[task];
        let classes = head.classes.len();
        let each = |features: &[&[f32]]| {
            features.iter().map(|f| probabilities(head, f)).collect::<Vec<_>>()
        };
        let adapted = &features[usize::from(self.routing.is_some())..];
        match (&self.composition, &self.routing) {
            (Composition::Fusion(_), _) => probabilities(head, adapted[0]),
            (Composition::Mixture { weights, .. }, _) => {
                mixture(&each(adapted), &weights[task], classes)
            }
            (Composition::Routed { .. }, routing) => {
                let routing = routing.as_ref().expect("a routed composition has routing");
                mixture(&each(adapted), &routing.task_probabilities(features[0]), classes)
            }
        }
    }
}

#[cfg(test)]
mod tests;
