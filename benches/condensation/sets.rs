//! The sets that learners are trained on: chosen real images, or condensed ones, kept in a folder
//! each.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use medforge_packer::Error;
use medforge_packer::condense::privacy::Budget;
use medforge_packer::condense::{
    Bank, Condensation, CondenseSettings, Source, contact_sheet, k_means, medoids,
};
use medforge_packer::data::Condensed;
use medforge_packer::device::Device;
use medforge_packer::random::{Purpose, Stream};
use medforge_packer::train::Unobserved;

use crate::task::Task;

type Failure = Box<dyn std::error::Error>;

pub enum Set {
    /// Indices of real training images.
    Real(Vec<usize>),
    Synthetic(Box<Condensed>),
}

/// Makes sets of one task; the bank of real statistics is measured when it is first needed.
pub struct Maker {
    out: PathBuf,
    name: String,
    settings: CondenseSettings,
    budget: Option<Budget>,
    with_module: bool,
    bank: Option<Bank>,
}

impl Maker {
    pub fn new(
        out: &Path,
        name: &str,
        settings: CondenseSettings,
        budget: Option<Budget>,
        with_module: bool,
    ) -> Self {
        Maker {
            out: out.join("sets"),
            name: name.to_owned(),
            settings,
            budget,
            with_module,
            bank: None,
        }
    }

    /// A set made by `method`; none where that makes no sense (all images under several sizes) or
    /// is refused.
    pub fn make<D: Device + 'static>(
        &mut self,
        device: &D,
        task: &Task,
        method: &str,
        per_class: usize,
        seed: u64,
    ) -> Result<Option<Set>, Failure> {
        Ok(match method {
            "all" => {
                (per_class == 1 && seed == 0).then(|| Set::Real((0..task.train.len()).collect()))
            }
            "random" => Some(Set::Real(task.choose(|own| {
                let mut own = own.to_vec();
                Stream::at(seed, Purpose::Subset, per_class as u64, 9).shuffle(&mut own);
                own.truncate(per_class);
                own
            }))),
            "kmeans" => Some(Set::Real(task.choose(|own| {
                let rows: Vec<&[f32]> = own.iter().map(|&i| task.feature(i)).collect();
                let of = k_means(&rows, per_class.min(own.len()), seed);
                medoids(&rows, &of).into_iter().map(|m| own[m]).collect()
            }))),
            "condensed" => self.condensed(device, task, per_class, seed)?,
            other => return Err(format!("there is no method {other}").into()),
        })
    }

    fn condensed<D: Device + 'static>(
        &mut self,
        device: &D,
        task: &Task,
        per_class: usize,
        seed: u64,
    ) -> Result<Option<Set>, Failure> {
        let dir = self.out.join(format!("{}-{}-{per_class}-{seed}", self.name, task.name));
        if dir.join(Condensed::MARKER).exists() {
            return Ok(Some(Set::Synthetic(Box::new(Condensed::open(&dir)?))));
        }
        let settings = CondenseSettings { per_class, seed, ..self.settings.clone() };
        let module = self.with_module.then_some(&task.module);
        let source =
            Source { vit: &task.base, classes: &task.classes, images: &task.train, module };
        let begun = Instant::now();
        if self.bank.is_none() {
            self.bank = Some(match self.budget {
                None => Bank::measure(device, source, &self.settings, &mut Unobserved)?,
                Some(_) => Bank::private(device, source, &self.settings, None, &mut Unobserved)?,
            });
            println!("{}: bank in {:.0} s", task.name, begun.elapsed().as_secs_f64());
        }
        let bank = self.bank.as_mut().expect("the bank was just made");
        let begun = Instant::now();
        let members: Vec<usize> = (0..bank.labels().len()).collect();
        if let Some(budget) = self.budget {
            // Made anew for each seed: its noise is part of the spread.
            match bank.release(&members, &task.classes, budget) {
                Err(error @ Error::TooFewGroups { .. }) => {
                    println!("{}: refused: {error}", task.name);
                    return Ok(None);
                }
                released => released?,
            }
        }
        let set = Condensation::new(device, source, &task.name, &settings).run_from(
            bank,
            &members,
            &mut Unobserved,
        )?;
        let (seconds, [first, last]) = (begun.elapsed().as_secs_f64(), set.record.loss);
        println!(
            "{} {per_class} a class, seed {seed}: {seconds:.0} s, loss {first:.3} to {last:.3}",
            task.name
        );
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("contact-sheet.png"), contact_sheet(&set)?)?;
        for (name, bytes) in set.files()? {
            fs::write(dir.join(name), bytes)?;
        }
        Ok(Some(Set::Synthetic(Box::new(set))))
    }
}
