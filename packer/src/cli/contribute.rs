//! `packer contribute`: a module, its condensed set and a card in, one signed contribution out.

use std::path::PathBuf;

use crate::base::Vit;
use crate::contribution::{self, Contribution, Options};
use crate::data::{Dataset, Images, Progress, Split};
use crate::device::cpu::Cpu;
use crate::eval::check_classes;
use crate::eval::measured::{figure, sample, verdict};
use crate::export::keys;
use crate::merge::Grams;
use crate::output::Places;
use crate::{Error, output};

/// Sign a module and its condensed set as a contribution to a forge
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer contribute --base vits14 --module m/breast --condensed \
                  c/breast --card card.md --key hospital.key \\\n    \
    --out breast.contribution\n\n\
    The archive holds the module, the condensed set, the card, and what both record of themselves: \
    results on your own test split\n\
    (`packer eval --record`), numbers of images and patients, privacy accounting. Look through it \
    (packer inspect, unzip -l) before you send it."
)]
pub struct Args {
    /// The base that the module was trained on
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    #[arg(long, value_name = "DIR")]
    module: PathBuf,
    /// The condensed set of the module's task
    #[arg(long, value_name = "DIR")]
    condensed: PathBuf,
    /// For people: what the images are, where they come from, what the module is for
    #[arg(long, value_name = "FILE")]
    card: PathBuf,
    /// The key that the forge knows you by
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Give away, for merging by regmean, the Gram matrices of what goes into the module's sites on
    /// these images' training split
    #[arg(long, value_name = "DATA")]
    grams: Option<PathBuf>,
    /// Counts your contributions for this task; a forge takes none that is not newer than the last
    #[arg(long, value_name = "N", default_value_t = 1)]
    counter: u64,
    /// Give away a condensed set that started from patients' images
    #[arg(long)]
    allow_real_start: bool,
    /// The contribution to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace --out
    #[arg(long)]
    force: bool,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    let out = places.file("--out", &args.out, args.force)?;
    let key = keys::read_secret(&args.key)?;
    let vit = Vit::open(&args.base)?;
    let base = vit.identity();
    let mut parts = contribution::read_parts(&base, &args.module, &args.condensed, &args.card)?;
    if let Some(data) = &args.grams {
        let data = Dataset::open(data)?;
        let module = &parts.module;
        check_classes(module, &data)?;
        let images = Images::load(&data, &data.indices(Split::Train), &module.card.preprocessing)?;
        let progress = Progress::new("images seen", images.len());
        let grams = Grams::measure(&Cpu::<f32>::new(), &vit, module, &images, || progress.step())?;
        parts.grams = Some(grams.sites);
    }
    let options = Options { counter: args.counter, allow_real_start: args.allow_real_start };
    let made = contribution::build(&parts, options, &base, &key)?;
    out.write(made.bytes())?;
    output::print(&describe(&args.out.display().to_string(), &made))
}

fn describe(out: &str, made: &Contribution) -> String {
    let m = made.manifest();
    let mut text = format!(
        "{out}: contribution {}\n{}, number {}, licence {}\n",
        made.id(),
        m.name,
        m.counter,
        m.licence
    );
    let measured = made.module.card.measured();
    text += &match measured.as_ref().and_then(|measured| Some((measured.main()?, measured))) {
        Some((main, measured)) => format!("{}, {}\n", figure(main), sample(measured)),
        None => "no results: the module's card records none (`packer eval --record` measures and \
             records them)\n"
            .into(),
    };
    for floor in measured.iter().flat_map(|measured| &measured.floors) {
        text += &format!("verdict: {}\n", verdict(floor));
    }
    text += &match (m.images, m.groups) {
        (Some(images), Some(groups)) => {
            format!("condensed from {images} images of {groups} groups\n")
        }
        _ => "condensed from images whose number is protected\n".into(),
    };
    if m.entries.iter().any(|entry| entry.name == contribution::GRAMS) {
        text += "Gram matrices for regmean: second moments of patients' features, of which nothing \
                 is promised\n";
    }
    if m.privacy.is_none() {
        text += "no privacy budget: nothing is promised of what it gives away\n";
    }
    if m.real_start {
        text += "the condensed set started from patients' images, and says so\n";
    }
    text
}
