//! What a method of merging is given, and what it gives.

use std::collections::BTreeMap;

use medforge_runtime::tensors::Tensor;
use serde_json::Value;

use crate::Error;
use crate::data::Condensed;
use crate::lora::{Head, Module};

/// A method that merges the members of a forge item. Its result depends on its settings, the
/// previous model and the members, and on nothing else. Every machine that rebuilds the item gets
/// the same bytes.
pub trait Merge {
    /// The method's name and all of its settings, seed included. They are recorded with the item,
    /// and the method can be built from them again.
    fn settings(&self) -> Value;

    /// Whether a merge continues from the previous item's model. If not, `previous` is never given,
    /// and no model in between is built when members leave.
    fn sequential(&self) -> bool {
        true
    }

    /// Whether it can continue from a model that was built with `settings`. If not, the models in
    /// between are built anew.
    fn goes_on_from(&self, settings: &Value) -> bool {
        let _ = settings;
        self.sequential()
    }

    /// The model of all `members`. There is at least one member, and the last is new. `previous` is
    /// the model of the members before it.
    ///
    /// # Errors
    /// [`Error::Merge`] for members that the method cannot merge; damage to the store.
    fn merge(
        &self,
        previous: Option<&ItemModel>,
        members: &dyn Members,
    ) -> Result<ItemModel, Error>;
}

/// The members of an item that is being built. Each part is read from the store when it is asked
/// for.
pub trait Members {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// `CONTRIBUTOR/TASK`.
    fn name(&self, i: usize) -> &str;
    /// The contribution's id.
    fn digest(&self, i: usize) -> &str;
    fn module(&self, i: usize) -> Result<Module, Error>;
    fn condensed(&self, i: usize) -> Result<Condensed, Error>;
    /// The module's head alone.
    fn head(&self, i: usize) -> Result<Head, Error>;
    /// The contributions that were pushed up to the number `until` and are no members yet. Where
    /// several have one name, only the newest counts.
    fn later(&self, until: u64) -> Result<Vec<TaskData>, Error>;
    /// By site, [in, in]: the Gram matrices, where the contributor gave them.
    fn grams(&self, i: usize) -> Result<Option<BTreeMap<String, Tensor>>, Error>;
}

/// A contribution's task with its head and its condensed set.
pub struct TaskData {
    /// The contribution's id.
    pub id: String,
    /// The task's name.
    pub name: String,
    pub head: Head,
    pub set: Condensed,
}

/// The model of an item, as files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemModel {
    /// What explains the result: weights, search trace and the like.
    pub record: Value,
    /// The model's files by name (`a-z 0-9 . _ / -`).
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Builds a method again from the settings that an item records.
pub type Methods<'a> = &'a dyn Fn(&Value) -> Result<Box<dyn Merge + 'a>, Error>;
