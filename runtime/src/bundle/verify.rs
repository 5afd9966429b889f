//! From a file's bytes to an archive that may be used: frame, signatures, trust, manifest, entries, in this order.
//!
//! Nothing is read out of the manifest before enough trusted keys have signed its bytes, and no entry is handed out
//! before its digest was found in that manifest.

use std::collections::BTreeMap;
use std::ops::Range;

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;

use super::frame::{self, LIMITS};
use super::manifest::{Entry, MANIFEST};
use super::signature::{self, SIGNATURES};
use super::{Description, sha256_hex};
use crate::Error;
use crate::tensors::{self, Tensor};

/// Whose signatures count, and how many of them are needed.
#[derive(Debug, Clone)]
pub struct Trust {
    keys: Vec<VerifyingKey>,
    threshold: usize,
}

impl Trust {
    /// Asks for signatures by `threshold` of `keys`; a key given twice counts once.
    ///
    /// # Errors
    /// [`Error::Trust`] for a weak key, or a threshold of zero or of more than the keys.
    pub fn new(keys: Vec<VerifyingKey>, threshold: usize) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Trust { what });
        let mut distinct: Vec<VerifyingKey> = Vec::with_capacity(keys.len());
        for key in keys {
            if let Err(what) = signature::verifying_key(key.as_bytes()) {
                return refuse(format!("key {} {what}", hex::encode(key.as_bytes())));
            }
            if !contains(&distinct, &key) {
                distinct.push(key);
            }
        }
        if threshold == 0 || threshold > distinct.len() {
            return refuse(format!("{threshold} signatures of {} keys cannot be asked for", distinct.len()));
        }
        Ok(Trust { keys: distinct, threshold })
    }

    /// Asks for one signature by any of the keys in `text`: SPKI PEM, one `PUBLIC KEY` block or several.
    ///
    /// # Errors
    /// [`Error::Trust`] if there is no such block, or one that is not a usable Ed25519 key.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
        const END: &str = "-----END PUBLIC KEY-----";
        let mut keys = Vec::new();
        for block in text.split(BEGIN).skip(1) {
            let body = block.split_once(END).map_or(block, |(body, _)| body);
            let key = VerifyingKey::from_public_key_pem(&format!("{BEGIN}{body}{END}\n")).map_err(|_| {
                Error::Trust { what: format!("PUBLIC KEY block {} is not an Ed25519 key in SPKI PEM", keys.len() + 1) }
            })?;
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(Error::Trust { what: "no PUBLIC KEY block in PEM form is there; give the .pub file".into() });
        }
        Trust::new(keys, 1)
    }

    /// The trusted among `signers`, if they are enough.
    fn accept(&self, signers: Vec<VerifyingKey>) -> Result<Vec<VerifyingKey>, Error> {
        let names: Vec<_> = signers.iter().map(|key| hex::encode(key.as_bytes())).collect();
        let trusted: Vec<_> = signers.into_iter().filter(|key| contains(&self.keys, key)).collect();
        if trusted.len() < self.threshold {
            return Err(Error::NotTrusted {
                trusted: trusted.len(),
                threshold: self.threshold,
                signers: names.join(", "),
            });
        }
        Ok(trusted)
    }
}

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
pub fn open<D: Description>(bytes: Vec<u8>, trust: &Trust) -> Result<Verified<D>, Error> {
    Opened::open(bytes, |signers| trust.accept(signers)).map(Verified)
}

/// Checks all that [`open`] does but for the trust: whoever signed.
///
/// # Errors
/// As [`open`], without [`Error::NotTrusted`].
pub fn open_unverified<D: Description>(bytes: Vec<u8>) -> Result<Unverified<D>, Error> {
    Opened::open(bytes, Ok).map(Unverified)
}

