//! Whom a verifier trusts, for what, until when, and how many of them must have signed.
//!
//! A trust file is TOML (`docs/format.md`, section 10); one public key alone is the shortest trust
//! there is. Refused:
//!
//! - weak keys, a key that stands under two names, ids that are not a key's own,
//! - thresholds that cannot be reached, and files that have expired,
//! - successors that do not follow the file before them,
//! - successors that too few of its maintainers have signed.

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;

use super::moment::Moment;
use super::rules::Role;
use super::signature;
use crate::Class;
use crate::error::{Error, Refusal};

mod file;
mod keys;

pub use keys::Trust;
use keys::refuse;

/// What the signatures of a trust file are over.
pub const TRUST_TYPE: &str = "application/vnd.medforge.trust+toml";
/// The longest trust file that is read, in bytes.
pub const LONGEST: usize = 1 << 20;

impl Trust {
    /// Asks for one signature by any of the keys in `text`: SPKI PEM, one `PUBLIC KEY` block or
    /// several.
    ///
    /// # Errors
    /// [`Class::BadTrustFile`] if there is no such block, or one that is not a usable Ed25519 key.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for block in text.split(BEGIN).skip(1) {
            let body = block.split_once(END).map_or(block, |(body, _)| body);
            let key = VerifyingKey::from_public_key_pem(&format!("{BEGIN}{body}{END}\n")).map_err(
                |_| {
                    refuse(format!(
                        "PUBLIC KEY block {} is not an Ed25519 key in SPKI PEM",
                        keys.len() + 1
                    ))
                },
            )?;
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(refuse(
                "no PUBLIC KEY block in PEM form is there; give the .pub file".into(),
            ));
        }
        Trust::new(keys, 1)
    }

    /// Reads a trust file.
    ///
    /// # Errors
    /// [`Class::BadTrustFile`], [`Class::WeakKey`], [`Class::NoncanonicalA`], [`Class::BadLength`],
    /// [`Class::SameKeyTwoIds`], [`Class::KeyidLies`].
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(refuse(format!("it has {} bytes, more than {LONGEST}", text.len())));
        }
        file::read(text)
    }

    /// Reads a public key in PEM or a trust file, whichever `bytes` are.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem) and [`from_toml`](Self::from_toml).
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(bytes).map_err(|_| refuse("it is not text".into()))?;
        // A file that begins as PEM does is PEM. One that has a key in PEM somewhere inside is a
        // wrong trust file.
        if text.trim_start().starts_with(BEGIN) {
            Trust::from_pem(text)
        } else {
            Trust::from_toml(text)
        }
    }

    /// The trust file that takes the place of this one. It is the next version, signed by enough
    /// maintainers of this file and of its own (The Update Framework 1.0.33, section 5.3.4).
    /// `signatures` has the form of `signatures.json`, over [`TRUST_TYPE`]. If there is a moment,
    /// keys count only within their time. This file itself may have expired.
    ///
    /// # Errors
    /// [`Class::TrustRotationUnsigned`], [`Class::RootVersionSkip`], and as
    /// [`from_toml`](Self::from_toml) and [`signature::verify`].
    pub fn successor(
        &self,
        file: &[u8],
        signatures: &[u8],
        now: Option<Moment>,
    ) -> Result<Self, Error> {
        let signers = signature::verify(signatures, TRUST_TYPE, file)?;
        let text = std::str::from_utf8(file).map_err(|_| refuse("it is not text".into()))?;
        let next = Trust { now: now.clone(), ..Trust::from_toml(text)? };
        let before = Trust { now, ..self.clone() };
        for (whose, trust) in [("the trust file before it", &before), ("its own", &next)] {
            trust.enough(&signers, Role::Maintainer).map_err(|refusal| {
                let what = format!("of the maintainers of {whose}: {}", refusal.what);
                Refusal::new(Class::TrustRotationUnsigned, what)
            })?;
        }
        if self.version.checked_add(1) != Some(next.version) {
            let what = format!("version {} cannot follow version {}", next.version, self.version);
            return Err(Refusal::new(Class::RootVersionSkip, what).into());
        }
        Ok(next)
    }
}

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

#[cfg(test)]
mod tests;
