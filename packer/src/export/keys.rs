//! Signing keys in PEM files: PKCS#8 for the secret one, SPKI for the public one (RFC 8410), as openssl has them.

use std::path::Path;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use medforge_runtime::bundle::Trust;

use crate::{Error, output};

/// A key pair as text.
pub struct Pem {
    pub secret: String,
    pub public: String,
}

/// A fresh key from the operating system's random numbers.
pub fn generate() -> Result<SigningKey, Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Error::Random { what: error.to_string() })?;
    Ok(SigningKey::from_bytes(&seed))
}

/// `key` in PEM, the secret one in PKCS#8's first version, which every reader knows.
pub fn to_pem(key: &SigningKey) -> Pem {
    let pair = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    let secret = pair.to_pkcs8_pem(LineEnding::LF).expect("a key of 32 bytes is always written");
    let public = key.verifying_key().to_public_key_pem(LineEnding::LF).expect("a key of 32 bytes is always written");
    Pem { secret: secret.to_string(), public }
}

/// Reads a secret key.
pub fn read_secret(path: &Path) -> Result<SigningKey, Error> {
    let text = read_text(path)?;
    SigningKey::from_pkcs8_pem(&text).map_err(|_| Error::Key {
        path: path.to_owned(),
        what: "is no Ed25519 secret key in PKCS#8 PEM; `packer keygen` makes one (NAME.key)".into(),
    })
}

/// Reads whom to trust: one public key or several.
pub fn read_trust(path: &Path) -> Result<Trust, Error> {
    let text = read_text(path)?;
    Trust::from_pem(&text).map_err(|error| Error::Key { path: path.to_owned(), what: error.to_string() })
}

/// A key file is a few lines.
fn read_text(path: &Path) -> Result<String, Error> {
    let refuse = |_| Error::Key { path: path.to_owned(), what: "is not text in PEM form".into() };
    String::from_utf8(output::read_file(path, 1 << 20)?).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn keys_come_back_and_are_never_the_same() {
        let place = tempfile::tempdir().unwrap();
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one.to_bytes(), two.to_bytes());
        let (secret, public) = (place.path().join("k.key"), place.path().join("k.pub"));
        fs::write(&secret, to_pem(&one).secret).unwrap();
        fs::write(&public, to_pem(&one).public).unwrap();
        assert_eq!(read_secret(&secret).unwrap().to_bytes(), one.to_bytes());
        assert!(read_trust(&public).is_ok());
        assert!(read_secret(&public).unwrap_err().to_string().contains("is no Ed25519 secret key"));
        assert!(read_trust(&secret).unwrap_err().to_string().contains("k.key"));
    }
}
