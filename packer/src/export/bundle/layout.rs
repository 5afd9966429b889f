//! Which modules are in a bundle, and which take part in which task.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use medforge_runtime::bundle::description::MAX_NAME;
use medforge_runtime::bundle::manifest::{self, Mode};
use medforge_runtime::bundle::sha256_hex;

use super::tensors::{factors, write};
use crate::Error;
use crate::base::Vit;
use crate::lora::Module;
use crate::merge::Sites;
use crate::merge::model::{Composition, Model};

/// The networks of a model as modules of a bundle, and who takes part in which task.
pub(super) struct Layout<'a> {
    vit: &'a Vit,
    /// The base's digest.
    base: &'a str,
    /// Each with its file.
    pub modules: Vec<(manifest::Module, Vec<u8>)>,
    pub compositions: Vec<manifest::Composition>,
    pub routing: Option<manifest::Routing>,
    /// By task: the networks whose features its golden vectors hold, by their place among the
    /// model's.
    pub networks: BTreeMap<String, Vec<usize>>,
}

impl<'a> Layout<'a> {
    /// The layout of `model`, whose tasks have the modules `members`; `base` is the digest of
    /// `vit`.
    ///
    /// # Errors
    /// [`Error::Bundle`] for modules that do not fit the model.
    pub fn new(
        vit: &'a Vit,
        model: &Model,
        members: &[Module],
        base: &'a str,
    ) -> Result<Self, Error> {
        let routing = model.routing.as_ref();
        let mut layout = Layout {
            vit,
            base,
            modules: Vec::new(),
            compositions: Vec::new(),
            routing: routing.map(|_| manifest::Routing { entry: manifest::PROTOTYPES.into() }),
            networks: BTreeMap::new(),
        };
        match &model.composition {
            Composition::Fusion(sites) => layout.fusion(sites, model, members)?,
            Composition::Mixture { modules, weights } => {
                layout.mixture(modules, weights, members)?;
            }
            Composition::Routed { modules } => layout.routed(modules, model, members)?,
        }
        Ok(layout)
    }

    /// The place of the first module among the model's networks. With routing, the base alone comes
    /// before it; a task's golden vectors have that only where the task is routed.
    fn first(&self) -> usize {
        usize::from(self.routing.is_some())
    }

    /// One module for all tasks.
    fn fusion(&mut self, sites: &Sites, model: &Model, members: &[Module]) -> Result<(), Error> {
        let contributors = members.iter().map(|m| m.card.contributor.as_str()).collect();
        let licences = members.iter().map(|m| m.card.licence.as_str()).collect();
        let contributor = joined("contributors", &contributors);
        let licence = joined("licences", &licences);
        let id = self.add(sites, contributor, licence, "merged".into())?;
        for task in model.heads.keys() {
            let part = manifest::WeightedModule { module: id.clone(), weight: 1.0 };
            self.compose(task, Mode::Fusion, vec![part]);
            self.networks.insert(task.clone(), vec![self.first()]);
        }
        Ok(())
    }

    /// For each task the modules that have a weight.
    fn mixture(
        &mut self,
        modules: &[Sites],
        weights: &BTreeMap<String, Vec<f64>>,
        members: &[Module],
    ) -> Result<(), Error> {
        if modules.len() != members.len() {
            let what = format!(
                "the mixture has {} modules, and {} are there",
                modules.len(),
                members.len()
            );
            return Err(Error::Bundle { what });
        }
        let mut ids = BTreeMap::new();
        for (task, weights) in weights {
            let mut taking: Vec<usize> =
                (0..weights.len()).filter(|&m| weights[m] != 0.0).collect();
            if taking.is_empty() {
                taking.push(0);
            }
            let (mut parts, mut networks): (Vec<manifest::WeightedModule>, _) =
                (Vec::new(), Vec::new());
            for &m in &taking {
                if let Entry::Vacant(place) = ids.entry(m) {
                    let card = members[m].card.clone();
                    let id = self.add(&modules[m], card.contributor, card.licence, card.task)?;
                    place.insert(id);
                }
                // A module alone answers the same whatever its weight, if that is positive.
                let alone = taking.len() == 1 && weights[m] > 0.0;
                let weight = if alone { 1.0 } else { weights[m] };
                // Two contributors may have sent the same module.
                match parts.iter_mut().find(|part| part.module == ids[&m]) {
                    Some(part) => part.weight += weight,
                    None => {
                        parts.push(manifest::WeightedModule { module: ids[&m].clone(), weight });
                        networks.push(self.first() + m);
                    }
                }
            }
            let alone = parts.len() == 1 && parts[0].weight == 1.0;
            self.compose(task, if alone { Mode::Fusion } else { Mode::Mixture }, parts);
            self.networks.insert(task.clone(), networks);
        }
        Ok(())
    }

    /// Every module for every task. Their weights depend on the image.
    fn routed(
        &mut self,
        modules: &[Sites],
        model: &Model,
        members: &[Module],
    ) -> Result<(), Error> {
        if self.routing.is_none() {
            return Err(Error::Bundle { what: "a routed model needs routing".into() });
        }
        let mut parts = Vec::new();
        for (sites, task) in modules.iter().zip(model.heads.keys()) {
            let Some(module) = members.iter().find(|m| m.card.task == *task) else {
                return Err(Error::Bundle {
                    what: format!("no module is there for the routed task {task}"),
                });
            };
            let card = module.card.clone();
            let id = self.add(sites, card.contributor, card.licence, task.clone())?;
            parts.push(manifest::WeightedModule { module: id, weight: 1.0 });
        }
        for task in model.heads.keys() {
            self.compose(task, Mode::Routed, parts.clone());
            self.networks.insert(task.clone(), (0..=modules.len()).collect());
        }
        Ok(())
    }

    /// Adds a module, unless it is there already, and gives its id.
    fn add(
        &mut self,
        sites: &Sites,
        contributor: String,
        licence: String,
        task: String,
    ) -> Result<String, Error> {
        let bytes = write(&factors(self.vit, sites))?;
        let id = sha256_hex(&bytes);
        let rank = sites.values().map(|f| f.a.shape[0]).max().unwrap_or(0);
        let module = manifest::Module {
            id: id.clone(),
            contributor,
            task,
            rank: u32::try_from(rank).unwrap_or(u32::MAX),
            sites: sites.keys().cloned().collect(),
            licence,
            base: self.base.to_owned(),
            entry: format!("modules/{id}.safetensors"),
        };
        if !self.modules.iter().any(|(known, _)| known.id == id) {
            self.modules.push((module, bytes));
        }
        Ok(id)
    }

    fn compose(&mut self, task: &str, mode: Mode, parts: Vec<manifest::WeightedModule>) {
        self.compositions.push(manifest::Composition { task: task.to_owned(), mode, parts });
    }
}

/// Names in one line, or their number where the line is longer than a manifest takes.
fn joined(kind: &str, names: &BTreeSet<&str>) -> String {
    let joined = names.iter().copied().collect::<Vec<_>>().join(", ");
    if joined.len() <= MAX_NAME {
        joined
    } else {
        format!("{} {kind}, named in model_card.md", names.len())
    }
}
