//! The bundle, format version 1: one canonical byte form, signed, verified before anything in it is
//! used.
//!
//! The form is that of every signed archive ([`Description`] says of which kind); the bundle is the
//! kind that runs on devices. [`verify()`] is the only way to a [`VerifiedBundle`], and the
//! classifier takes nothing else. `docs/format.md` is the format byte by byte, `docs/threats.md`
//! says which attack meets which check and test.

mod bytes;
mod canonical;
pub mod description;
pub mod frame;
pub mod manifest;
pub mod measured;
mod moment;
mod names;
mod rules;
pub mod signature;
mod state;
mod texts;
mod trust;
mod verify;

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;

pub use bytes::Bytes;
pub use description::Description;
pub use manifest::Manifest;
pub use moment::Moment;
pub use rules::{Role, sha256_hex};
pub use state::{STEP, State};
pub use trust::{LONGEST as LONGEST_TRUST, TRUST_TYPE, Trust};
#[cfg(feature = "classify")]
pub(crate) use verify::refused;
pub use verify::{Signed, Unverified, Verified, open, open_envelope, open_unverified};

use crate::Error;

/// A bundle whose every byte was checked and whose manifest enough trusted keys have signed.
pub type VerifiedBundle = Verified<Manifest>;
/// A bundle that is whole, and signed by somebody: fit to be looked at, not to be used.
pub type UnverifiedBundle = Unverified<Manifest>;

/// Verifies the bundle `bytes`.
///
/// # Errors
/// The first thing found wrong; [`Error::is_refusal`] holds for all of them.
pub fn verify(bytes: impl Into<Bytes>, trust: &Trust) -> Result<VerifiedBundle, Error> {
    open(bytes, trust)
}

/// Verifies the bundle `bytes`, and that it is no older than what the device accepted before. Also
/// gives the state to remember from now on.
///
/// # Errors
/// As [`verify()`] and [`State::accept`]; what was remembered stays.
pub fn verify_newer(
    bytes: impl Into<Bytes>,
    trust: &Trust,
    state: &State,
) -> Result<(VerifiedBundle, State), Error> {
    let bundle = verify(bytes, trust)?;
    let next = state.accept(&bundle, trust)?;
    Ok((bundle, next))
}

/// Checks all that [`verify()`] does, except whether the signers are trusted.
///
/// # Errors
/// As [`verify()`], without the classes of trust.
pub fn inspect(bytes: impl Into<Bytes>) -> Result<UnverifiedBundle, Error> {
    open_unverified(bytes)
}

/// The manifest's entries for `payload`, sorted and with their digests: what [`assemble`] expects
/// to find there.
pub fn list(payload: &BTreeMap<String, Vec<u8>>) -> Vec<manifest::Entry> {
    let entry = |(name, bytes): (&String, &Vec<u8>)| manifest::Entry {
        name: name.clone(),
        length: bytes.len() as u64,
        sha256: sha256_hex(bytes),
    };
    payload.iter().map(entry).collect()
}

/// The archive of `manifest` and `payload`, signed by `keys`.
///
/// # Errors
/// Whatever [`open`] would refuse: a manifest that contradicts itself or the payload, sizes over
/// the limits, no key.
pub fn assemble<D: Description>(
    manifest: &D,
    payload: &BTreeMap<String, Vec<u8>>,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    let manifest_bytes = manifest.to_canonical()?;
    let by_name = payload.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let lengths = by_name.clone().map(|(name, bytes)| (name, bytes.len()));
    verify::check_payload(manifest.entries(), &lengths.collect(), |name| {
        sha256_hex(&payload[name])
    })?;
    by_name.clone().try_for_each(|(name, bytes)| manifest.check_entry(name, bytes))?;
    let signatures = signature::sign(keys, D::PAYLOAD_TYPE, &manifest_bytes)?;
    let mut entries =
        vec![(manifest::MANIFEST, manifest_bytes.as_slice()), (signature::SIGNATURES, &signatures)];
    entries.extend(by_name);
    frame::write(&entries)
}

/// `archive` without its payload: the signed manifest and its signatures, in the same form.
/// [`open_envelope`] verifies it.
///
/// # Errors
/// As [`frame::parse`].
pub fn envelope(archive: &[u8]) -> Result<Vec<u8>, Error> {
    let entries = frame::parse(archive)?;
    let front: Vec<_> =
        entries[..2].iter().map(|(name, range)| (name.as_str(), &archive[range.clone()])).collect();
    frame::write(&front)
}

/// The archive that `envelope` was taken from, given its payload.
///
/// # Errors
/// As [`frame::parse`] and [`frame::write`]; [`open`] verifies the rest.
pub fn refill(envelope: &[u8], payload: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, Error> {
    let front = frame::parse(envelope)?;
    let mut entries: Vec<_> =
        front.iter().map(|(name, range)| (name.as_str(), &envelope[range.clone()])).collect();
    entries.extend(payload.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    frame::write(&entries)
}

/// The exact bytes of an archive's manifest: what is signed.
///
/// # Errors
/// As [`frame::parse`].
pub fn manifest_bytes(archive: &[u8]) -> Result<Vec<u8>, Error> {
    let entries = frame::parse(archive)?;
    Ok(archive[entries[0].1.clone()].to_vec())
}

/// The same archive with `signatures` (a `signatures.json` over its manifest) beside those that it
/// has.
///
/// # Errors
/// As [`frame::parse`] and [`signature::verify`].
pub fn with_signatures<D: Description>(
    archive: Vec<u8>,
    signatures: &[u8],
) -> Result<Vec<u8>, Error> {
    let entries = frame::parse(&archive)?;
    let mut parts: Vec<_> =
        entries.iter().map(|(name, range)| (name.as_str(), &archive[range.clone()])).collect();
    let joined = signature::join(parts[1].1, signatures, D::PAYLOAD_TYPE, parts[0].1)?;
    parts[1].1 = &joined;
    frame::write(&parts)
}

#[cfg(test)]
mod tests;
