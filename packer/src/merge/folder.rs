//! A merged model as a folder: one set of factors, a head for each task.
//!
//! The folder holds `adapter_config.json` and `adapter_model.safetensors` as PEFT has them,
//! `heads/TASK.safetensors` and `run.json` as a module has them, and `merge.json`: method and
//! numbers, members, base.
//!
//! Refused when writing: two members for one task. Refused when reading: what [`Module::open`]
//! refuses, unknown keys, names that are no file names, factors that are not those of the record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_runtime::bundle::measured::Measured;
use sha2::{Digest, Sha256};

use super::model::{Composition, Model};
use super::{Merged, Options};
use crate::base::Vit;
use crate::lora::{Factors, Head, Module, ModuleCard, Run, is_task_name, peft};
use crate::{Error, input};

mod record;
use record::read_record;
pub use record::{Member, RECORD, Record};

/// A merged model, read from its folder or about to be written.
#[derive(Clone, Debug)]
pub struct MergedModel {
    pub record: Record,
    run: Run,
    rank: usize,
    alpha: f64,
    sites: BTreeMap<String, Factors>,
    heads: BTreeMap<String, Head>,
}

impl MergedModel {
    /// The model that `merged` makes of `modules`. Each module adds its task and its head.
    pub fn new(merged: Merged, modules: &[&Module], options: &Options) -> Result<Self, Error> {
        let Some(first) = modules.first() else {
            return Err(Error::Merge { what: "there is no module to merge".into() });
        };
        let weights = options.weights_of(modules.len());
        let (mut members, mut heads) = (Vec::new(), BTreeMap::new());
        for (module, weight) in modules.iter().zip(weights) {
            let card = &module.card;
            if !is_task_name(&card.task) {
                return Err(Error::Merge {
                    what: format!("{:?} cannot be a task's name", card.task),
                });
            }
            if heads.insert(card.task.clone(), module.head.clone().uncalibrated()).is_some() {
                let what = format!(
                    "two modules are for the task {}; a merged model has one head for each",
                    card.task
                );
                return Err(Error::Merge { what });
            }
            members.push(Member {
                task: card.task.clone(),
                contributor: card.contributor.clone(),
                licence: card.licence.clone(),
                factors: module.factors_digest()?,
                weight,
                classes: module.head.classes.clone(),
                alone: card.measured().filter(|_| module.head.classes == card.classes),
                measured: None,
            });
        }
        let kept = merged.kept;
        let whole = merged.into_module(first.head.clone().uncalibrated(), first.card.clone())?;
        let record = Record {
            format: Record::FORMAT.into(),
            version: Record::VERSION,
            family: first.card.family,
            gated: first.card.gated,
            base_digest: first.card.base_digest.clone(),
            image_size: first.card.image_size,
            preprocessing: first.card.preprocessing.clone(),
            created: None,
            options: options.clone(),
            kept,
            factors: whole.factors_digest()?,
            members,
        };
        Ok(MergedModel {
            record,
            run: Run::now(),
            rank: whole.rank,
            alpha: whole.alpha,
            sites: whole.sites,
            heads,
        })
    }

    /// Whether `dir` is a merged model's folder.
    pub fn is_at(dir: &Path) -> bool {
        dir.join(RECORD).is_file()
    }

    /// Reads a merged model's folder and checks that it belongs to `base`: digest, every site,
    /// every shape.
    pub fn open(dir: &Path, base: &Vit) -> Result<Self, Error> {
        let record = read_record(&dir.join(RECORD))?;
        let digest = base.digest();
        if record.base_digest != digest || record.family != base.config.family {
            return Err(Error::OtherBase {
                path: dir.to_owned(),
                module: record.base_digest,
                base: digest,
            });
        }
        if !base.identity().prepares(record.image_size, &record.preprocessing)? {
            return Err(Error::OtherPreprocessing { path: dir.to_owned() });
        }
        let file = input::folder(dir);
        let peft::Adapter { rank, alpha, sites, .. } = peft::read(dir, &file, &base.config)?;
        let mut heads = BTreeMap::new();
        for member in &record.members {
            let name = format!("heads/{}.safetensors", member.task);
            let head = Head::read(
                &dir.join(&name),
                &file(&name)?,
                &member.classes,
                base.config.features(),
            )?;
            heads.insert(member.task.clone(), head);
        }
        let run = if record.created.is_none() { Run::read(dir, &file)? } else { Run::default() };
        let model = MergedModel { record, run, rank, alpha, sites, heads };
        if model.factors()? != model.record.factors {
            let what = format!("holds other factors than {RECORD} says");
            return Err(Error::Config { path: dir.join("adapter_model.safetensors"), what });
        }
        Ok(model)
    }

