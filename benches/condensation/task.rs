//! One task: its images, its networks, and learners trained on a set and asked about every test
//! image.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use medforge_packer::base::Vit;
use medforge_packer::data::{Augment, Dataset, Images, Split};
use medforge_packer::device::Device;
use medforge_packer::eval::Metric;
use medforge_packer::eval::metrics::Predictions;
use medforge_packer::lora::Module;
use medforge_packer::predict::{Predictor, argmax, linear_head, probabilities};
use medforge_packer::train::{About, Examples, Job, Method, TrainSettings, Unobserved};

use crate::SIZE;
use crate::networks::merged;
use crate::results::{Measurement, Results};
use crate::sets::Set;

type Failure = Box<dyn std::error::Error>;

/// Tasks whose modules are merged: for each task the three others.
const TASKS: [&str; 4] = ["breast", "lung", "colon", "chest"];
/// Images that a LoRA module is shown, over all epochs, and the fewest and most epochs.
const SHOWN: usize = 400;
const EPOCHS: [usize; 2] = [3, 40];

pub struct Task {
    pub name: String,
    pub base: Vit,
    pub module: Module,
    pub classes: Vec<String>,
    pub train: Images,
    pub test: Images,
    networks: Vec<(&'static str, Vit)>,
    /// By network: features of the training and of the test images.
    features: Vec<[Vec<Vec<f32>>; 2]>,
    /// By network and set: features of synthetic images.
    seen: RefCell<BTreeMap<String, Vec<f32>>>,
}

impl Task {
    pub fn open<D: Device + 'static>(
        device: &D,
        base: &Path,
        data: &Path,
        modules: &Path,
        name: &str,
        validate: bool,
    ) -> Result<Self, Failure> {
        let vit = Vit::open(base)?;
        let data = Dataset::open(&data.join(name))?;
        let preprocessing = vit.preprocessing_for(SIZE as u32)?;
        let (training, test) = training_and_judged(&data, validate)?;
        let load = |indices: &[usize]| Images::load(&data, indices, &preprocessing);
        let (training, test) = (load(&training)?, load(&test)?);
        let module = Module::open(&modules.join(name), &vit)?;
        let others: Vec<&str> = TASKS.into_iter().filter(|t| *t != name).collect();
        let others = others
            .iter()
            .map(|t| Module::open(&modules.join(t), &vit))
            .collect::<Result<Vec<_>, _>>()?;
        let thirds: Vec<(f64, &Module)> =
            others.iter().map(|m| (1.0 / others.len() as f64, m)).collect();
        let networks = vec![
            ("base", merged(&vit, &[])),
            ("own", merged(&vit, &[(1.0, &module)])),
            ("merge", merged(&vit, &thirds)),
        ];
        let mut features = Vec::new();
        for (_, network) in &networks {
            let predictor = Predictor::new(device, network, None, SIZE);
            let of = |images: &Images| {
                predictor.features_of(images, &(0..images.len()).collect::<Vec<_>>(), |_| {})
            };
            features.push([of(&training)?, of(&test)?]);
        }
        let name = name.to_owned();
        let (classes, seen) = (data.classes, RefCell::default());
        Ok(Task {
            name,
            base: vit,
            module,
            classes,
            train: training,
            test,
            networks,
            features,
            seen,
        })
    }

    /// The base's feature of a training image.
    pub fn feature(&self, image: usize) -> &[f32] {
        &self.features[0][0][image]
    }

    /// Training images picked class by class.
    pub fn choose(&self, pick: impl Fn(&[usize]) -> Vec<usize>) -> Vec<usize> {
        let of = |class: usize| -> Vec<usize> {
            (0..self.train.len()).filter(|&i| self.train.labels()[i] == class).collect()
        };
        (0..self.classes.len()).flat_map(|class| pick(&of(class))).collect()
    }

