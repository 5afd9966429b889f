//! One task: its module, its condensed set, and its test images under any network.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use medforge_packer::base::Vit;
use medforge_packer::data::{Condensed, Dataset, Images, Split};
use medforge_packer::device::Device;
use medforge_packer::eval::Metric;
use medforge_packer::eval::metrics::Predictions;
use medforge_packer::lora::{Head, Module};
use medforge_packer::merge::compose::digest;
use medforge_packer::merge::model::Model;
use medforge_packer::merge::{Grams, Sites, Task as Judge};
use medforge_packer::predict::{Predictor, argmax};

use crate::SIZE;
use crate::results::Measurement;

type Failure = Box<dyn std::error::Error>;

pub struct Task {
    pub name: String,
    pub module: Module,
    pub set: Condensed,
    test: Images,
    train: Images,
    /// By network: features of the test images.
    features: RefCell<BTreeMap<String, Vec<Vec<f32>>>>,
}

impl Task {
    pub fn open(
        vit: &Vit,
        data: &Path,
        module: &Path,
        set: &Path,
        name: &str,
    ) -> Result<Self, Failure> {
        let data = Dataset::open(&data.join(name))?;
        let preprocessing = vit.preprocessing_for(SIZE as u32)?;
        let load = |split| Images::load(&data, &data.indices(split), &preprocessing);
        let (module, set) = (Module::open(module, vit)?, Condensed::open(set)?);
        let (test, train) = (load(Split::Test)?, load(Split::Train)?);
        Ok(Task { name: name.to_owned(), module, set, test, train, features: RefCell::default() })
    }

    /// The condensed set and the module's own head, for searches.
    pub fn judge(&self) -> Judge<'_> {
        Judge { name: &self.name, head: &self.module.head, set: &self.set }
    }

    /// A head on the frozen base's features of all real training images: what no merge can use, but
    /// each contributor could make.
    pub fn probe<D: Device + 'static>(&self, device: &D, vit: &Vit) -> Result<Head, Failure> {
        let all: Vec<usize> = (0..self.train.len()).collect();
        let rows =
            Predictor::new(device, vit, None, SIZE).features_of(&self.train, &all, |_| {})?;
        let classes = &self.module.head.classes;
        let one_hot =
            |&label: &usize| (0..classes.len()).map(|c| f32::from(c == label)).collect::<Vec<_>>();
        let labels: Vec<f32> = self.train.labels().iter().flat_map(one_hot).collect();
        Ok(medforge_packer::predict::linear_head(&rows.concat(), &labels, classes)?)
    }

    /// RegMean's matrices on the training images.
    pub fn grams<D: Device + 'static>(&self, device: &D, vit: &Vit) -> Result<Grams, Failure> {
        Ok(Grams::measure(device, vit, &self.module, &self.train, || ())?)
    }

    /// What `model` says of the test images, with the task given and not.
    pub fn ask<D: Device + 'static>(
        &self,
        device: &D,
        vit: &Vit,
        model: &Model,
        [method, order, condensed, heads]: [&str; 4],
        seed: u64,
    ) -> Result<Vec<Measurement>, Failure> {
        let networks = model.networks();
        for sites in &networks {
            self.see(device, vit, sites)?;
        }
        let known = self.features.borrow();
        let by: Vec<&Vec<Vec<f32>>> = networks.iter().map(|sites| &known[&digest(sites)]).collect();
        let labels = self.test.labels();
        let mut all = Vec::new();
        for given in [true, false] {
            let task = given.then_some(self.name.as_str());
            let answer = |i: usize| {
                model.answer(&by.iter().map(|rows| rows[i].as_slice()).collect::<Vec<_>>(), task)
            };
            let answers: Vec<_> = (0..self.test.len()).map(answer).collect();
            let classes = self.module.head.classes.len();
            let digit = |a: &medforge_packer::merge::model::Answer| {
                if a.task == self.name {
                    argmax(&a.probabilities).to_string()
                } else {
                    "-".to_owned()
                }
            };
            let predicted: Vec<String> = answers.iter().map(digit).collect();
            let recall = |class: usize| {
                let own: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
                own.iter().filter(|&&i| predicted[i] == class.to_string()).count() as f64
                    / own.len() as f64
            };
            let auc = if given {
                let said: Vec<f32> =
                    answers.iter().flat_map(|a| &a.probabilities).map(|p| *p as f32).collect();
                Predictions::new(&said, labels, classes)?.metrics(&vec![1; labels.len()])
                    [Metric::Auc as usize]
            } else {
                None
            };
            all.push(Measurement {
                method: method.into(),
                order: order.into(),
                condensed: condensed.into(),
                heads: heads.into(),
                task: self.name.clone(),
                given,
                seed,
                balanced_accuracy: (0..classes).map(recall).sum::<f64>() / classes as f64,
                auc,
                predicted: predicted.concat(),
            });
        }
        Ok(all)
    }

    /// Computes the features of the test images under a network, once.
    fn see<D: Device + 'static>(
        &self,
        device: &D,
        vit: &Vit,
        sites: &Sites,
    ) -> Result<(), Failure> {
        let key = digest(sites);
        if !self.features.borrow().contains_key(&key) {
            let all: Vec<usize> = (0..self.test.len()).collect();
            let rows = Predictor::changed(device, vit, sites, SIZE).features_of(
                &self.test,
                &all,
                |_| {},
            )?;
            self.features.borrow_mut().insert(key, rows);
        }
        Ok(())
    }
}
