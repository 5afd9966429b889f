//! From a file's bytes to an archive that may be used: frame, signatures, trust, manifest, entries,
//! in this order.
//!
//! Nothing is read out of the manifest before enough trusted keys have signed its bytes. No entry
//! is handed out before its digest was found in that manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ed25519_dalek::VerifyingKey;

use super::bytes::Bytes;
use super::description::{Description, Entry};
use super::rules::{LIMITS, MANIFEST, SIGNATURES, sha256_hex};
use super::trust::Trust;
use super::{frame, signature};
use crate::Class;
use crate::error::{Error, Refusal};
#[cfg(feature = "classify")]
use crate::tensors::View;
use crate::tensors::{self, Tensor};

/// A description that enough trusted keys have signed.
#[derive(Debug)]
pub struct Signed<D> {
    description: D,
    id: String,
    signers: Vec<VerifyingKey>,
}

/// An archive whose every byte was checked and whose description enough trusted keys have signed.
#[derive(Debug)]
pub struct Verified<D>(Opened<D>);

/// An archive that is whole, and signed by somebody: fit to be looked at, not to be used.
#[derive(Debug)]
pub struct Unverified<D>(Opened<D>);

/// Verifies the archive `bytes`.
///
/// # Errors
/// The first thing found wrong; [`Error::is_refusal`] holds for all of them.
pub fn open<D: Description>(bytes: impl Into<Bytes>, trust: &Trust) -> Result<Verified<D>, Error> {
    Opened::open(bytes.into(), Some(trust)).map(Verified)
}

/// Checks all that [`open`] does, except whether the signers are trusted.
///
/// # Errors
/// As [`open`], without the classes of trust.
pub fn open_unverified<D: Description>(bytes: impl Into<Bytes>) -> Result<Unverified<D>, Error> {
    Opened::open(bytes.into(), None).map(Unverified)
}

/// Verifies an [`envelope`](super::envelope): the description and its signatures, whatever its
/// payload.
///
/// # Errors
/// As [`open`]. No payload is looked for, and any is refused.
pub fn open_envelope<D: Description>(bytes: &[u8], trust: &Trust) -> Result<Signed<D>, Error> {
    let mut payload: BTreeMap<_, _> = frame::parse(bytes)?.into_iter().collect();
    let signed = Signed::take(bytes, &mut payload, Some(trust))?;
    match payload.into_keys().next() {
        Some(entry) => Err(extra(&entry).into()),
        None => Ok(signed),
    }
}

impl<D> Verified<D> {
    /// The signed description.
    pub fn manifest(&self) -> &D {
        &self.0.signed.description
    }

    /// SHA-256 of the manifest's exact bytes, in hex.
    pub fn id(&self) -> &str {
        &self.0.signed.id
    }

    /// The trusted keys that signed.
    pub fn signers(&self) -> &[VerifyingKey] {
        &self.0.signed.signers
    }

    /// The bytes of a payload entry.
    ///
    /// # Errors
    /// [`Class::MissingEntry`].
    pub fn entry(&self, name: &str) -> Result<&[u8], Error> {
        self.0.entry(name)
    }

    /// The tensors of a payload entry.
    ///
    /// # Errors
    /// [`Class::MissingEntry`], and the classes of tensor files.
    pub fn tensors(&self, name: &str) -> Result<BTreeMap<String, Tensor>, Error> {
        tensors::read(self.entry(name)?, name).map_err(refused)
    }

    /// The tensors of a payload entry, their values still in the archive.
    #[cfg(feature = "classify")]
    pub(crate) fn views(&self, name: &str) -> Result<BTreeMap<String, View<'_>>, Error> {
        tensors::views(self.entry(name)?, name).map_err(refused)
    }

    /// The whole archive.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl<D> Unverified<D> {
    /// The description, by whoever signed.
    pub fn manifest(&self) -> &D {
        &self.0.signed.description
    }

    /// SHA-256 of the manifest's exact bytes, in hex.
    pub fn id(&self) -> &str {
        &self.0.signed.id
    }

    /// All keys that signed, trusted or not.
    pub fn signers(&self) -> &[VerifyingKey] {
        &self.0.signed.signers
    }

    /// The bytes of a payload entry, to be looked at.
    ///
    /// # Errors
    /// [`Class::MissingEntry`].
    pub fn entry(&self, name: &str) -> Result<&[u8], Error> {
        self.0.entry(name)
    }
}

impl<D> Signed<D> {
    /// The signed description.
    pub fn description(&self) -> &D {
        &self.description
    }