/// Verifies an [`envelope`](super::envelope): the description and its signatures, whatever its payload.
///
/// # Errors
/// As [`open`], but that no payload is looked for and any is refused.
pub fn open_envelope<D: Description>(bytes: &[u8], trust: &Trust) -> Result<Signed<D>, Error> {
    let mut payload: BTreeMap<_, _> = frame::parse(bytes)?.into_iter().collect();
    let signed = Signed::take(bytes, &mut payload, |signers| trust.accept(signers))?;
    match payload.into_keys().next() {
        Some(entry) => Err(Error::BundleEntryUnlisted { entry }),
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
    /// [`Error::BundleEntryMissing`].
    pub fn entry(&self, name: &str) -> Result<&[u8], Error> {
        let range = self.0.payload.get(name).ok_or_else(|| Error::BundleEntryMissing { entry: name.into() })?;
        Ok(&self.0.bytes[range.clone()])
    }

    /// The tensors of a payload entry.
    ///
    /// # Errors
    /// [`Error::BundleEntryMissing`], [`Error::BundleEntryContent`].
    pub fn tensors(&self, name: &str) -> Result<BTreeMap<String, Tensor>, Error> {
        tensors::read(self.entry(name)?, name)
            .map_err(|source| Error::BundleEntryContent { entry: name.into(), source: Box::new(source) })
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
    /// Takes `manifest.json` and `signatures.json` out of an archive's entries.
    fn take(
        bytes: &[u8],
        entries: &mut BTreeMap<String, Range<usize>>,
        accept: impl FnOnce(Vec<VerifyingKey>) -> Result<Vec<VerifyingKey>, Error>,
    ) -> Result<Self, Error> {
        let mut json = |name: &str| -> Result<&[u8], Error> {
            let range = entries.remove(name).ok_or_else(|| Error::BundleEntryMissing { entry: name.into() })?;
            if range.len() > LIMITS.json {
                return Err(Error::BundleLimit { what: format!("{name} has more than {} bytes", LIMITS.json) });
            }
            Ok(&bytes[range])
        };
        let (manifest, signatures) = (json(MANIFEST)?, json(SIGNATURES)?);
        let signers = accept(signature::verify(signatures, D::PAYLOAD_TYPE, manifest)?)?;
        Ok(Signed { description: D::from_canonical(manifest)?, id: sha256_hex(manifest), signers })
    }
}

#[derive(Debug)]
struct Opened<D> {
    bytes: Vec<u8>,
    signed: Signed<D>,
    payload: BTreeMap<String, Range<usize>>,
}

impl<D: Description> Opened<D> {
    fn open(
        bytes: Vec<u8>,
        accept: impl FnOnce(Vec<VerifyingKey>) -> Result<Vec<VerifyingKey>, Error>,
    ) -> Result<Self, Error> {
        let mut payload: BTreeMap<_, _> = frame::parse(&bytes)?.into_iter().collect();
        let signed = Signed::<D>::take(&bytes, &mut payload, accept)?;
        let data = payload.iter().map(|(name, range)| (name.as_str(), &bytes[range.clone()]));
        check_payload(signed.description.entries(), &data.collect())?;
        Ok(Opened { bytes, signed, payload })
    }
}

/// Whether the payload is what the manifest lists: the same names, lengths and digests.
pub(super) fn check_payload(entries: &[Entry], payload: &BTreeMap<&str, &[u8]>) -> Result<(), Error> {
    for entry in entries {
        let name = || entry.name.clone();
        let data = payload.get(entry.name.as_str()).ok_or_else(|| Error::BundleEntryMissing { entry: name() })?;
        let (expected, found) = (entry.length, data.len() as u64);
        if expected != found {
            return Err(Error::BundleEntryLength { entry: name(), expected, found });
        }
        let found = sha256_hex(data);
        if found != entry.sha256 {
            return Err(Error::BundleEntryDigest { entry: name(), expected: entry.sha256.clone(), found });
        }
    }
    let listed = |name: &str| entries.iter().any(|entry| entry.name == name);
    match payload.keys().find(|name| !listed(name)) {
        Some(name) => Err(Error::BundleEntryUnlisted { entry: (*name).into() }),
        None => Ok(()),
    }
}

/// Keys are told apart by their bytes.
fn contains(keys: &[VerifyingKey], key: &VerifyingKey) -> bool {
    keys.iter().any(|other| other.as_bytes() == key.as_bytes())
}
