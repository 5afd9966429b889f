//! `packer audit-privacy`: what a condensed set, or a module, gives away about the images behind
//! it.

use std::path::{Path, PathBuf};

use medforge_runtime::preprocess::Preprocessing;

use super::device::{DeviceArg, on_device};
use super::input::DataArg;
use super::pace::Pace;
use crate::audit::{Membership, Shadows, distances, membership, module_scores, set_scores};
use crate::base::Vit;
use crate::condense::Source;
use crate::condense::privacy::Accounting;
use crate::data::{Condensed, Dataset, Images, Progress, Split};
use crate::device::Device;
use crate::lora::Module;
use crate::train::TrainSettings;
use crate::{Error, eval, output};

mod report;

use report::{Promise, Report};

/// Measure what a condensed set or a module gives away: how near it comes to its images, and
/// whether one can tell who was in. The images are those that it was made from; their test split is
/// the control.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer audit-privacy --base vits14 --data chest --condensed \
                  c/chest\n  \
    packer audit-privacy --base vits14 --data chest --module m/chest --shadows 16 --json\n\n\
    The membership test makes the set (trains the module) anew from random halves of the patients, \
    once for each shadow:\n\
    it takes SHADOWS times as long as making it did, with 16 of them often hours on a processor. \
    After some steps it says how long.\n\
    Distances alone, with --shadows 0, take minutes.")]
pub struct Args {
    /// The base that the set or module was made with
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    #[command(flatten)]
    data: DataArg,
    /// The condensed set
    #[arg(long, value_name = "DIR", required_unless_present = "module")]
    condensed: Option<PathBuf>,
    /// A module: audited by itself, beside the set if there is one; where the set was made with it,
    /// it takes part in the shadows
    #[arg(long, value_name = "DIR")]
    module: Option<PathBuf>,
    /// Sets (modules) made from random halves of the patients; 0 for distances alone
    #[arg(long, default_value_t = 16)]
    shadows: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArg,
}

pub fn run(args: Args) -> Result<(), Error> {
    if (1..4).contains(&args.shadows) || args.shadows > 10_000 {
        let what =
            format!("is {}; a membership test needs 4 to 10000, 0 leaves it out", args.shadows);
        return Err(Error::Option { name: "--shadows", what });
    }
    let vit = Vit::open(&args.base)?;
    let data = args.data.open()?;
    let module = args.module.as_ref().map(|dir| Module::open(dir, &vit)).transpose()?;
    let set = args.condensed.as_ref().map(|dir| Condensed::open(dir)).transpose()?;
    if let (Some(dir), Some(set)) = (&args.condensed, &set) {
        check(dir, set, &vit, &data, module.as_ref())?;
    }
    if let Some(module) = &module {
        eval::check_classes(module, &data)?;
    }
    let opened = args.device.open(false)?;
    let (args, vit, data, module) = (&args, &vit, &data, module.as_ref());
    let report = on_device!(opened, device => {
        Audit { device, args, vit, data, module }.run(set.as_ref())
    })?;
    if args.json {
        output::print(&format!(
            "{}\n",
            serde_json::to_string_pretty(&report).expect("a report is plain data")
        ))
    } else {
        output::print(&report.text())
    }
}

/// Refuses a set that was not made with this base, from these classes, or with another module than
/// is given.
fn check(
    dir: &Path,
    set: &Condensed,
    vit: &Vit,
    data: &Dataset,
    module: Option<&Module>,
) -> Result<(), Error> {
    let record = &set.record;
    if record.base_digest != vit.digest() {
        return Err(Error::OtherBase {
            path: dir.to_owned(),
            module: record.base_digest.clone(),
            base: vit.digest(),
        });
    }
    let refuse = |what: String| Err(Error::Condensed { path: dir.to_owned(), what });
    if record.classes != data.classes {
        return refuse(format!(
            "its classes are {:?}, those of the images {:?}",
            record.classes, data.classes
        ));
    }
    if let Some(digest) = &record.module {
        let given = module.map(Module::factors_digest).transpose()?;
        if given.as_ref() != Some(digest) {
            return refuse(
                "it was made with a module, and its shadows need the same one: pass it with \
                 --module"
                    .into(),
            );
        }
    }
    Ok(())
}

/// What is audited with.
struct Audit<'a, D: Device> {
    device: &'a D,
    args: &'a Args,
    vit: &'a Vit,
    data: &'a Dataset,
    module: Option<&'a Module>,
}

impl<D: Device + 'static> Audit<'_, D> {
    fn run(&self, set: Option<&Condensed>) -> Result<Report, Error> {
        let mut report = Report { distances: None, set: None, module: None, promise: None };
        if let Some(set) = set {
            let training = self.load(Split::Train, &set.record.preprocessing)?;
            let control = self.load(Split::Test, &set.record.preprocessing)?;
            let (vit, seed) = (self.vit, self.args.seed);
            let found = distances(self.device, vit, set, &training, &control, seed)?;
            report.distances = Some(found);
            let privacy = set.record.privacy.clone();
            let accounting = privacy.and_then(|p| serde_json::from_value::<Accounting>(p).ok());
            report.promise = accounting.as_ref().map(Promise::of);
            if self.args.shadows > 0 {
                report.set = Some(self.set_membership(set, &training)?);
            }
        }
        if let (Some(module), true) = (self.module, self.args.shadows > 0) {
            report.module = Some(self.module_membership(module)?);
        }
        Ok(report)
    }

    /// How well members can be told by the set.
    fn set_membership(&self, set: &Condensed, images: &Images) -> Result<Membership, Error> {
        let Audit { device, vit, .. } = *self;
        let shadows = self.shadows();
        let module = if set.record.module.is_some() { self.module } else { None };
        let source = Source { vit, classes: &self.data.classes, images, module };
        let progress = Progress::new("shadow sets", shadows.count);
        let mut pace = Pace::new("shadow sets", shadows.count);
        let scores = set_scores(device, source, set, shadows, &mut pace, |_| progress.step())?;
        membership(&scores, images.labels(), images.groups(), shadows.seed)
    }

    /// How well members can be told by the module.
    fn module_membership(&self, module: &Module) -> Result<Membership, Error> {
        let Audit { device, vit, .. } = *self;
        let shadows = self.shadows();
        let images = &self.load(Split::Train, &module.card.preprocessing)?;
        let settings =
            serde_json::from_value::<TrainSettings>(module.card.training["settings"].clone());
        let settings = &settings.map_err(|e| Error::Evaluation {
            what: format!(
                "the module's card does not say how it was trained ({e}), so no shadow can be \
                 trained like it"
            ),
        })?;
        let source = Source { vit, classes: &self.data.classes, images, module: Some(module) };
        let progress = Progress::new("shadow modules", shadows.count);
        let mut pace = Pace::new("shadow modules", shadows.count);
        let scores =
            module_scores(device, source, settings, shadows, &mut pace, |_| progress.step())?;
        membership(&scores, images.labels(), images.groups(), shadows.seed)
    }

    fn shadows(&self) -> Shadows {
        Shadows { count: self.args.shadows, seed: self.args.seed }
    }

    fn load(&self, split: Split, preprocessing: &Preprocessing) -> Result<Images, Error> {
        Images::load(self.data, &self.data.indices(split), preprocessing)
    }
}
