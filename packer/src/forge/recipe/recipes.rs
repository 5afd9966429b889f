//! A forge's base with what methods need to run on it.

use std::cell::OnceCell;

use super::settings::{RecipeSettings, SearchSets};
use super::tasks::task_data;
use crate::Error;
use crate::base::Vit;
use crate::device::cpu::Cpu;
use crate::forge::{Forge, Members, TaskData};
use crate::merge::compose::{Features, Judge};

/// Builds methods from settings. All of them share one base, which is read when first needed.
pub struct Recipes<'a> {
    pub(in crate::forge) forge: &'a Forge,
    pub(in crate::forge) device: Cpu<f32>,
    vit: OnceCell<Vit>,
    /// Called with the number of evaluations done, and of how many.
    pub(super) step: &'a dyn Fn(usize, usize),
    /// The features of condensed sets, if they are kept. Otherwise each merge drops them, so that a
    /// long history needs little memory.
    features: Option<Features>,
}

/// A method with the base that it works on.
pub struct Recipe<'a> {
    pub(super) settings: RecipeSettings,
    pub(super) recipes: &'a Recipes<'a>,
}

impl<'a> Recipes<'a> {
    /// Methods for `forge`. `step` is called with the number of evaluations done, and of how many.
    pub fn new(forge: &'a Forge, step: &'a dyn Fn(usize, usize)) -> Self {
        Recipes { forge, device: Cpu::new(), vit: OnceCell::new(), step, features: None }
    }

    /// The same, with the features of condensed sets kept for all methods.
    pub(in crate::forge) fn remembering(self) -> Self {
        Recipes { features: Some(Features::default()), ..self }
    }

    /// The base.
    ///
    /// # Errors
    /// Damage to the store.
    pub fn vit(&self) -> Result<&Vit, Error> {
        if let Some(vit) = self.vit.get() {
            return Ok(vit);
        }
        let vit = self.forge.base()?;
        Ok(self.vit.get_or_init(|| vit))
    }

    pub(in crate::forge) fn judge(&self) -> Result<Judge<'_, Cpu<f32>>, Error> {
        let features = self.features.clone().unwrap_or_default();
        Ok(Judge::sharing(&self.device, self.vit()?, &features))
    }
}

impl Recipe<'_> {
    /// The tasks whose condensed sets a search uses: the members' in their order, then any others.
    pub(super) fn task_data(&self, members: &dyn Members) -> Result<Vec<TaskData>, Error> {
        let mut data = task_data(members)?;
        if let SearchSets::All(until) = self.settings.condensed {
            data.extend(members.later(until)?);
        }
        Ok(data)
    }
}
