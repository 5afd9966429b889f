//! `packer check`: looks at a whole data set before it is used.

use std::fmt::Write;
use std::path::PathBuf;

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};
use medforge_runtime::words::{sentence, shown};

use super::cut::{LEAST_CUT, cut_words};
use super::hints;
use super::input::{FitArg, columns};
use crate::base::Vit;
use crate::data::Findings;
use crate::{Error, output};

/// Look at every image of a data set once, and list all that is wrong: what does not decode, rows,
/// splits, patients and pictures in two parts.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer check breast\n  packer check chest --columns \
                  path=file,label=diagnosis,group=patient\n  \
    packer check chest --base vits14 --fit pad --json\n\n\
    Ends with 0 if everything can be used, also where something is worth a look, and with 1 if \
    there are faults.")]
pub struct Args {
    /// The images: a folder or a MedMNIST file (.npz)
    data: PathBuf,
    /// What the columns path, label, group and split are called in DATA's splits.csv or labels.csv,
    /// where they have other names
    #[arg(long, value_name = "path=NAME,label=NAME,...")]
    columns: Option<String>,
    /// The base that will be trained: its preprocessor says what is cut away [default: a square
    /// from the centre]
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    #[command(flatten)]
    fit: FitArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The side of the centre square where no base says another. What is cut does not depend on it.
const SIDE: u32 = 224;

pub fn run(args: Args) -> Result<(), Error> {
    let mut preprocessing = match &args.base {
        Some(base) => Vit::open(base)?.preprocessing,
        None => Preprocessing {
            resize: Resize::ShortestEdge(SIDE),
            filter: Filter::Bicubic,
            crop: Some(Size { height: SIDE, width: SIDE }),
            crop_offset: CropOffset::Floor,
            rescale: 1.0 / 255.0,
            mean: [0.0; 3],
            std: [1.0; 3],
        },
    };
    if let Some(fit) = args.fit.get() {
        preprocessing = fit.of(&preprocessing);
    }
    let mut findings =
        Findings::of(&args.data, &columns(args.columns.as_deref())?, &preprocessing)?;
    for fault in &mut findings.faults {
        fault.instead = fault.instead.take().map(|instead| hints::advised(&instead));
    }
    let printed = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&findings).expect("plain data"))
    } else {
        words(&findings)
    };
    let printed = output::print(&printed);
    match findings.faults.len() {
        0 => printed,
        count => Err(Error::Checked { path: args.data, count }),
    }
}

fn words(findings: &Findings) -> String {
    let mut out = String::new();
    for part in &findings.parts {
        let class = |(class, [images, groups]): (&String, &[usize; 2])| {
            format!("{class} {images} of {groups}")
        };
        let classes: Vec<String> = part.classes.iter().map(class).collect();
        let (name, images, groups) = (part.name, part.images, part.groups);
        let _ =
            writeln!(out, "{name:<11} {images} images of {groups} groups: {}", classes.join(", "));
    }
    let _ = writeln!(out, "{:<11} {} images", "decoded", findings.decoded);
    if let Some([cut, most]) = findings.share_cut.filter(|[cut, _]| *cut >= LEAST_CUT) {
        let _ =
            writeln!(out, "{:<11} {}; at most {:.0} % of one", "fit", cut_words(cut), 100.0 * most);
    }
    for warning in &findings.warnings {
        let _ = writeln!(out, "{:<11} {warning}", "warning");
    }
    for fault in &findings.faults {
        let instead =
            fault.instead.as_ref().map_or(String::new(), |instead| format!("; {instead}"));
        let _ = writeln!(
            out,
            "{:<11} {}: {}{instead}",
            "fault",
            shown(&fault.file),
            sentence(&fault.what)
        );
    }
    if findings.faults.is_empty() {
        let _ = writeln!(out, "{:<11} none", "faults");
    }
    out
}
