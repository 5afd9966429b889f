//! Packs a base and modules into a signed bundle: graph, weights, factors, heads, golden vectors,
//! card, manifest.
//!
//! Refused: modules of another base or input size, two modules for one task, and whatever the
//! runtime would refuse. A bundle is verified and loaded, golden vectors and all, before it is
//! given out.

use ed25519_dalek::SigningKey;

use crate::Error;
use crate::base::Vit;
use crate::lora::Module;
use crate::merge::compose::sites;
use crate::merge::model::{Composition, Model};

mod check;
mod golden;
mod layout;
mod options;
mod pack;
mod tensors;

pub use check::weights_fit;
pub use options::{Options, Origin, Packed};
use pack::pack;

/// The bundle of `vit` and `modules`, one for each task, signed by `keys`. Its images have the size
/// that the modules were trained at.
///
/// # Errors
/// [`Error::Bundle`] for modules that cannot be in it; [`Error::ImageSize`]; [`Error::Runtime`].
pub fn build_bundle(
    vit: &Vit,
    modules: &[Module],
    options: &Options,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    let alone =
        |t: usize| (0..modules.len()).map(|m| f64::from(u8::from(m == t))).collect::<Vec<_>>();
    let weights = modules.iter().enumerate().map(|(t, m)| (m.card.task.clone(), alone(t)));
    let composition = Composition::Mixture {
        modules: modules.iter().map(sites).collect(),
        weights: weights.collect(),
    };
    let heads = modules.iter().map(|m| (m.card.task.clone(), m.head.clone())).collect();
    // A module that got more classes after it was measured is another classifier now.
    let measured = modules.iter().filter(|m| m.head.classes == m.card.classes);
    let measured =
        measured.filter_map(|m| Some((m.card.task.clone(), m.card.measured()?))).collect();
    let model = Model { heads, composition, routing: None };
    pack(vit, Packed { model: &model, modules, measured, origins: &[] }, options, keys)
}

/// The bundle of a merged model.
///
/// # Errors
/// As [`build_bundle`].
pub fn build_merged_bundle(
    vit: &Vit,
    packed: Packed,
    options: &Options,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    let there = |task: &String| packed.modules.iter().any(|module| module.card.task == *task);
    if let Some(missing) = packed.model.heads.keys().find(|task| !there(task)) {
        return Err(Error::Bundle {
            what: format!("no module is there for the merged model's task {missing}"),
        });
    }
    pack(vit, packed, options, keys)
}
