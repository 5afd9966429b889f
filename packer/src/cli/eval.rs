//! `packer eval`: how a module does on a split, beside two floors.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::device::{DeviceArg, on_device};
use super::input::DataArg;
use crate::base::Vit;
use crate::data::Split;
use crate::eval::{self, Bench, Division, Evaluated, Evaluation, Explained};
use crate::lora::Module;
use crate::merge::folder::{MergedModel, RECORD};
use crate::output::{NewFile, Places};
use crate::{Error, output};

/// Measure a module on images it never saw, beside a linear probe of the base and colour alone.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer eval --base vits14 --module m/breast --data breast --split \
                  test --json\n  \
    packer eval --base vits14 --module m/chest --data dicom --by PatientSex --by site\n  \
    packer eval --base vits14 --module m/breast --data breast --explain seen --report breast.html \
    --with-images\n  \
    packer eval --base vits14 --module merged --task breast --data breast --record\n\n\
    --explain writes wrong answers first, then right ones of each class: what speaks for the \
    predicted class, yellow most. It shows\n\
    what the module looked at; it is no segmentation, and no evidence that an answer is right. \
    Images of patients are in what is\n\
    written only with --with-images, and file names never: an image is named by the first 16 \
    digits of `sha256sum FILE`."
)]
pub struct Args {
    /// The base that the module was trained on
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// The module, or a merged model
    #[arg(long, value_name = "DIR")]
    module: PathBuf,
    /// The task of a merged model to measure
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    #[command(flatten)]
    data: DataArg,
    #[arg(long, default_value = "test", value_parser = ["test", "train"])]
    split: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Bootstrap resamples of whole groups
    #[arg(long, default_value_t = eval::bootstrap::RESAMPLES as u32,
        value_parser = clap::value_parser!(u32).range(100..=100_000))]
    resamples: u32,
    /// Also report by the values of this column of the images' list (site, scanner, ...), or by
    /// PatientSex, PatientAge, Manufacturer or InstitutionName of DICOM files; repeat it for more.
    /// Ages in years are told in bands
    #[arg(long, value_name = "COLUMN")]
    by: Vec<String>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also write each image's path, group and probabilities to a CSV file
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// Also write where in some images predictions come from, as PNG files, to a folder that is new
    /// or empty
    #[arg(long, value_name = "DIR")]
    explain: Option<PathBuf>,
    /// With --explain or --report: how many images
    #[arg(long, value_name = "N", default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    explain_count: u32,
    /// With --explain or --report: put the images themselves under the maps
    #[arg(long)]
    with_images: bool,
    /// Also write a page that opens anywhere and loads nothing
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Record the results in the module's card or the merged model's record, so that bundles carry
    /// them (test split only)
    #[arg(long)]
    record: bool,
    /// Replace what stands at --predictions and --report
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    device: DeviceArg,
}

