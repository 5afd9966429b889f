//! The options of `packer eval`.

use std::path::PathBuf;

use crate::cli::device::DeviceArg;
use crate::cli::input::DataArg;
use crate::eval;

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
    pub base: PathBuf,
    /// The module, or a merged model
    #[arg(long, value_name = "DIR")]
    pub module: PathBuf,
    /// The task of a merged model to measure
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    #[command(flatten)]
    pub data: DataArg,
    #[arg(long, default_value = "test", value_parser = ["test", "train"])]
    pub split: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Bootstrap resamples of whole groups
    #[arg(long, default_value_t = eval::bootstrap::RESAMPLES as u32,
        value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub resamples: u32,
    /// Also report by the values of this column of the images' list (site, scanner, ...), or by
    /// PatientSex, PatientAge, Manufacturer or InstitutionName of DICOM files; repeat it for more.
    /// Ages in years are told in bands
    #[arg(long, value_name = "COLUMN")]
    pub by: Vec<String>,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Also write each image's path, group and probabilities to a CSV file
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
    /// Also write where in some images predictions come from, as PNG files, to a folder that is new
    /// or empty
    #[arg(long, value_name = "DIR")]
    pub explain: Option<PathBuf>,
    /// With --explain or --report: how many images
    #[arg(long, value_name = "N", default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub explain_count: u32,
    /// With --explain or --report: put the images themselves under the maps
    #[arg(long)]
    pub with_images: bool,
    /// Also write a page that opens anywhere and loads nothing
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Record the results in the module's card or the merged model's record, so that bundles carry
    /// them (test split only)
    #[arg(long)]
    pub record: bool,
    /// Replace what stands at --predictions and --report
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub device: DeviceArg,
}
