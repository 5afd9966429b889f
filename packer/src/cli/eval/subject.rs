//! What `packer eval` measures: a module, or one task of a merged model as one.

use std::path::Path;

use super::args::Args;
use crate::Error;
use crate::base::Vit;
use crate::eval::Evaluation;
use crate::lora::Module;
use crate::merge::folder::{MergedModel, RECORD};
use crate::output::{NewFile, Places};

/// What is measured: a module, or one task of a merged model as one.
pub struct Subject {
    pub module: Module,
    merged: Option<MergedModel>,
}

impl Subject {
    pub fn open(args: &Args, vit: &Vit) -> Result<Self, Error> {
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
    pub fn place(&self, dir: &Path) -> Result<NewFile, Error> {
        let name = if self.merged.is_some() { RECORD } else { "module.json" };
        Places::default().updated("--record", &dir.join(name))
    }

    /// Records the results; what is in their file now.
    pub fn record(&mut self, evaluation: &Evaluation) -> Result<Vec<u8>, Error> {
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