    /// SHA-256 of the description's exact bytes, in hex.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The trusted keys that signed.
    pub fn signers(&self) -> &[VerifyingKey] {
        &self.signers
    }
}

impl<D: Description> Signed<D> {
    /// Takes `manifest.json` and `signatures.json` out of an archive's entries. Without `trust`
    /// whoever signed is taken.
    fn take(
        bytes: &[u8],
        entries: &mut BTreeMap<String, Range<usize>>,
        trust: Option<&Trust>,
    ) -> Result<Self, Error> {
        let mut json = |name: &str| -> Result<&[u8], Error> {
            let range = entries.remove(name).ok_or_else(|| missing(name))?;
            if range.len() > LIMITS.json {
                let what = format!("it has {} bytes, more than {}", range.len(), LIMITS.json);
                return Err(Refusal::new(Class::JsonTooLarge, what).entry(name).into());
            }
            Ok(&bytes[range])
        };
        let (manifest, signatures) = (json(MANIFEST)?, json(SIGNATURES)?);
        let all = signature::verify(signatures, D::PAYLOAD_TYPE, manifest)?;
        let id = sha256_hex(manifest);
        // Nothing is read out of the manifest before enough keys have signed it.
        let signers = match trust {
            Some(trust) => trust.enough(&all, D::ROLE)?,
            None => all,
        };
        let description = D::from_canonical(manifest)?;
        if let Some(trust) = trust {
            trust.permits(&id, description.release())?;
        }
        Ok(Signed { description, id, signers })
    }
}

#[derive(Debug)]
struct Opened<D> {
    bytes: Bytes,
    signed: Signed<D>,
    payload: BTreeMap<String, Range<usize>>,
}

impl<D: Description> Opened<D> {
    fn open(bytes: Bytes, trust: Option<&Trust>) -> Result<Self, Error> {
        let mut payload: BTreeMap<_, _> = frame::parse(bytes.all()?)?.into_iter().collect();
        let signed = Signed::<D>::take(&bytes, &mut payload, trust)?;
        let found = payload.iter().map(|(name, range)| (name.as_str(), range.len()));
        check_payload(signed.description.entries(), &found.collect(), |name| {
            bytes.sha256_hex(payload[name].clone())
        })
        .map_err(|refusal| {
            let range = refusal.entry.as_ref().and_then(|name| payload.get(name)).cloned();
            Refusal { bytes: range, ..refusal }
        })?;
        payload.iter().try_for_each(|(name, range)| {
            signed.description.check_entry(name, &bytes[range.clone()])
        })?;
        Ok(Opened { bytes, signed, payload })
    }
}

impl<D> Opened<D> {
    fn entry(&self, name: &str) -> Result<&[u8], Error> {
        let range = self.payload.get(name).ok_or_else(|| missing(name))?;
        Ok(&self.bytes[range.clone()])
    }
}

/// Whether the payload, lengths by name, is what the manifest lists: the same names, lengths and
/// digests.
pub(super) fn check_payload(
    entries: &[Entry],
    payload: &BTreeMap<&str, usize>,
    sha256_hex: impl Fn(&str) -> String,
) -> Result<(), Refusal> {
    for entry in entries {
        let &length = payload.get(entry.name.as_str()).ok_or_else(|| missing(&entry.name))?;
        if entry.length != length as u64 {
            let what = format!("it has {} bytes where the manifest says {}", length, entry.length);
            return Err(Refusal::new(Class::LengthMismatch, what).entry(&entry.name));
        }
        let found = sha256_hex(&entry.name);
        if found != entry.sha256 {
            let what = format!(
                "it was changed: its SHA-256 is {found} where the manifest says {}",
                entry.sha256
            );
            return Err(Refusal::new(Class::HashMismatch, what).entry(&entry.name));
        }
    }
    let listed: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    match payload.keys().find(|name| !listed.contains(*name)) {
        Some(name) => Err(extra(name)),
        None => Ok(()),
    }
}

fn missing(entry: &str) -> Refusal {
    Refusal::new(Class::MissingEntry, "it is missing").entry(entry)
}

fn extra(entry: &str) -> Refusal {
    Refusal::new(Class::ExtraEntry, "it is not in the manifest").entry(entry)
}

/// What is wrong with a tensor file is wrong with the bundle that holds it.
pub(crate) fn refused(error: Error) -> Error {
    match error {
        Error::TensorFile { file, class, what } => Refusal::new(class, what).entry(file).into(),
        Error::Tensor { file, tensor, class, what } => {
            Refusal::new(class, format!("tensor {tensor}: {what}")).entry(file).into()
        }
        other => other,
    }
}
