//! `packer eval`: how a module does on a split, beside two floors.

use std::path::PathBuf;

use indicatif::ProgressBar;

use crate::base::Vit;
use crate::cpu::Cpu;
use crate::data::{Colour, Dataset, Images, Split};
use crate::eval::{self, Evaluation, Subject, floors};
use crate::lora::{Module, RecordedMetric};
use crate::predict::{Predictor, probabilities};
use crate::{Error, output};

/// Measure a module on images it never saw, beside a linear probe of the base and colour alone.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer eval --base vits14 --module m/breast --data breast --split test --json")]
pub struct Args {
    /// The base that the module was trained on
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    #[arg(long, value_name = "DIR")]
    module: PathBuf,
    /// The images; their training part makes the floors
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[arg(long, default_value = "test", value_parser = ["test", "train"])]
    split: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Bootstrap resamples of whole groups
    #[arg(long, default_value_t = eval::bootstrap::RESAMPLES)]
    resamples: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also write each image's probabilities to a CSV file
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// Record the results in the module's card, so that bundles carry them (test split only)
    #[arg(long)]
    record: bool,
}

pub fn run(args: Args) -> Result<(), Error> {
    let vit = Vit::open(&args.base)?;
    let mut module = Module::open(&args.module, &vit)?;
    let data = Dataset::open(&args.data)?;
    if data.classes != module.head.classes {
        return Err(Error::OtherClasses {
            path: args.data,
            data: data.classes.join(", "),
            module: module.head.classes.join(", "),
        });
    }
    let split = if args.split == "test" { Split::Test } else { Split::Train };
    if args.record && split == Split::Train {
        return Err(Error::Option { name: "--record", what: "takes results of the test split only".into() });
    }
    let results = evaluate(&vit, &module, &data, split, args.resamples, args.seed)?;
    if let Some(path) = &args.predictions {
        output::write_file(path, results.csv(&data)?.as_bytes())?;
    }
    if args.record {
        module.card.metrics = recorded(&results.evaluation);
        output::write_file(&args.module.join("module.json"), &module.card_file())?;
    }
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&results.evaluation).expect("an evaluation is plain data")),
        false => print!("{}", results.evaluation.table()),
    }
    Ok(())
}

/// An evaluation and what it was made from.
pub struct Results {
    pub evaluation: Evaluation,
    /// Indices of the data set's items, in the order of the rows.
    pub indices: Vec<usize>,
    /// Row by row, [n, classes].
    pub probabilities: Vec<f32>,
}

/// Evaluates `module` on a split of `data`; the floors are fitted on its training part.
pub fn evaluate(
    vit: &Vit,
    module: &Module,
    data: &Dataset,
    split: Split,
    resamples: usize,
    seed: u64,
) -> Result<Results, Error> {
    let size = module.card.image_size;
    let preprocessing = vit.preprocessing_for(size)?;
    let (train, test) = (data.indices(Split::Train), data.indices(split));
    let (train_images, test_images) =
        (Images::load(data, &train, &preprocessing)?, Images::load(data, &test, &preprocessing)?);
    let device = Cpu::<f32>::new();
    let bar = ProgressBar::new((train.len() + 2 * test.len()) as u64);
    let features = |module: Option<&Module>, images: &Images| {
        let done = bar.position();
        let all: Vec<usize> = (0..images.len()).collect();
        Predictor::new(&device, vit, module, size as usize)
            .features_of(images, &all, |n| bar.set_position(done + n as u64))
    };
    let (base_train, base_test) = (features(None, &train_images)?, features(None, &test_images)?);
    let adapted = features(Some(module), &test_images)?;
    bar.finish_and_clear();

    let classes = data.classes.len();
    let probe = floors::linear_probe(&base_train.concat(), train_images.labels(), &base_test.concat(), classes)?;
    let colours = |images: &Images| -> Vec<[f64; 6]> { images.colours().iter().map(Colour::features).collect() };
    let colour = floors::colour(&colours(&train_images), train_images.labels(), &colours(&test_images), classes)?;
    let rows = adapted.iter().flat_map(|f| probabilities(&module.head, f));
    let probabilities: Vec<f32> = rows.map(|p| p as f32).collect();
    let subject = Subject {
        classes: &data.classes,
        labels: test_images.labels(),
        groups: test_images.groups(),
        module: &probabilities,
        linear_probe: &probe,
        colour: &colour,
    };
    let evaluation = Evaluation::new(&subject, resamples, seed)?;
    Ok(Results { evaluation, indices: test, probabilities })
}

/// The metrics as a module card holds them; those without an interval are left out.
pub fn recorded(evaluation: &Evaluation) -> Vec<RecordedMetric> {
    let name = |metric| serde_json::to_value(metric).ok().and_then(|v| v.as_str().map(str::to_owned));
    let whole = evaluation.metrics.iter().filter_map(|e| {
        Some(RecordedMetric { name: name(e.name)?, value: e.value, low: e.low?, high: e.high?, n: evaluation.n })
    });
    whole.collect()
}

impl Results {
    /// One row an image: path, label, group, prediction, the probability of each class.
    fn csv(&self, data: &Dataset) -> Result<String, Error> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let mut header: Vec<String> = ["path", "label", "group", "prediction"].map(String::from).to_vec();
        header.extend(data.classes.iter().cloned());
        let mut rows = vec![header];
        for (&i, p) in self.indices.iter().zip(self.probabilities.chunks_exact(data.classes.len())) {
            let item = &data.items[i];
            let values: Vec<f64> = p.iter().map(|&v| f64::from(v)).collect();
            let predicted = &data.classes[crate::predict::argmax(&values)];
            let path = item.path.display().to_string();
            let mut row = vec![path, data.classes[item.label].clone(), item.group.clone(), predicted.clone()];
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
