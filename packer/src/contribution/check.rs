//! Checks of a contribution: its parts belong together, agree with the manifest, and can be merged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_runtime::bundle::description::{canonical, fault_of_prose};
use medforge_runtime::tensors::{self, Tensor};

use super::Manifest;
use crate::Error;
use crate::base::Identity;
use crate::data::{Condensed, Start};
use crate::lora::{Module, site_shape};
use crate::predict::argmax;

/// The longest card, in bytes: far more than a page or two.
pub(super) const MAX_CARD: usize = 1 << 20;
/// The most images of a set. Every search and every new head at the centre runs on all of them.
const MAX_IMAGES: usize = 10_000;

/// Refuses a manifest, a module and a condensed set that do not agree.
pub(super) fn agree(
    place: &Path,
    manifest: &Manifest,
    module: &Module,
    condensed: &Condensed,
) -> Result<(), Error> {
    let (card, set) = (&module.card, &condensed.record);
    let same = |field: &'static str, module: String, condensed: String| {
        if module == condensed {
            Ok(())
        } else {
            Err(Error::Mismatch { path: place.to_owned(), field, module, condensed })
        }
    };
    same("task", card.task.clone(), set.task.clone())?;
    same("classes", card.classes.join(", "), set.classes.join(", "))?;
    same("base", card.base_digest.clone(), set.base_digest.clone())?;
    same("image size", card.image_size.to_string(), set.image_size.to_string())?;
    same("preprocessing", format!("{:?}", card.preprocessing), format!("{:?}", set.preprocessing))?;

    let says = |field: &'static str, holds: bool| {
        if holds { Ok(()) } else { Err(Error::Misdescribed { path: place.to_owned(), field }) }
    };
    says("contributor", manifest.contributor == card.contributor)?;
    says("task", manifest.task == card.task)?;
    says("classes", manifest.classes == card.classes)?;
    says("licence", manifest.licence == card.licence)?;
    says("base_digest", manifest.base_digest == card.base_digest)?;
    says("image_size", manifest.image_size == card.image_size)?;
    says("metrics", manifest.metrics == card.metrics)?;
    says("measured", manifest.measured == card.measured)?;
    says("images", manifest.images == set.real_images.map(|n| n as u64))?;
    says("groups", manifest.groups == set.real_groups.map(|n| n as u64))?;
    // 8 and 8.0 are the same number.
    says(
        "privacy",
        canonical(&manifest.privacy, "privacy")? == canonical(&set.privacy, "privacy")?,
    )?;
    says("real_start", manifest.real_start == (set.start == Start::Real))
}

/// Refuses a contribution that no method can merge: weights beyond the range of f32, too many
/// images, or a class without an image.
pub(super) fn check_mergeable(
    place: &Path,
    module: &Module,
    condensed: &Condensed,
) -> Result<(), Error> {
    let largest =
        |values: &[f32]| values.iter().fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
    for (site, factors) in &module.sites {
        // No value of s*B*A can be larger.
        let bound = module.scale().abs()
            * module.rank as f64
            * largest(&factors.a.data)
            * largest(&factors.b.data);
        if bound.is_nan() || bound > f64::from(f32::MAX) {
            let what = format!("its change of {site} may reach {bound:.1e}, beyond what f32 holds");
            return Err(Error::Unmergeable { path: place.to_owned(), what });
        }
    }
    let refuse =
        |what: String| Err(Error::Unmergeable { path: place.join("condensed.safetensors"), what });
    let classes = &condensed.record.classes;
    let n = condensed.labels.len() / classes.len();
    if n > MAX_IMAGES {
        return refuse(format!("it has {n} images; the centre takes {MAX_IMAGES}"));
    }
    let wide = |row: &[f32]| row.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let present: BTreeSet<usize> =
        condensed.labels.chunks_exact(classes.len()).map(|row| argmax(&wide(row))).collect();
    match (0..classes.len()).find(|class| !present.contains(class)) {
        Some(missing) => {
            refuse(format!("no image is most probably of the class {:?}", classes[missing]))
        }
        None => Ok(()),
    }
}

/// Refuses a card that is not text for people, or could control a terminal.
pub(super) fn check_card(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let refuse = |what: &str| Err(Error::Card { path: path.to_owned(), what: what.into() });
    let Ok(text) = std::str::from_utf8(bytes) else { return refuse("is not UTF-8") };
    if bytes.len() > MAX_CARD {
        return refuse("is longer than 1 MiB");
    }
    if text.trim().is_empty() {
        return refuse(
            "is empty; say what the images are, where they come from and what the module is for",
        );
    }
    fault_of_prose(text).map_or(Ok(()), |fault| refuse(&fault))
}

/// Reads a Gram matrix [in, in] for each of the module's sites, and refuses anything else.
pub(crate) fn read_grams(
    path: &Path,
    bytes: &[u8],
    module: &Module,
    base: &Identity,
) -> Result<BTreeMap<String, Tensor>, Error> {
    let refuse = |what: String| Error::Grams { path: path.to_owned(), what };
    let grams = tensors::read(bytes, &path.display().to_string())?;
    let (own, found): (BTreeSet<_>, BTreeSet<_>) =
        (module.sites.keys().collect(), grams.keys().collect());
    if let Some(site) = own.symmetric_difference(&found).next() {
        let which = if own.contains(site) {
            "has no matrix for"
        } else {
            "has a matrix for a site that the module does not adapt,"
        };
        return Err(refuse(format!("{which} {site}")));
    }
    for (site, gram) in &grams {
        let inputs = site_shape(&base.config, site).map_or(0, |(_, inputs)| inputs);
        if gram.shape != [inputs, inputs] {
            return Err(refuse(format!(
                "{site} has shape {:?} where {:?} is right",
                gram.shape,
                [inputs, inputs]
            )));
        }
    }
    Ok(grams)
}
