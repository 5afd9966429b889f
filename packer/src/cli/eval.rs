//! `packer eval`: how a module does on a split, beside two floors.

use std::path::PathBuf;

use super::device::{DeviceArg, on_device};
use crate::base::Vit;
use crate::data::{Dataset, Split};
use crate::eval::{self, Bench, Division};
use crate::lora::Module;
use crate::{Error, output};

/// Measure a module on images it never saw, beside a linear probe of the base and colour alone.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer eval --base vits14 --module m/breast --data breast --split test --json\n  \
packer eval --base vits14 --module m/chest --data dicom --by PatientSex --by site")]
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
    #[arg(long, default_value_t = eval::bootstrap::RESAMPLES as u32, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    resamples: u32,
    /// Also report by the values of this column of the images' list (site, scanner, ...), or by PatientSex, PatientAge, Manufacturer or
    /// InstitutionName of DICOM files; repeat it for more
    #[arg(long, value_name = "COLUMN")]
    by: Vec<String>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also write each image's probabilities to a CSV file
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// Record the results in the module's card, so that bundles carry them (test split only)
    #[arg(long)]
    record: bool,
    #[command(flatten)]
    device: DeviceArg,
}

pub fn run(args: Args) -> Result<(), Error> {
    let vit = Vit::open(&args.base)?;
    let mut module = Module::open(&args.module, &vit)?;
    let data = Dataset::open(&args.data)?;
    eval::check_classes(&module, &data)?;
    let split = if args.split == "test" { Split::Test } else { Split::Train };
    if args.record && split == Split::Train {
        return Err(Error::Option { name: "--record", what: "takes results of the test split only".into() });
    }
    let indices = data.indices(split);
    let divisions = args.by.iter().map(|by| Division::new(&data, &indices, by)).collect::<Result<Vec<_>, Error>>()?;
    let (size, resamples) = (module.card.image_size, args.resamples as usize);
    let mut results = on_device!(args.device.open(false)?, device => {
        Bench::new(device, &vit, &data, split, size)?.evaluate(&module, resamples, args.seed)?
    });
    divisions.iter().try_for_each(|division| results.tell_apart(&data, division))?;
    if let Some(path) = &args.predictions {
        output::write_file(path, results.csv(&data)?.as_bytes())?;
    }
    if args.record {
        module.card.metrics = results.evaluation.recorded();
        let subgroups = results.evaluation.subgroups.iter();
        module.card.subgroups = subgroups.map(|s| serde_json::to_value(s).expect("results are plain data")).collect();
        output::write_file(&args.module.join("module.json"), &module.card_file())?;
    }
    match args.json {
        true => {
            let json = serde_json::to_string_pretty(&results.evaluation).expect("an evaluation is plain data");
            output::print(&format!("{json}\n"))
        }
        false => output::print(&results.evaluation.table()),
    }
}
