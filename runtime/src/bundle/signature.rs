//! `signatures.json`: who vouches for the manifest.
//!
//! ```json
//! {"payload_type":"application/vnd.medforge.manifest+json",
//!  "signatures":[{"public_key":"64 hex digits","signature":"128 hex digits"}]}
//! ```
//! in RFC 8785's form (so without the spaces), signatures sorted by key, each key once. A signature is Ed25519
//! (RFC 8032) over DSSE's pre-authenticated encoding of the payload type and the exact bytes of `manifest.json`. Each kind of
//! archive has a payload type of its own, so that a signature over one never passes for one over another.
//! The key itself stands there, not a name for it: every signature can be checked, also those of strangers, so that no
//! byte of the file goes unchecked. Whom to trust is decided elsewhere ([`Trust`](super::Trust)).
//!
//! Refused: weak (small-order) keys, signatures that RFC 8032 read strictly does not allow, a key given twice, none.

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::description::{canonical, from_canonical};
use super::frame::LIMITS;
use crate::Error;

/// The name of the signatures' own entry.
pub const SIGNATURES: &str = "signatures.json";

/// `signatures.json` for the exact bytes of a manifest of this payload type.
///
/// # Errors
/// [`Error::Signatures`] if there is no key, the same twice, or too many.
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

/// The keys that signed these bytes of a manifest of this payload type, each once. Every signature in the file holds, or it is an error.
///
/// # Errors
/// [`Error::Signatures`], [`Error::SignatureInvalid`], [`Error::BundleJson`], [`Error::BundleJsonNotCanonical`].
pub fn verify(signatures: &[u8], payload_type: &str, manifest: &[u8]) -> Result<Vec<VerifyingKey>, Error> {
    let file: File = from_canonical(signatures, SIGNATURES)?;
    file.check(payload_type)?;
    let message = pre_authenticated(payload_type, manifest);
    let mut keys = Vec::with_capacity(file.signatures.len());
    for Signature { public_key, signature } in &file.signatures {
        let refuse = |what: &str| Error::Signatures { what: format!("key {public_key:?} {what}") };
        let key = decode::<32>(public_key).ok_or_else(|| refuse("is not 64 lower-case hex digits"))?;
        let key = verifying_key(&key).map_err(refuse)?;
        let signature =
            decode::<64>(signature).ok_or_else(|| refuse("has no signature of 128 lower-case hex digits"))?;
        key.verify_strict(&message, &ed25519_dalek::Signature::from_bytes(&signature))
            .map_err(|_| Error::SignatureInvalid { key: public_key.clone() })?;
        keys.push(key);
    }
    Ok(keys)
}

/// A key fit for verification, or why it is not.
pub(super) fn verifying_key(bytes: &[u8; 32]) -> Result<VerifyingKey, &'static str> {
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| "is not a point on the curve")?;
    if key.to_edwards().compress().as_bytes() != bytes {
        return Err("is another spelling of a point on the curve");
    }
    if key.is_weak() {
        return Err("is weak: anybody can make a signature that seems to be its");
    }
    Ok(key)
}

/// Lower case only: one value has one spelling.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    (hex::encode(bytes) == text).then_some(bytes)
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
    fn check(&self, payload_type: &str) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Signatures { what });
        if self.payload_type != payload_type {
            return refuse(format!("the payload type is {:?}, not {payload_type:?}", self.payload_type));
        }
        if self.signatures.is_empty() || self.signatures.len() > LIMITS.signatures {
            return refuse(format!("{} signatures, not 1 to {}", self.signatures.len(), LIMITS.signatures));
        }
        if !self.signatures.is_sorted_by(|a, b| a.public_key < b.public_key) {
            return refuse("the signatures are not sorted by key with each key once".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