    /// The time when it was made, if that is known.
    pub fn created(&self) -> Option<&str> {
        self.record.created.as_deref().or(self.run.created.as_deref())
    }

    /// The rank of every site.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The tasks, in the order of the members.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.record.members.iter().map(|member| member.task.as_str())
    }

    /// The model as a module for one of its tasks; none if it is not one of them.
    pub fn module(&self, task: &str) -> Option<Module> {
        let member = self.record.members.iter().find(|member| member.task == task)?;
        let record = &self.record;
        let licences: BTreeSet<&str> = record.members.iter().map(|m| m.licence.as_str()).collect();
        let card = ModuleCard {
            format: ModuleCard::FORMAT.into(),
            version: ModuleCard::VERSION,
            task: task.to_owned(),
            contributor: member.contributor.clone(),
            licence: licences.into_iter().collect::<Vec<_>>().join(" AND "),
            family: record.family,
            gated: record.gated,
            base_digest: record.base_digest.clone(),
            image_size: record.image_size,
            preprocessing: record.preprocessing.clone(),
            created: record.created.clone(),
            run: self.run.clone(),
            classes: member.classes.clone(),
            class_texts: BTreeMap::new(),
            calibration: None,
            uncalibrated: None,
            training: serde_json::json!({ "merge": record }),
            metrics: Vec::new(),
            measured: member.measured.clone(),
            subgroups: Vec::new(),
        };
        let head = self.heads[task].clone();
        Some(Module { rank: self.rank, alpha: self.alpha, sites: self.sites.clone(), head, card })
    }

    /// The one network, with the head of every task.
    pub fn model(&self) -> Model {
        let scale = self.alpha / self.rank as f64;
        let sites = self
            .sites
            .iter()
            .map(|(site, factors)| (site.clone(), factors.scaled(scale)))
            .collect();
        Model { heads: self.heads.clone(), composition: Composition::Fusion(sites), routing: None }
    }

    /// Records the evaluation of the model on one of its tasks.
    pub fn measure(&mut self, task: &str, measured: Measured) {
        if let Some(member) = self.record.members.iter_mut().find(|member| member.task == task) {
            member.measured = Some(measured);
        }
    }

    /// [`RECORD`] alone.
    pub fn record_file(&self) -> Vec<u8> {
        let mut record = serde_json::to_vec_pretty(&self.record).expect("a record is plain data");
        record.push(b'\n');
        record
    }

    /// The files of the folder, by name.
    pub fn files(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let record = self.record_file();
        let (family, gated) = (self.record.family, self.record.gated);
        let [config, model] =
            peft::write_factors(family, gated, self.rank, self.alpha, &self.sites)?;
        let mut files = vec![
            ("adapter_config.json".to_owned(), config),
            ("adapter_model.safetensors".to_owned(), model),
            (RECORD.to_owned(), record),
        ];
        files.extend(self.run.bytes().map(|bytes| (Run::FILE.to_owned(), bytes)));
        for (task, head) in &self.heads {
            files.push((format!("heads/{task}.safetensors"), head.file()?));
        }
        Ok(files)
    }

    /// The digest of the factors as they are written.
    fn factors(&self) -> Result<String, Error> {
        let (family, gated) = (self.record.family, self.record.gated);
        let [_, model] = peft::write_factors(family, gated, self.rank, self.alpha, &self.sites)?;
        Ok(hex::encode(Sha256::digest(model)))
    }
}

#[cfg(test)]
mod tests;
