//! What goes into a bundle.

use std::collections::BTreeMap;

use medforge_runtime::bundle::manifest;
use medforge_runtime::bundle::measured::Measured;

use crate::lora::Module;
use crate::merge::model::Model;

/// What people say about a bundle.
#[derive(Clone, Debug)]
pub struct Options {
    /// What people call it.
    pub name: String,
    /// Counts the releases of this name.
    pub counter: u64,
    /// The id of the bundle that it replaces.
    pub predecessor: Option<String>,
    /// Whom it is for, and for what.
    pub intended_use: String,
    /// A calibrated task gives no answer where every class is less probable than this.
    pub least_probability: f64,
}

/// What goes into a bundle beside the base.
pub struct Packed<'a> {
    pub model: &'a Model,
    /// One for each task of the model.
    pub modules: &'a [Module],
    /// What was measured of the model as it is packed, by task.
    pub measured: BTreeMap<String, Measured>,
    /// The work that went into a merged model. Empty for other models.
    pub origins: &'a [Origin],
}

/// One contributor's work for one task, before it was merged.
pub struct Origin {
    /// Its results do not hold for the merged model. Its `card` is filled in when it is packed.
    pub member: manifest::Member,
    /// The contributor's own card, in Markdown.
    pub card: Option<Vec<u8>>,
}
