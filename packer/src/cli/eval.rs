//! `packer eval`: how a module does on a split, beside two floors.

use std::path::PathBuf;

use serde::Serialize;

use super::device::on_device;
use crate::base::Vit;
use crate::data::{Dataset, Split};
use crate::eval::{self, Bench, Details, Division, Evaluated, Evaluation, Explained, Results};
use crate::lora::Module;
use crate::output::{NewFile, NewFolder, Places};
use crate::{Error, output};

mod args;
mod subject;

pub use args::Args;

use subject::Subject;

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
    let outputs = Outputs::of(&args, places)?;
    let mut vit = Vit::open(&args.base)?;
    let mut subject = Subject::open(&args, &vit)?;
    vit.preprocessing = subject.module.card.preprocessing.clone();
    let data = args.data.open()?;
    eval::check_classes(&subject.module, &data)?;
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
    let mut found = Measured::measure(&args, &vit, &data, split, &subject.module)?;
    divisions.iter().try_for_each(|division| found.results.tell_apart(&data, division))?;
    outputs.write(&args, &data, &subject.module, &found)?;
    if let Some(record) = record {
        record.write(&subject.record(&found.results.evaluation)?)?;
    }
    found.print(&args)
}

/// What an evaluation writes.
struct Outputs {
    predictions: Option<NewFile>,
    report: Option<NewFile>,
    explain: Option<NewFolder>,
}

impl Outputs {
    fn of(args: &Args, places: &Places) -> Result<Self, Error> {
        let file = |option, path: &Option<PathBuf>| {
            path.as_ref().map(|path| places.file(option, path, args.force)).transpose()
        };
        let predictions = file("--predictions", &args.predictions)?;
        let report = file("--report", &args.report)?;
        let explain =
            args.explain.as_ref().map(|path| places.empty_folder("--explain", path)).transpose()?;
        Ok(Outputs { predictions, report, explain })
    }

    fn write(
        self,
        args: &Args,
        data: &Dataset,
        module: &Module,
        found: &Measured,
    ) -> Result<(), Error> {
        let Measured { results, details, explained } = found;
        if let Some(predictions) = &self.predictions {
            predictions.write(results.csv(data)?.as_bytes())?;
        }
        if let Some(folder) = self.explain {
            let folder = folder.begin()?;
            explained.iter().try_for_each(|one| folder.write(&one.file, &one.overlay))?;
            folder.commit()?;
        }
        if let (Some(report), Some(details)) = (&self.report, details) {
            let (evaluation, with_images) = (&results.evaluation, args.with_images);
            let images = &format!("{} split of {}", args.split, args.data.path.display());
            let page = Evaluated { evaluation, details, explained, with_images, module, images };
            page.page().write(report)?;
        }
        Ok(())
    }
}

/// What was found out about a module.
struct Measured {
    results: Results,
    /// For a report.
    details: Option<Details>,
    explained: Vec<Explained>,
}

impl Measured {
    fn measure(
        args: &Args,
        vit: &Vit,
        data: &Dataset,
        split: Split,
        module: &Module,
    ) -> Result<Self, Error> {
        let (size, resamples) = (module.card.image_size, args.resamples as usize);
        let count = args.explain_count as usize;
        on_device!(args.device.open(false)?, device => {
            let bench = Bench::new(device, vit, data, split, size)?;
            let results = bench.evaluate(module, resamples, args.seed)?;
            let details = args.report.as_ref().map(|_| bench.details(&results)).transpose()?;
            let explained = if args.explain.is_some() || args.report.is_some() {
                bench.explain(module, &results, count, args.with_images)?
            } else {
                vec![]
            };
            Ok(Measured { results, details, explained })
        })
    }

    fn print(&self, args: &Args) -> Result<(), Error> {
        let evaluation = &self.results.evaluation;
        if !args.json {
            return output::print(&evaluation.table());
        }
        let explained = if args.explain.is_some() { &self.explained[..] } else { &[] };
        let printed = Printed { evaluation, explained };
        let json = serde_json::to_string_pretty(&printed).expect("an evaluation is plain data");
        output::print(&format!("{json}\n"))
    }
}
