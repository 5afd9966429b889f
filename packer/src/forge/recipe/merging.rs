//! Methods built from settings, and the models that items hold.

use serde_json::Value;

use super::recipes::{Recipe, Recipes};
use super::settings::{Method, RecipeSettings};
use super::{files, free, fused, mixed, mixture_weights, routed};
use crate::Error;
use crate::forge::{Content, ItemModel, Members, Merge};
use crate::lora::Module;
use crate::merge::model::{Composition, Model};

impl Recipes<'_> {
    /// The method of `settings`.
    ///
    /// # Errors
    /// [`Error::Merge`] for numbers out of range.
    pub fn method(&self, settings: RecipeSettings) -> Result<Recipe<'_>, Error> {
        settings.check()?;
        Ok(Recipe { settings, recipes: self })
    }

    /// The method that an item records.
    ///
    /// # Errors
    /// [`Error::UnknownMethod`].
    pub fn recorded(&self, recorded: &Value) -> Result<Box<dyn Merge + '_>, Error> {
        let unknown = || Error::UnknownMethod { settings: recorded.to_string() };
        let settings: RecipeSettings =
            serde_json::from_value(recorded.clone()).map_err(|_| unknown())?;
        Ok(Box::new(self.method(settings).map_err(|_| unknown())?))
    }

    /// The model that an item holds, and its members' modules in their order. `recorded` are the
    /// item's settings.
    ///
    /// # Errors
    /// Damage to the store, [`Error::UnknownMethod`], [`Error::Merge`] for an item without members.
    pub fn model(
        &self,
        recorded: &Value,
        content: &Content,
    ) -> Result<(Model, Vec<Module>), Error> {
        let unknown = |_| Error::UnknownMethod { settings: recorded.to_string() };
        let settings: RecipeSettings = serde_json::from_value(recorded.clone()).map_err(unknown)?;
        if content.members.is_empty() {
            return Err(Error::Merge { what: "the item has no member left".into() });
        }
        let members = self.forge.members(content);
        let modules =
            (0..members.len()).map(|i| members.module(i)).collect::<Result<Vec<_>, _>>()?;
        let stored = self.forge.stored_model(content)?;
        Ok((self.read(&settings.method, &stored, &members, &modules)?, modules))
    }

    /// The model in the files `stored`, which `method` built from `members` with these `modules`.
    pub(in crate::forge) fn read(
        &self,
        method: &Method,
        stored: &ItemModel,
        members: &dyn Members,
        modules: &[Module],
    ) -> Result<Model, Error> {
        let heads = files::heads(stored, modules, self.vit()?.config.features())?;
        let composition = match method {
            Method::Free(_) | Method::Fusion(_) => files::fusion(stored, &self.vit()?.config)?,
            Method::Mixture(_) => mixture_weights::composition(stored, members, modules)?,
            Method::Routed => routed::composition(modules),
        };
        let routing = routed::routing(stored, modules)?;
        if routing.is_none() && matches!(composition, Composition::Routed { .. }) {
            return Err(Error::ForgeHistory {
                what: "the item's routed model has no routing".into(),
            });
        }
        Ok(Model { heads, composition, routing })
    }
}

impl Merge for Recipe<'_> {
    fn settings(&self) -> Value {
        serde_json::to_value(&self.settings).expect("settings are plain data")
    }

    fn sequential(&self) -> bool {
        matches!(self.settings.method, Method::Fusion(_) | Method::Mixture(_))
    }

    fn goes_on_from(&self, settings: &Value) -> bool {
        let Ok(before) = serde_json::from_value::<RecipeSettings>(settings.clone()) else {
            return false;
        };
        match (&self.settings.method, &before.method) {
            (Method::Fusion(_), Method::Fusion(_) | Method::Free(_)) => true,
            (Method::Mixture(own), Method::Mixture(old)) => {
                own.joint == old.joint && own.search.per_task == old.search.per_task
            }
            _ => false,
        }
    }

    fn merge(
        &self,
        previous: Option<&ItemModel>,
        members: &dyn Members,
    ) -> Result<ItemModel, Error> {
        let mut model = match &self.settings.method {
            Method::Free(options) => free::merge(self, options, members),
            Method::Fusion(search) => fused::merge(self, search, previous, members),
            Method::Mixture(mixture) => mixed::merge(self, mixture, previous, members),
            Method::Routed => routed::merge(members),
        }?;
        if self.settings.routing || self.settings.method == Method::Routed {
            routed::add(self, members, &mut model)?;
        }
        Ok(model)
    }
}
