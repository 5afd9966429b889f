//! Signing keys in PEM files, as openssl has them: PKCS#8 for the secret key, SPKI for the public
//! one (RFC 8410). A secret key may be encrypted with a pass phrase.
//!
//! A pass phrase comes from the terminal or a file descriptor. It never comes from an argument or
//! the environment, which others can read.

use std::path::Path;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use medforge_runtime::bundle::{LONGEST_TRUST, Trust};

use crate::{Error, input};

mod cost;
mod passphrase;
#[cfg(test)]
mod tests;

use cost::check_cost;
pub use passphrase::{PASSPHRASE_FD, passphrase};

/// A key pair as text.
pub struct Pem {
    pub secret: String,
    pub public: String,
}

/// A fresh key from the operating system's random numbers.
///
/// # Errors
/// [`Error::Random`] where there are none.
pub fn generate() -> Result<SigningKey, Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Error::Random { what: error.to_string() })?;
    Ok(SigningKey::from_bytes(&seed))
}

/// `key` in PEM. The secret one is in PKCS#8's first version, which every reader knows.
pub fn to_pem(key: &SigningKey) -> Pem {
    let secret =
        pair(key).to_pkcs8_pem(LineEnding::LF).expect("a key of 32 bytes is always written");
    Pem { secret: secret.to_string(), public: public_pem(key) }
}

/// The same with the secret key encrypted (PBES2: scrypt and AES-256-CBC, RFC 8018 and 7914), as
/// openssl reads it.
///
/// # Errors
/// [`Error::Random`] without random numbers for the salt.
pub fn to_encrypted_pem(key: &SigningKey, passphrase: &str) -> Result<Pem, Error> {
    let secret = pair(key).to_pkcs8_encrypted_pem(passphrase, LineEnding::LF);
    let secret = secret.map_err(|error| Error::Random { what: error.to_string() })?;
    Ok(Pem { secret: secret.to_string(), public: public_pem(key) })
}

/// Reads a secret key; an encrypted one with the [`passphrase()`].
///
/// # Errors
/// [`Error::Key`], [`Error::Io`], and as [`passphrase()`].
pub fn read_secret(path: &Path) -> Result<SigningKey, Error> {
    let text = read_text(path)?;
    let refuse = |what: &str| Error::Key { path: path.to_owned(), what: what.into() };
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        check_cost(&text).map_err(refuse)?;
        let passphrase = passphrase(&format!("Pass phrase of {}: ", path.display()), false)?;
        return SigningKey::from_pkcs8_encrypted_pem(&text, passphrase)
            .map_err(|_| refuse("is not opened by this pass phrase"));
    }
    SigningKey::from_pkcs8_pem(&text).map_err(|_| refuse("is no Ed25519 secret key in PKCS#8 PEM"))
}

/// Reads whom to trust: a trust file, or public keys in PEM.
///
/// # Errors
/// [`Error::TrustFile`], [`Error::Io`].
pub fn read_trust(path: &Path) -> Result<Trust, Error> {
    let bytes = input::read(path, LONGEST_TRUST as u64)?;
    Trust::read(&bytes).map_err(|source| Error::TrustFile { path: path.to_owned(), source })
}

fn pair(key: &SigningKey) -> KeypairBytes {
    KeypairBytes { secret_key: key.to_bytes(), public_key: None }
}

fn public_pem(key: &SigningKey) -> String {
    key.verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .expect("a key of 32 bytes is always written")
}

/// The text of a key file.
pub(super) fn read_text(path: &Path) -> Result<String, Error> {
    let refuse = |_| Error::Key { path: path.to_owned(), what: "is not text in PEM form".into() };
    String::from_utf8(input::read(path, 1 << 20)?).map_err(refuse)
}
