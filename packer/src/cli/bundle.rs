//! `packer bundle`: a base and modules in, one signed bundle out.

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::manifest;

use super::input::{check_text, class_texts, folders, within};
use crate::base::{TextTower, Vit};
use crate::export::{self, Options, Origin, Packed, keys};
use crate::lora::Module;
use crate::merge::folder::{self, MergedModel};
use crate::output::Places;
use crate::{Error, output};

/// Pack a base and modules into one signed bundle
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer bundle --base vits14 --module m/breast --key k.key --out \
                  breast.medforge\n  \
    packer bundle --base vits14 --module merged --key k.key --out merged.medforge\n\n\
    A module with a head of texts (packer train --head text) can take classes that nobody trained; \
    the bundle marks them:\n  \
    packer bundle --base clip --module m/colon --class-text 'colon:mucus=a histology image of \
    mucus' --key k.key --out colon.medforge"
)]
pub struct Args {
    /// The base that the modules were trained on
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// A module; repeat it for more tasks. Or one merged model, as `packer merge` writes it
    #[arg(long, value_name = "DIR", required = true)]
    module: Vec<PathBuf>,
    /// A class without training, described by a text, for a module with a head of texts; repeat it
    /// for more texts or classes
    #[arg(long, value_name = "TASK:CLASS=TEXT")]
    class_text: Vec<String>,
    #[command(flatten)]
    release: Release,
    /// Counts the releases of this name
    #[arg(long, value_name = "N", default_value_t = 1)]
    counter: u64,
}

/// The options of every command that writes a bundle: keys, place, name and purpose.
#[derive(clap::Args)]
pub(super) struct Release {
    /// The key that signs; repeat it for more signatures
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The bundle to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What people call the bundle [default: --out's name without its ending]
    #[arg(long)]
    name: Option<String>,
    /// The id of the bundle that this one replaces
    #[arg(long, value_name = "ID")]
    predecessor: Option<String>,
    /// For whom and what the bundle is made
    #[arg(long, value_name = "TEXT", default_value = "Research. Not for diagnosis or treatment.")]
    intended_use: String,
    /// Let devices run a task in eight bits too: what that costs is measured on the test images of
    /// DIR and written into the bundle; repeat it for every task
    #[arg(long, value_name = "TASK=DIR")]
    int8: Vec<String>,
    /// What classes are in coding schemes such as SNOMED CT, for reports: CSV with the columns
    /// task, class, scheme, value, meaning
    #[arg(long, value_name = "FILE")]
    codes: Option<PathBuf>,
    /// Give no answer where no class is at least so probable; for tasks that were calibrated
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    least_probability: f64,
    /// Replace --out
    #[arg(long)]
    force: bool,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    args.release.write(args.counter, places, |options, keys| {
        let vit = Vit::open(&args.base)?;
        if let Some(dir) = args.module.iter().find(|dir| MergedModel::is_at(dir)) {
            return merged(&args, dir, &vit, options, keys);
        }
        let mut modules =
            args.module.iter().map(|dir| Module::open(dir, &vit)).collect::<Result<Vec<_>, _>>()?;
        if !args.class_text.is_empty() {
            add_classes(&mut modules, &args.class_text, &TextTower::open(&args.base)?)?;
        }
        export::build_bundle(&vit, &modules, options, keys)
    })
}

/// The bundle of a merged model.
fn merged(
    args: &Args,
    dir: &Path,
    vit: &Vit,
    options: &Options,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    if args.module.len() > 1 {
        let what = format!(
            "{} is a merged model, which a bundle has alone; merge the other modules too",
            dir.display()
        );
        return Err(Error::Bundle { what });
    }
    if !args.class_text.is_empty() {
        return Err(Error::Option {
            name: "--class-text",
            what: "adds classes to modules, not to a merged model".into(),
        });
    }
    let merged = MergedModel::open(dir, vit)?;
    let modules: Vec<Module> = merged.tasks().filter_map(|task| merged.module(task)).collect();
    let measured =
        modules.iter().filter_map(|m| Some((m.card.task.clone(), m.card.measured()?))).collect();
    let origin = |member: &folder::Member| Origin {
        member: manifest::Member {
            contributor: member.contributor.clone(),
            task: member.task.clone(),
            licence: member.licence.clone(),
            contribution: None,
            card: None,
            measured: member.alone.clone(),
        },
        card: None,
    };
    let origins: Vec<Origin> = merged.record.members.iter().map(origin).collect();
    let packed = Packed { model: &merged.model(), modules: &modules, measured, origins: &origins };
    export::build_merged_bundle(vit, packed, options, keys)
}

/// Adds the classes of `--class-text` to the heads of the tasks that they name.
fn add_classes(modules: &mut [Module], given: &[String], tower: &TextTower) -> Result<(), Error> {
    let refuse = |what: String| Err(Error::Option { name: "--class-text", what });
    for (name, texts) in class_texts(given)? {
        let Some((task, class)) = name.split_once(':') else {
            return refuse(format!("{name:?} does not say the task; it is TASK:CLASS=TEXT"));
        };
        check_text("--class-text", class)?;
        let Some(module) = modules.iter_mut().find(|module| module.card.task == task) else {
            return refuse(format!("names the task {task}, and no module is for it"));
        };
        module.head.add_class(tower, class, &texts)?;
        module.card.class_texts.insert(class.to_owned(), texts);
        if module.card.calibration.take().is_some() {
            module.card.uncalibrated = Some("classes were added to it since".into());
        }
    }
    Ok(())
}

impl Release {
    /// Writes the bundle that `build` makes.
    pub fn write(
        &self,
        counter: u64,
        places: &Places,
        build: impl FnOnce(&Options, &[SigningKey]) -> Result<Vec<u8>, Error>,
    ) -> Result<(), Error> {
        let out = places.file("--out", &self.out, self.force)?;
        within("--least-probability", self.least_probability, 0.0, 1.0)?;
        let keys =
            self.key.iter().map(|path| keys::read_secret(path)).collect::<Result<Vec<_>, _>>()?;
        let stem = || {
            self.out.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let options = Options {
            name: self.name.clone().unwrap_or_else(stem),
            counter,
            predecessor: self.predecessor.clone(),
            intended_use: self.intended_use.clone(),
            least_probability: self.least_probability,
        };
        let measured_on = folders("--int8", &self.int8)?;
        let mut bytes = build(&options, &keys)?;
        if let Some(table) = &self.codes {
            bytes = export::codes::coded(bytes, table, &keys)?;
        }
        let bytes = if measured_on.is_empty() {
            bytes
        } else {
            export::int8::measured(&bytes, &measured_on, &keys)?
        };
        out.write(&bytes)?;
        let id = medforge_runtime::bundle::inspect(bytes)?.id().to_owned();
        output::print(&format!("{}: bundle {id}\n", self.out.display()))
    }
}
