//! Every adapter in every form of the kernels that can run on it: what tests compute with.

use crate::Error;
use crate::device::adapter::Adapter;

use super::tuning::{Tile, Tuning};
use super::{Gpu, Options, adapters};

/// An adapter in one of its forms.
pub struct Variant {
    pub name: String,
    pub gpu: Gpu,
    /// Values are kept in f16.
    pub half: bool,
}

/// Every usable adapter in every form, opened anew; fresh memory is NaN.
///
/// # Errors
/// An adapter that cannot be opened.
pub fn variants() -> Result<Vec<Variant>, Error> {
    let mut variants = Vec::new();
    for adapter in adapters().into_iter().filter(|a| a.unusable.is_none()) {
        for (form, tuning, half) in forms(&adapter) {
            let number = Some(adapter.index);
            let options =
                Options { number, half, tuning: Some(tuning), poison: true, budget: None };
            let gpu = Gpu::open(options)?;
            variants.push(Variant { name: format!("{} ({form})", adapter.name), gpu, half });
        }
    }
    Ok(variants)
}

/// The forms by name: how the kernels are tuned, and whether values are kept in f16.
fn forms(adapter: &Adapter) -> Vec<(&'static str, Tuning, bool)> {
    let own = Tuning::of(adapter);
    let shared = Tuning { tile: Tile::Shared, lanes: 64, stored_tokens: 0, full: 128 };
    let registers = Tuning { tile: Tile::Registers, lanes: 1, stored_tokens: 256, full: 16 };
    let subgroups = Tuning { tile: Tile::Subgroup, lanes: 64, stored_tokens: 4, full: 1 };
    let mut forms = vec![
        ("its own form", own, false),
        ("shared tiles", shared, false),
        ("registers", registers, false),
    ];
    if adapter.subgroups && adapter.subgroup[0] >= 8 {
        forms.push(("subgroups", subgroups, false));
    }
    if adapter.shader_f16 {
        forms.push(("f16", own, true));
        forms.push(("f16, shared tiles", shared, true));
    }
    forms
}
