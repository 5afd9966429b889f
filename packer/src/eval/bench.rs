//! Modules against one data set. The images of a split are in memory, and both floors are fitted on
//! the training part once, for any number of modules.

use indicatif::ProgressBar;

use super::details::Details;
use super::evaluation::{Evaluation, Subject};
use super::floors;
use crate::Error;
use crate::base::Vit;
use crate::data::{Colour, Dataset, Images, Split};
use crate::device::Device;
use crate::lora::{Module, RecordedMetric};
use crate::predict::{Predictor, argmax, probabilities};

/// Images to evaluate on, with the floors' answers for them.
pub struct Bench<'a, D: Device> {
    pub(super) device: D,
    pub(super) vit: &'a Vit,
    pub(super) data: &'a Dataset,
    pub(super) size: u32,
    pub(super) images: Images,
    /// Indices of the data set's items, in the order of the images.
    pub(super) indices: Vec<usize>,
    /// Probabilities [n, classes] of the floors.
    linear_probe: Vec<f32>,
    colour: Vec<f32>,
}

/// An evaluation and what it was made from.
pub struct Results {
    pub evaluation: Evaluation,
    /// Indices of the data set's items, in the order of the rows.
    pub indices: Vec<usize>,
    /// Row by row, [n, classes].
    pub probabilities: Vec<f32>,
}

impl<'a, D: Device + 'static> Bench<'a, D> {
    /// Loads the images of `split` at `size` pixels and fits the floors on the training part.
    ///
    /// # Errors
    /// As [`Images::load`], [`floors::linear_probe`] and [`Vit::preprocessing_for`].
    pub fn new(
        device: &D,
        vit: &'a Vit,
        data: &'a Dataset,
        split: Split,
        size: u32,
    ) -> Result<Self, Error> {
        let preprocessing = vit.preprocessing_for(size)?;
        let (train, indices) = (data.indices(Split::Train), data.indices(split));
        let (train, images) = (
            Images::load(data, &train, &preprocessing)?,
            Images::load(data, &indices, &preprocessing)?,
        );
        let classes = data.classes.len();
        let [base_train, base_test] =
            [&train, &images].map(|images| features(device, vit, None, images, size));
        let linear_probe = floors::linear_probe(
            &base_train?.concat(),
            train.labels(),
            &base_test?.concat(),
            classes,
        )?;
        let colours = |images: &Images| -> Vec<[f64; 6]> {
            images.colours().iter().map(Colour::features).collect()
        };
        let colour = floors::colour(&colours(&train), train.labels(), &colours(&images), classes)?;
        Ok(Bench { device: device.clone(), vit, data, size, images, indices, linear_probe, colour })
    }

    /// Evaluates `module`, which must be of the bench's size and classes.
    ///
    /// # Errors
    /// [`Error::OtherClasses`], and as [`Evaluation::new`].
    pub fn evaluate(&self, module: &Module, resamples: usize, seed: u64) -> Result<Results, Error> {
        check_classes(module, self.data)?;
        let adapted = features(&self.device, self.vit, Some(module), &self.images, self.size)?;
        let rows = adapted.iter().flat_map(|feature| probabilities(&module.head, feature));
        let probabilities: Vec<f32> = rows.map(|p| p as f32).collect();
        let subject = Subject {
            classes: &self.data.classes,
            labels: self.images.labels(),
            groups: self.images.groups(),
            module: &probabilities,
            linear_probe: &self.linear_probe,
            colour: &self.colour,
        };
        let evaluation = Evaluation::new(&subject, resamples, seed)?;
        Ok(Results { evaluation, indices: self.indices.clone(), probabilities })
    }
}

impl<D: Device + 'static> Bench<'_, D> {
    /// Each class and each bin of `results`, which this bench made. Intervals are drawn as those of
    /// the results.
    ///
    /// # Errors
    /// As [`Details::new`].
    pub fn details(&self, results: &Results) -> Result<Details, Error> {
        let (images, intervals) = (&self.images, &results.evaluation.intervals);
        let (classes, labels, groups) = (self.data.classes.len(), images.labels(), images.groups());
        Details::new(
            classes,
            labels,
            groups,
            &results.probabilities,
            intervals.resamples,
            intervals.seed,
        )
    }
}

/// Refuses images of other classes than those of `module`.
///
/// # Errors
/// [`Error::OtherClasses`].
pub fn check_classes(module: &Module, data: &Dataset) -> Result<(), Error> {
    if module.head.classes == data.classes {
        Ok(())
    } else {
        Err(Error::OtherClasses {
            path: data.root.clone(),
            data: data.classes.join(", "),
            module: module.head.classes.join(", "),
        })
    }
}

impl Results {
    /// A CSV table with a row for each image: path, label, group, prediction, and the probability
    /// of each class.
    ///
    /// # Errors
    /// [`Error::Evaluation`] where it cannot be written.
    pub fn csv(&self, data: &Dataset) -> Result<String, Error> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let mut header: Vec<String> =
            ["path", "label", "group", "prediction"].map(String::from).to_vec();
        header.extend(data.classes.iter().cloned());
        let mut rows = vec![header];
        for (&i, p) in self.indices.iter().zip(self.probabilities.chunks_exact(data.classes.len()))
        {
            let item = &data.items[i];
            let values: Vec<f64> = p.iter().map(|&v| f64::from(v)).collect();
            let predicted = &data.classes[argmax(&values)];
            let path = item.path.display().to_string();
            let mut row =
                vec![path, data.classes[item.label].clone(), item.group.clone(), predicted.clone()];
            row.extend(p.iter().map(f32::to_string));
            rows.push(row);
        }
        let failed = |what: String| Error::Evaluation { what };
        for row in rows {
            out.write_record(row).map_err(|e| failed(e.to_string()))?;
        }
        let bytes = out.into_inner().map_err(|e| failed(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
    }
}

impl Evaluation {
    /// The metrics as a module card holds them, without those that have no interval.
    pub(super) fn recorded(&self) -> Vec<RecordedMetric> {
        let whole = self.metrics.iter().filter_map(|e| {
            let name = e.name.key().to_owned();
            Some(RecordedMetric { name, value: e.value, low: e.low?, high: e.high?, n: self.n })
        });
        whole.collect()
    }
}

/// The features of all images. A progress bar shows how far it is.
fn features<D: Device + 'static>(
    device: &D,
    vit: &Vit,
    module: Option<&Module>,
    images: &Images,
    size: u32,
) -> Result<Vec<Vec<f32>>, Error> {
    let bar = ProgressBar::new(images.len() as u64);
    let all: Vec<usize> = (0..images.len()).collect();
    let rows = Predictor::new(device, vit, module, size as usize)
        .features_of(images, &all, |n| bar.set_position(n as u64));
    bar.finish_and_clear();
    rows
}
