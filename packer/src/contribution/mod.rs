//! The contribution: what leaves a hospital, as one signed archive in the bundle's canonical form.
//!
//! It holds a module, the condensed set of the same task and a card for people. If the contributor
//! allows it, it also holds the Gram matrices of RegMean.
//!
//! Refused, when it is made and whenever it is read:
//! - a set that started from patients' images, unless the contributor allows it;
//! - a module and a set that differ in base, task, classes, image size or preprocessing;
//! - a module that adapts no site, or changes weights beyond the range of f32;
//! - values that are not finite, and a class without an image;
//! - a manifest that does not agree with the parts.

use std::collections::BTreeMap;
use std::path::Path;

use ed25519_dalek::{SigningKey, VerifyingKey};
use medforge_runtime::bundle::{self, Description, Trust, Verified};
use medforge_runtime::tensors::{self, Tensor};
use medforge_runtime::{Class, Error as RuntimeError};

use crate::base::Identity;
use crate::data::{Condensed, Start};
use crate::lora::{Module, Run};
use crate::{Error, input, output};

mod check;
mod manifest;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use check::read_grams;
use check::{MAX_CARD, agree, check_card, check_mergeable};
pub use manifest::{FORMAT, GRAMS, Manifest, REQUIRED};

/// The parts of a contribution.
pub struct Parts {
    pub module: Module,
    pub condensed: Condensed,
    /// For people, in Markdown.
    pub card: String,
    /// By site, [in, in]: the mean over tokens of x x^T.
    pub grams: Option<BTreeMap<String, Tensor>>,
}

/// The contributor's choices.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Counts the contributions of this contributor and task.
    pub counter: u64,
    /// Whether a set that started from patients' images may be given away.
    pub allow_real_start: bool,
}

/// A contribution whose parts were all checked.
#[derive(Debug)]
pub struct Contribution {
    archive: Verified<Manifest>,
    pub module: Module,
    pub condensed: Condensed,
    pub grams: Option<BTreeMap<String, Tensor>>,
}

/// Reads the parts for [`build`]: a module's folder, a condensed set's folder and the card.
///
/// # Errors
/// Those of the module, the set and the card.
pub fn read_parts(
    base: &Identity,
    module: &Path,
    condensed: &Path,
    card: &Path,
) -> Result<Parts, Error> {
    let module = Module::open_for(module, base)?;
    let condensed = Condensed::open(condensed)?;
    let bytes = input::read(card, MAX_CARD as u64)?;
    check_card(card, &bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Parts { module, condensed, card: text, grams: None })
}

/// The contribution of `parts` to a forge of `base`, signed by `key`. A calibration stays at home:
/// it is valid for the module alone, and its out-of-distribution score uses means of patients'
/// images.
///
/// # Errors
/// [`Error::RealStart`], and the errors of [`Contribution::open`].
pub fn build(
    parts: &Parts,
    options: Options,
    base: &Identity,
    key: &SigningKey,
) -> Result<Contribution, Error> {
    let (card, record) = (&parts.module.card, &parts.condensed.record);
    if record.start == Start::Real && !options.allow_real_start {
        return Err(Error::RealStart { task: record.task.clone() });
    }
    let mut module = parts.module.uncalibrated();
    // An archive has no `run.json`, so the card holds the time.
    module.card.created = card.created().map(str::to_owned);
    module.card.run = Run::default();
    let files = module.files()?.into_iter().chain(parts.condensed.files()?);
    let mut payload: BTreeMap<_, _> = files.map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    payload.insert("card.md".into(), parts.card.clone().into_bytes());
    if let Some(grams) = &parts.grams {
        payload.insert(
            GRAMS.into(),
            tensors::write(grams.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new())?,
        );
    }
    let manifest = Manifest {
        format: FORMAT.into(),
        version: Manifest::VERSION,
        name: Manifest::name_of(&card.contributor, &card.task),
        counter: options.counter,
        contributor: card.contributor.clone(),
        task: card.task.clone(),
        classes: card.classes.clone(),
        licence: card.licence.clone(),
        created: output::now(),
        base_digest: card.base_digest.clone(),
        image_size: card.image_size,
        metrics: card.metrics.clone(),
        measured: card.measured.clone(),
        images: record.real_images.map(|n| n as u64),
        groups: record.real_groups.map(|n| n as u64),
        privacy: record.privacy.clone(),
        real_start: record.start == Start::Real,
        entries: bundle::list(&payload),
        tool: tool(),
    };
    card.measured().iter().try_for_each(|measured| measured.check_intervals("the module"))?;
    let bytes = bundle::assemble(&manifest, &payload, std::slice::from_ref(key))?;
    let trust = Trust::new(vec![key.verifying_key()], 1)?;
    Contribution::open(Path::new("the contribution"), bytes, &trust, base)
}

impl Contribution {
    /// Verifies a contribution's bytes and checks all of its parts. Errors name them as files of
    /// `place`.
    ///
    /// # Errors
    /// [`Error::Contribution`] and [`Error::NotAContributor`] for the archive; [`Error::Mismatch`],
    /// [`Error::NoSites`], [`Error::Card`], [`Error::Grams`], [`Error::Unmergeable`] and the errors
    /// of [`Module::read`] and [`Condensed::read`] for the parts.
    pub fn open(
        place: &Path,
        bytes: Vec<u8>,
        trust: &Trust,
        base: &Identity,
    ) -> Result<Self, Error> {
        let archive = bundle::open::<Manifest>(bytes, trust).map_err(|source| match source {
            RuntimeError::Refused(refusal) if refusal.class == Class::WrongKey => {
                Error::NotAContributor { path: place.to_owned(), what: refusal.what }
            }
            source => Error::Contribution { path: place.to_owned(), source },
        })?;
        let file = |name: &str| Ok(archive.entry(name)?.to_vec());
        let module = Module::read(place, file, base)?;
        // Members are merged into one network, so their images must be prepared in the same way.
        if base.preprocessing_for(module.card.image_size)? != module.card.preprocessing {
            return Err(Error::OtherPreprocessing { path: place.to_owned() });
        }
        let condensed = Condensed::read(place, file)?;
        check_card(&place.join("card.md"), archive.entry("card.md")?)?;
        let grams = archive.manifest().entries.iter().any(|entry| entry.name == GRAMS);
        let grams = grams
            .then(|| read_grams(&place.join(GRAMS), archive.entry(GRAMS)?, &module, base))
            .transpose()?;
        if module.sites.is_empty() {
            return Err(Error::NoSites { path: place.to_owned() });
        }
        agree(place, archive.manifest(), &module, &condensed)?;
        check_mergeable(place, &module, &condensed)?;
        Ok(Contribution { archive, module, condensed, grams })
    }

    /// The signed description.
    pub fn manifest(&self) -> &Manifest {
        self.archive.manifest()
    }

    /// SHA-256 of the manifest's exact bytes, in hex.
    pub fn id(&self) -> &str {
        self.archive.id()
    }

    /// The trusted keys that signed.
    pub fn signers(&self) -> &[VerifyingKey] {
        self.archive.signers()
    }

    /// The archive's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.archive.bytes()
    }

    /// The bytes of an entry.
    ///
    /// # Errors
    /// A refusal if there is no such entry.
    pub fn entry(&self, name: &str) -> Result<&[u8], Error> {
        Ok(self.archive.entry(name)?)
    }
}

/// The tool that records name.
pub(crate) fn tool() -> bundle::manifest::Tool {
    bundle::manifest::Tool { name: "packer".into(), version: env!("CARGO_PKG_VERSION").into() }
}
