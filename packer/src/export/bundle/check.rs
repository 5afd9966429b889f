//! Whether modules can be in one bundle, and whether a base can.

use medforge_runtime::bundle::frame::LIMITS;

use crate::Error;
use crate::lora::Module;

/// The image size that all modules were trained at. Refuses modules that cannot be together.
pub(super) fn check(modules: &[Module], digest: &str) -> Result<u32, Error> {
    let refuse = |what: String| Err(Error::Bundle { what });
    let Some(size) = modules.first().map(|first| first.card.image_size) else {
        return refuse("a bundle needs a module".into());
    };
    for (index, module) in modules.iter().enumerate() {
        let (card, task) = (&module.card, &module.card.task);
        if card.base_digest != digest {
            return refuse(format!(
                "the module for {task} was trained on another base ({})",
                card.base_digest
            ));
        }
        if card.image_size != size {
            let (own, first) = (card.image_size, &modules[0].card.task);
            return refuse(format!(
                "the module for {task} was trained at {own} pixels and the one for {first} at \
                 {size}"
            ));
        }
        if card.preprocessing != modules[0].card.preprocessing {
            let first = &modules[0].card.task;
            return refuse(format!(
                "the modules for {task} and {first} were trained on images prepared in different \
                 ways; train them with one way to fit"
            ));
        }
        if module.sites.is_empty() {
            return refuse(format!("the module for {task} adapts no site; train it with targets"));
        }
        if modules[..index].iter().any(|other| other.card.task == *task) {
            return refuse(format!(
                "two modules are for the task {task}; a bundle takes one for each task"
            ));
        }
    }
    Ok(size)
}

/// Refuses a base whose weights take so many `bytes`, if no bundle can hold it.
///
/// # Errors
/// [`Error::Bundle`].
pub fn weights_fit(bytes: u64) -> Result<(), Error> {
    if bytes <= LIMITS.bundle as u64 {
        return Ok(());
    }
    let most = LIMITS.bundle;
    let what = format!(
        "the base's weights take {bytes} bytes, and a bundle has {most} at most; take a base in 16 \
         bits"
    );
    Err(Error::Bundle { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_that_no_bundle_can_hold_is_refused() {
        weights_fit(2_300_000_000).unwrap();
        weights_fit(4_294_967_295).unwrap();
        let said = weights_fit(4_540_000_000).unwrap_err().to_string();
        assert_eq!(
            said,
            "the base's weights take 4540000000 bytes, and a bundle has 4294967295 at most; take a \
             base in 16 bits"
        );
    }
}
