//! Whether a module can be merged with the others.

use crate::base::adapter_path;
use crate::lora::Module;

/// Refuses a module that is not sound, or not of the same kind as the first.
pub fn check(module: &Module, first: &Module) -> Result<(), String> {
    let (own, other) = (&module.card, &first.card);
    if own.base_digest != other.base_digest || own.family != other.family {
        return Err(format!(
            "was trained on the base {}, and the first on {}",
            own.base_digest, other.base_digest
        ));
    }
    if own.image_size != other.image_size {
        return Err(format!(
            "was trained at {} pixels, and the first at {}",
            own.image_size, other.image_size
        ));
    }
    if own.preprocessing != other.preprocessing {
        return Err("was trained on images prepared in another way than the first one's".into());
    }
    if module.rank == 0 || !module.alpha.is_finite() {
        return Err(format!("has rank {} and alpha {}", module.rank, module.alpha));
    }
    for (site, factors) in &module.sites {
        if adapter_path(own.family, own.gated, site).is_none() {
            return Err(format!("site {site}: the base has no such site"));
        }
        for (name, tensor, side) in [("A", &factors.a, 0), ("B", &factors.b, 1)] {
            let fits = tensor.shape.len() == 2
                && tensor.shape[side] == module.rank
                && tensor.shape[0].checked_mul(tensor.shape[1]) == Some(tensor.data.len())
                && !tensor.data.is_empty();
            if !fits {
                return Err(format!(
                    "site {site}: {name} has shape {:?}, which is not of rank {}",
                    tensor.shape, module.rank
                ));
            }
            if let Some(value) = tensor.data.iter().find(|v| !v.is_finite()) {
                return Err(format!("site {site}: {name} holds {value}"));
            }
        }
    }
    Ok(())
}