/// What `--json` prints: the evaluation, and the images that were explained.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    explained: &'a [Explained],
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    if args.with_images && args.explain.is_none() && args.report.is_none() {
        let what = "is about what --explain and --report write; pass one of them".into();
        return Err(Error::Option { name: "--with-images", what });
    }
    let file = |option, path: &Option<PathBuf>| {
        path.as_ref().map(|path| places.file(option, path, args.force)).transpose()
    };
    let (predictions, report) =
        (file("--predictions", &args.predictions)?, file("--report", &args.report)?);
    let folder =
        args.explain.as_ref().map(|path| places.empty_folder("--explain", path)).transpose()?;
    let mut vit = Vit::open(&args.base)?;
    let mut subject = Subject::open(&args, &vit)?;
    let module = &subject.module;
    vit.preprocessing = module.card.preprocessing.clone();
    let data = args.data.open()?;
    eval::check_classes(module, &data)?;
    let split = if args.split == "test" { Split::Test } else { Split::Train };
    if args.record && split == Split::Train {
        return Err(Error::Option {
            name: "--record",
            what: "takes results of the test split only".into(),
        });
    }
    let record = args.record.then(|| subject.place(&args.module)).transpose()?;
    let indices = data.indices(split);
    let divisions = args
        .by
        .iter()
        .map(|by| Division::new(&data, &indices, by))
        .collect::<Result<Vec<_>, Error>>()?;
    let (size, resamples) = (module.card.image_size, args.resamples as usize);
    let (mut results, details, explained) = on_device!(args.device.open(false)?, device => {
            let bench = Bench::new(device, &vit, &data, split, size)?;
            let results = bench.evaluate(module, resamples, args.seed)?;
            let details = args.report.as_ref().map(|_| bench.details(&results)).transpose()?;
            let explained = if args.explain.is_some() || args.report.is_some() {
    bench.explain(module, &results, args.explain_count as usize, args.with_images)?
    } else {
    vec![]
    };
            (results, details, explained)
        });
    divisions.iter().try_for_each(|division| results.tell_apart(&data, division))?;
    if let Some(predictions) = &predictions {
        predictions.write(results.csv(&data)?.as_bytes())?;
    }
    if let Some(folder) = folder {
        let folder = folder.begin()?;
        explained.iter().try_for_each(|one| folder.write(&one.file, &one.overlay))?;
        folder.commit()?;
    }
    if let (Some(report), Some(details)) = (&report, &details) {
        let (evaluation, explained, with_images) =
            (&results.evaluation, &explained, args.with_images);
        let images = format!("{} split of {}", args.split, args.data.path.display());
        let page =
            Evaluated { evaluation, details, explained, with_images, module, images: &images }
                .page();
        page.write(report)?;
    }
    if let Some(record) = record {
        record.write(&subject.record(&results.evaluation)?)?;
    }
    if args.json {
        let explained = if args.explain.is_some() { &explained[..] } else { &[] };
        let printed = Printed { evaluation: &results.evaluation, explained };
        let json = serde_json::to_string_pretty(&printed).expect("an evaluation is plain data");
        output::print(&format!("{json}\n"))
    } else {
        output::print(&results.evaluation.table())
    }
}

/// What is measured: a module, or one task of a merged model as one.
struct Subject {
    module: Module,
    merged: Option<MergedModel>,
}

impl Subject {
    fn open(args: &Args, vit: &Vit) -> Result<Self, Error> {
        let refuse = |what: String| Error::Option { name: "--task", what };
        if !MergedModel::is_at(&args.module) {
            let module = Module::open(&args.module, vit)?;
            return match args.task.as_ref().filter(|task| **task != module.card.task) {
                Some(task) => {
                    Err(refuse(format!("is {task}, and the module is for {}", module.card.task)))
                }
                None => Ok(Subject { module, merged: None }),
            };
        }
        let model = MergedModel::open(&args.module, vit)?;
        let (tasks, folder) = (model.tasks().collect::<Vec<_>>(), args.module.display());
        let task = match (&args.task, &tasks[..]) {
            (Some(task), _) => task,
            (None, [task]) => *task,
            _ => {
                return Err(refuse(format!(
                    "is needed: {folder} has the tasks {}",
                    tasks.join(", ")
                )));
            }
        };
        let missing = || refuse(format!("is {task}, and {folder} has {}", tasks.join(", ")));
        let module = model.module(task).ok_or_else(missing)?;
        Ok(Subject { module, merged: Some(model) })
    }

    /// The file in `dir` that holds results: there to be brought up to date, so `--force` is not
    /// asked for.
    fn place(&self, dir: &Path) -> Result<NewFile, Error> {
        let name = if self.merged.is_some() { RECORD } else { "module.json" };
        Places::default().updated("--record", &dir.join(name))
    }

    /// Records the results; what is in their file now.
    fn record(&mut self, evaluation: &Evaluation) -> Result<Vec<u8>, Error> {
        let measured = evaluation.measured();
        measured.check("the module")?;
        Ok(match &mut self.merged {
            None => {
                evaluation.record(&mut self.module.card);
                self.module.card_file()
            }
            Some(model) => {
                model.measure(&self.module.card.task, measured);
                model.record_file()
            }
        })
    }
}
