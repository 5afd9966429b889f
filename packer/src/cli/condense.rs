//! `packer condense`: images and a base in, a few synthetic images out.

use std::path::Path;

use super::device::on_device;
use super::input::{check_task, fingerprint};
use super::keep;
use crate::base::Vit;
use crate::condense::privacy::{Accounting, Budget};
use crate::condense::{Checkpoint, Condensation, CondenseSettings, Source, contact_sheet, page};
use crate::data::{Condensed, Dataset, Images, Split, Start};
use crate::lora::Module;
use crate::output::{NewFile, NewFolder, Places};
use crate::{Error, eval, output};

mod args;
mod console;
mod recipe;

pub use args::Args;

use console::Console;

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    check_task(&args.task)?;
    let budget = args.budget()?;
    let settings = args.recipe.settings(budget.is_some())?;
    let out = places.folder("--out", &args.out, args.force, Condensed::MARKER)?;
    let report =
        args.report.as_ref().map(|path| places.file("--report", path, args.force)).transpose()?;
    let checkpoint = keep::place(places, out.path(), args.resume, args.force)?;
    let prepared = Prepared::new(&args, settings)?;
    let (set, course) = prepared.condense(&args, budget, &checkpoint)?;
    save(out, &set)?;
    keep::forget(&checkpoint)?;
    if let Some(report) = &report {
        page(&set, &course)?.write(report)?;
    }
    output::print(&summary(&args.out, &set))
}

/// What a condensation reads.
struct Prepared {
    settings: CondenseSettings,
    vit: Vit,
    module: Option<Module>,
    data: Dataset,
    /// Indices into the data's items.
    training: Vec<usize>,
    images: Images,
}

impl Prepared {
    fn new(args: &Args, settings: CondenseSettings) -> Result<Self, Error> {
        let mut vit = Vit::open(&args.base)?;
        let module = args.module.as_ref().map(|dir| Module::open(dir, &vit)).transpose()?;
        if let Some(module) = &module {
            vit.preprocessing = module.card.preprocessing.clone();
        }
        let size = args.recipe.size.unwrap_or(vit.preprocessing.output_size().height);
        let settings = CondenseSettings { size: size as usize, ..settings };
        let preprocessing = vit.preprocessing_for(size)?;
        let data = args.data.open()?;
        if let Some(module) = &module {
            eval::check_classes(module, &data)?;
        }
        let training = data.indices(Split::Train);
        let images = Images::load(&data, &training, &preprocessing)?;
        Ok(Prepared { settings, vit, module, data, training, images })
    }

    /// The set, and the course of its loss.
    fn condense(
        &self,
        args: &Args,
        budget: Option<Budget>,
        checkpoint: &NewFile,
    ) -> Result<(Condensed, Vec<(usize, f64)>), Error> {
        let Prepared { settings, vit, module, data, images, .. } = self;
        let source = Source { vit, classes: &data.classes, images, module: module.as_ref() };
        let fingerprint = self.fingerprint(budget)?;
        let path = checkpoint.path();
        let resume = if args.resume && path.exists() {
            Some(Checkpoint::open(path, settings, &fingerprint)?)
        } else {
            None
        };
        let mut console = Console::new(checkpoint, &fingerprint);
        let opened = args.device.open(false)?;
        let set = on_device!(opened, device => {
            let condensation = Condensation::new(device, source, &args.task, settings);
            Condensation { resume, ..condensation }.run(budget, &mut console)
        });
        console.bar.finish_and_clear();
        Ok((set.map_err(|e| console.keeper.explain(e))?, console.course))
    }

    /// What must be the same when a stopped condensation goes on.
    fn fingerprint(&self, budget: Option<Budget>) -> Result<String, Error> {
        let factors = self.module.as_ref().map(Module::factors_digest).transpose()?;
        let factors = factors.unwrap_or_default();
        let data = fingerprint(&self.data, &self.training);
        Ok(format!("{} {factors} {budget:?} {data}", self.vit.digest()))
    }
}

fn save(out: NewFolder, set: &Condensed) -> Result<(), Error> {
    let dir = out.begin()?;
    for (name, bytes) in set.files()? {
        dir.write(name, &bytes)?;
    }
    dir.write("contact-sheet.png", &contact_sheet(set)?)?;
    dir.commit()
}

/// What was made, and what is promised of it.
fn summary(out: &Path, set: &Condensed) -> String {
    let record = &set.record;
    let [first, last] = record.loss;
    let mut text = format!(
        "{}: task {}, {} images of {} pixels, {} a class; loss {first:.4} at the start, {last:.4} \
         at the end\n",
        out.display(),
        record.task,
        set.len(),
        record.image_size,
        record.per_class
    );
    let accounting =
        record.privacy.as_ref().and_then(|p| serde_json::from_value::<Accounting>(p.clone()).ok());
    text += &match (accounting, record.start) {
        (Some(accounting), _) => format!("{}\n", accounting.statement),
        (None, Start::Real) => {
            "It was started from images of patients: do not give it away.\n".into()
        }
        (None, Start::Noise) => {
            "Nothing is promised about privacy: run `packer audit-privacy`, or condense with \
             --epsilon.\n"
                .into()
        }
    };
    text
}
