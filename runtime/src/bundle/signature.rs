//! `signatures.json`: who vouches for the manifest.
//!
//! ```json
//! {"payload_type":"application/vnd.medforge.manifest+json",
//!  "signatures":[{"public_key":"64 hex digits","signature":"128 hex digits"}]}
//! ```
//! in RFC 8785's form (so without the spaces), signatures sorted by key, each key once. A signature
//! is Ed25519 (RFC 8032) over DSSE's pre-authenticated encoding of the payload type and the exact
//! bytes of `manifest.json`. Each kind of archive has a payload type of its own, so that a
//! signature over one never passes for one over another.
//!
//! The key itself stands there, not a name for it. So every signature can be checked, also those of
//! strangers, and no byte of the file goes unchecked. Whom to trust is decided elsewhere
//! ([`Trust`](super::Trust)).
//!
//! Refused: weak (small-order) keys, signatures that a strict reading of RFC 8032 does not allow, a
//! key given twice, and a file without signatures. `verify_strict` decides. Only afterwards is it
//! asked what exactly is wrong with a signature.

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::canonical::{canonical, from_canonical};
use super::rules::LIMITS;
pub use super::rules::SIGNATURES;
use crate::Class;
use crate::error::{Error, Refusal};

/// `signatures.json` for the exact bytes of a manifest of this payload type.
///
/// # Errors
/// [`Error::Refused`] if there is no key, the same twice, or too many.
pub fn sign(keys: &[SigningKey], payload_type: &str, manifest: &[u8]) -> Result<Vec<u8>, Error> {
    let message = pre_authenticated(payload_type, manifest);
    let mut signatures: Vec<_> = keys
        .iter()
        .map(|key| Signature {
            public_key: hex::encode(key.verifying_key().to_bytes()),
            signature: hex::encode(key.sign(&message).to_bytes()),
        })
        .collect();
    signatures.sort_by(|a, b| a.public_key.cmp(&b.public_key));
    let file = File { payload_type: payload_type.into(), signatures };
    file.check(payload_type)?;
    canonical(&file, SIGNATURES)
}

/// The keys that signed these bytes of a manifest of this payload type, each once. Every signature
/// in the file holds, or it is an error.
///
/// # Errors
/// [`Error::Refused`] with one of the classes of JSON, keys and signatures.
pub fn verify(
    signatures: &[u8],
    payload_type: &str,
    manifest: &[u8],
) -> Result<Vec<VerifyingKey>, Error> {
    let file: File = from_canonical(signatures, SIGNATURES)?;
    file.check(payload_type)?;
    let message = pre_authenticated(payload_type, manifest);
    let mut keys = Vec::with_capacity(file.signatures.len());
    for Signature { public_key, signature } in &file.signatures {
        let key = verifying_key(&key_bytes(public_key)?)?;
        let signature = decode::<64>(signature, "a signature")?;
        key.verify_strict(&message, &ed25519_dalek::Signature::from_bytes(&signature)).map_err(
            |_| {
                refuse(
                    fault(&signature),
                    format!("the signature by key {public_key} does not hold"),
                )
            },
        )?;
        keys.push(key);
    }
    Ok(keys)
}

/// The signatures of both files, over the same manifest; a key that signed in both is there once.
///
/// # Errors
/// As [`verify`], for either file.
pub fn join(
    one: &[u8],
    other: &[u8],
    payload_type: &str,
    manifest: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut all = std::collections::BTreeMap::new();
    for file in [one, other] {
        verify(file, payload_type, manifest)?;
        let file: File = from_canonical(file, SIGNATURES)?;
        all.extend(file.signatures.into_iter().map(|s| (s.public_key, s.signature)));
    }
    let signatures = all
        .into_iter()
        .map(|(public_key, signature)| Signature { public_key, signature })
        .collect();
    let file = File { payload_type: payload_type.into(), signatures };
    file.check(payload_type)?;
    canonical(&file, SIGNATURES)
}

/// A public key's bytes from 64 lower-case hex digits.
///
/// # Errors
/// [`Class::BadLength`], [`Class::BadSignatures`].
pub(super) fn key_bytes(text: &str) -> Result<[u8; 32], Refusal> {
    decode::<32>(text, "a public key")
}

/// A key fit for verification.
///
/// # Errors
/// [`Class::WeakKey`], [`Class::NoncanonicalA`]; [`Class::BadSignatures`] for bytes that are no
/// point on the curve.
pub(super) fn verifying_key(bytes: &[u8; 32]) -> Result<VerifyingKey, Refusal> {
    let refuse = |class, what: &str| refuse(class, format!("key {} {what}", hex::encode(bytes)));
    let key = VerifyingKey::from_bytes(bytes)
        .map_err(|_| refuse(Class::BadSignatures, "is not a point on the curve"))?;
    if key.is_weak() {
        return Err(refuse(
            Class::WeakKey,
            "is weak: anybody can make a signature that seems to be its",
        ));
    }
    if key.to_edwards().compress().as_bytes() != bytes {
        return Err(refuse(Class::NoncanonicalA, "is another spelling of a point on the curve"));
    }
    Ok(key)
}

/// What is wrong with a signature that does not hold. R is its first half, S its second (RFC 8032,
/// section 5.1.7).
fn fault(signature: &[u8; 64]) -> Class {
    let r: [u8; 32] = std::array::from_fn(|at| signature[at]);
    let s = &signature[32..];
    // Little-endian: compared from the last byte.
    if s.iter().rev().ge(ORDER.iter().rev()) {
        return Class::SPlusL;
    }
    if VerifyingKey::from_bytes(&r).is_ok_and(|point| point.is_weak()) {
        Class::SmallOrderR
    } else {
        Class::MixedBundles
    }
}

/// The order of the group, little-endian: 2^252 + 27742317777372353535851937790883648493 (RFC 8032,
/// section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Lower case only: one value has one spelling.
fn decode<const N: usize>(text: &str, of: &str) -> Result<[u8; N], Refusal> {
    if text.len() != 2 * N {
        return Err(refuse(
            Class::BadLength,
            format!("{of} has {} hex digits, not {}", text.len(), 2 * N),
        ));
    }
    let mut bytes = [0; N];
    if hex::decode_to_slice(text, &mut bytes).is_ok() && hex::encode(bytes) == text {
        Ok(bytes)
    } else {
        Err(refuse(Class::BadSignatures, format!("{of} is not in lower-case hex digits")))
    }
}

fn refuse(class: Class, what: impl Into<String>) -> Refusal {
    Refusal::new(class, what).entry(SIGNATURES)
}

/// DSSE v1's pre-authenticated encoding.
fn pre_authenticated(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    public_key: String,
    signature: String,
}

impl File {
    fn check(&self, payload_type: &str) -> Result<(), Refusal> {
        if self.payload_type != payload_type {
            let what = format!("the payload type is {:?}, not {payload_type:?}", self.payload_type);
            return Err(refuse(Class::TypeConfusion, what));
        }
        let count = self.signatures.len();
        if count == 0 {
            return Err(refuse(Class::Unsigned, "there is no signature"));
        }
        if count > LIMITS.signatures {
            let what = format!("{count} signatures, more than {}", LIMITS.signatures);
            return Err(refuse(Class::TooManySignatures, what));
        }
        match self.signatures.windows(2).find(|pair| pair[0].public_key >= pair[1].public_key) {
            Some(pair) if pair[0].public_key == pair[1].public_key => Err(refuse(
                Class::DupSignatureThreshold,
                format!("key {} is there twice", pair[0].public_key),
            )),
            Some(_) => Err(refuse(Class::BadSignatures, "the signatures are not sorted by key")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
