//! A merged model: the networks that it runs, a head for each task, and what it answers, with the
//! task given or not.
//!
//! An answer needs the features of an image under each of [`Model::networks`]; what is cheap
//! (heads, weights, routing) is done here.

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
    /// What tells an image's task where nobody says it; a routed composition weighs its modules by
    /// it too.
    pub routing: Option<Prototypes>,
}

/// Who takes part with which weight.
#[derive(Clone, Debug)]
pub enum Composition {
    /// One network.
    Fusion(Sites),
    /// One network a module; by task, the weight of each.
    Mixture { modules: Vec<Sites>, weights: BTreeMap<String, Vec<f64>> },
    /// One network a task (in the order of the heads), weighted for each image by the model's
    /// routing, which must be there.
    Routed { modules: Vec<Sites> },
}

/// What a model says of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub task: String,
    /// Of that task's classes.
    pub probabilities: Vec<f64>,
}

impl Model {
    /// The networks whose features an answer needs, in order; a network without sites is the frozen
    /// base. With routing it is the first.
    pub fn networks(&self) -> Vec<Sites> {
        let adapted = match &self.composition {
            Composition::Fusion(sites) => vec![sites.clone()],
            Composition::Mixture { modules, .. } | Composition::Routed { modules } => {
                modules.clone()
            }
        };
        self.routing.iter().map(|_| Sites::new()).chain(adapted).collect()
    }

    /// The answer for one image: `features` holds its feature under each of [`Model::networks`].
    /// Without a task, routing takes the likeliest; a model without routing takes the class that is
    /// most probable of all tasks' classes.
    pub fn answer(&self, features: &[&[f32]], task: Option<&str>) -> Answer {
        let say =
            |task: &str| Answer { task: task.to_owned(), probabilities: self.of(features, task) };
        if let Some(task) = task {
            return say(task);
        }
        if let Some(routing) = &self.routing {
            let task = argmax(&routing.shares(features[0]));
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
                mixture(&each(adapted), &routing.shares(features[0]), classes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::routed::Seen;
    use super::*;
    use medforge_runtime::tensors::Tensor;

    /// Class 1 where the feature's number `at` is above `middle`.
    fn head(at: usize, middle: f32) -> Head {
        let mut weight = vec![0.0; 4];
        weight[2 + at] = 10.0;
        Head {
            classes: vec!["no".into(), "yes".into()],
            weight: Tensor::f32(vec![2, 2], weight),
            bias: Tensor::f32(vec![2], vec![0.0, -10.0 * middle]),
            logit_scale: None,
            temperature: 1.0,
            familiar: None,
        }
    }

    fn model(composition: Composition) -> Model {
        let heads =
            BTreeMap::from([("a".to_owned(), head(0, 0.0)), ("b".to_owned(), head(1, 5.0))]);
        Model { heads, composition, routing: None }
    }

    #[test]
    fn a_fusion_asks_the_head_of_the_task() {
        let model = model(Composition::Fusion(Sites::new()));
        assert_eq!(model.networks().len(), 1);
        let of = |task| argmax(&model.answer(&[&[1.0, 4.0]], Some(task)).probabilities);
        assert_eq!((of("a"), of("b")), (1, 0));
        // Both are sure; with the feature on a's border, b is surer.
        assert_eq!(model.answer(&[&[0.01, 9.0]], None).task, "b");
    }

    #[test]
    fn a_mixture_weighs_the_modules_of_the_task() {
        let weights =
            BTreeMap::from([("a".to_owned(), vec![1.0, 0.0]), ("b".to_owned(), vec![0.0, 1.0])]);
        let model = model(Composition::Mixture { modules: vec![Sites::new(); 2], weights });
        let features: [&[f32]; 2] = [&[1.0, 4.0], &[-1.0, 6.0]];
        let of = |task| argmax(&model.answer(&features, Some(task)).probabilities);
        assert_eq!((of("a"), of("b")), (1, 1));
    }

    #[test]
    fn routing_finds_task_and_module() {
        let seen = |task, features: &'static [f32]| Seen {
            task,
            classes: 2,
            features,
            labels: &[0, 0, 1, 1],
        };
        let prototypes = Prototypes::new(&[
            seen("a", &[-10.0, 0.0, -9.0, 0.0, -8.0, 0.0, -7.0, 0.0]),
            seen("b", &[10.0, 0.0, 9.0, 0.0, 8.0, 0.0, 7.0, 0.0]),
        ]);
        let mut model = model(Composition::Routed { modules: vec![Sites::new(); 2] });
        model.routing = Some(prototypes.unwrap());
        assert_eq!(model.networks().len(), 3);
        // By the base's feature the image is b's; b's own module sees a 6 where a's sees a 4.
        let features: [&[f32]; 3] = [&[9.0, 0.0], &[1.0, 4.0], &[1.0, 6.0]];
        let answer = model.answer(&features, None);
        assert_eq!((answer.task.as_str(), argmax(&answer.probabilities)), ("b", 1));
        assert!(answer.probabilities[1] > 0.99);
        // Routing tells the task of any composition, which then answers by itself.
        model.composition = Composition::Fusion(Sites::new());
        let answer = model.answer(&features[..2], None);
        assert_eq!((answer.task.as_str(), argmax(&answer.probabilities)), ("b", 0));
        model.routing = None;
        assert_eq!(model.answer(&[&[1.0, 4.0]], None).task, "a");
    }
}