    /// Trains `learner` on `set` under each network and notes what it says of the test images.
    pub fn measure<D: Device + 'static>(
        &self,
        device: &D,
        set: &Set,
        [called, learner]: [&str; 2],
        per_class: usize,
        seed: u64,
        results: &Results,
    ) -> Result<(), Failure> {
        for (n, (network, vit)) in self.networks.iter().enumerate() {
            if results.has([called, learner], &self.name, network, per_class, seed) {
                continue;
            }
            let said = match learner {
                "linear" => self.linear(device, set, n, &format!("{called} {per_class} {seed}"))?,
                "lora" => self.lora(device, set, vit, seed)?,
                other => return Err(format!("there is no learner {other}").into()),
            };
            let test = self.test.labels();
            let metrics =
                Predictions::new(&said, test, self.classes.len())?.metrics(&vec![1; test.len()]);
            let digit = |p: &[f32]| {
                argmax(&p.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()).to_string()
            };
            results.add(Measurement {
                set: called.to_owned(),
                learner: learner.to_owned(),
                task: self.name.clone(),
                network: (*network).to_owned(),
                per_class,
                seed,
                balanced_accuracy: metrics[Metric::BalancedAccuracy as usize].unwrap_or(f64::NAN),
                auc: metrics[Metric::Auc as usize].unwrap_or(f64::NAN),
                predicted: said.chunks_exact(self.classes.len()).map(digit).collect(),
            })?;
        }
        Ok(())
    }

    /// A linear head on the network's features.
    fn linear<D: Device + 'static>(
        &self,
        device: &D,
        set: &Set,
        n: usize,
        key: &str,
    ) -> Result<Vec<f32>, Failure> {
        let [real, test] = &self.features[n];
        let classes = self.classes.len();
        let (rows, labels) = match set {
            Set::Real(chosen) => {
                let one_hot = |i: &usize| {
                    (0..classes)
                        .map(|c| f32::from(self.train.labels()[*i] == c))
                        .collect::<Vec<_>>()
                };
                let rows: Vec<f32> = chosen.iter().flat_map(|&i| &real[i]).copied().collect();
                (rows, chosen.iter().flat_map(one_hot).collect())
            }
            Set::Synthetic(set) => {
                let key = format!("{n} {key}");
                if !self.seen.borrow().contains_key(&key) {
                    let predictor = Predictor::new(device, &self.networks[n].1, None, SIZE);
                    let pixels = set.normalised();
                    let each = 3 * SIZE * SIZE;
                    let parts = pixels
                        .chunks(32 * each)
                        .map(|p| predictor.features(p))
                        .collect::<Result<Vec<_>, _>>()?;
                    self.seen.borrow_mut().insert(key.clone(), parts.concat());
                }
                (self.seen.borrow()[&key].clone(), set.labels.clone())
            }
        };
        let head = linear_head(&rows, &labels, &self.classes)?;
        Ok(test.iter().flat_map(|row| probabilities(&head, row)).map(|p| p as f32).collect())
    }

    /// A LoRA module of the network.
    fn lora<D: Device + 'static>(
        &self,
        device: &D,
        set: &Set,
        network: &Vit,
        seed: u64,
    ) -> Result<Vec<f32>, Failure> {
        let synthetic = match set {
            Set::Synthetic(set) => Some(Images::of(set)),
            Set::Real(_) => None,
        };
        let (images, training) = match (&synthetic, set) {
            (Some(images), _) => (images, (0..images.len()).collect()),
            (None, Set::Real(chosen)) => (&self.train, chosen.clone()),
            (None, Set::Synthetic(_)) => unreachable!("a synthetic set has images"),
        };
        let settings = TrainSettings {
            size: SIZE,
            epochs: (SHOWN / training.len()).clamp(EPOCHS[0], EPOCHS[1]),
            batch: 32,
            learning_rate: 1e-3,
            weight_decay: 0.01,
            warm_up: 0.1,
            augment: Augment { flip_vertical: true, ..Augment::default() },
            seed,
            method: Method::Lora {
                rank: 16,
                alpha: 16.0,
                targets: "q,v".into(),
                last_layers: None,
                dora: false,
                dropout: 0.0,
            },
        };
        let examples = Examples {
            classes: &self.classes,
            images,
            training: &training,
            validation: &[],
            head: None,
        };
        let trained = Job::new(device, network, examples, &settings).run(&mut Unobserved)?;
        let about =
            About { task: self.name.clone(), contributor: String::new(), licence: String::new() };
        let module = trained.into_module(network, &settings, about)?;
        let all: Vec<usize> = (0..self.test.len()).collect();
        let rows = Predictor::new(device, network, Some(&module), SIZE).features_of(
            &self.test,
            &all,
            |_| {},
        )?;
        Ok(rows.iter().flat_map(|row| probabilities(&module.head, row)).map(|p| p as f32).collect())
    }
}

/// The images that sets are made of, and those that they are judged on: the splits, or, to choose
/// settings, 30 % of the training patients held out.
pub fn training_and_judged(
    data: &Dataset,
    validate: bool,
) -> Result<(Vec<usize>, Vec<usize>), medforge_packer::Error> {
    if validate {
        data.hold_out(0.3, 1)
    } else {
        Ok((data.indices(Split::Train), data.indices(Split::Test)))
    }
}
