//! Signing keys in PEM files: PKCS#8 for the secret one, encrypted with a pass phrase on request,
//! SPKI for the public one (RFC 8410), as openssl has them.
//!
//! A pass phrase comes from the terminal or a file descriptor, never from an argument or the
//! environment, which others can read.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use medforge_runtime::bundle::{LONGEST_TRUST, Trust};
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};

use crate::{Error, input};

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

/// Reads a secret key; an encrypted one with the [`passphrase`].
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

/// The most memory, and the most bytes gone over, for a key by scrypt; openssl makes keys of 16
/// MiB.
const MOST_SCRYPT: u64 = 256 << 20;
/// The most rounds of PBKDF2; openssl makes keys of 2,048.
const MOST_ROUNDS: u32 = 10_000_000;

/// Refuses an encrypted key that would take memory or time without measure, before a pass phrase is
/// asked for.
fn check_cost(pem: &str) -> Result<(), &'static str> {
    let damaged = "is no encrypted secret key in PKCS#8 PEM";
    let (_, document) = SecretDocument::from_pem(pem).map_err(|_| damaged)?;
    let key = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| damaged)?;
    let sound = match key.encryption_algorithm.pbes2().map(|scheme| &scheme.kdf) {
        Some(Kdf::Scrypt(cost)) => {
            let memory = cost.cost_parameter.checked_mul(128 * u64::from(cost.block_size));
            memory.is_some_and(|memory| memory <= MOST_SCRYPT) && cost.parallelization <= 4
        }
        Some(Kdf::Pbkdf2(cost)) => cost.iteration_count <= MOST_ROUNDS,
        _ => {
            return Err(
                "is encrypted in another way than by scrypt or PBKDF2; encrypt it again, with \
                 `openssl pkcs8 -topk8`",
            );
        }
    };
    if sound {
        Ok(())
    } else {
        Err("asks for more than 256 MiB or 10,000,000 rounds to be opened; encrypt the key again \
             with fewer")
    }
}

/// Reads whom to trust: a trust file, or public keys in PEM.
pub fn read_trust(path: &Path) -> Result<Trust, Error> {
    let bytes = input::read(path, LONGEST_TRUST as u64)?;
    Trust::read(&bytes).map_err(|source| Error::TrustFile { path: path.to_owned(), source })
}

/// Where pass phrases come from if not from the terminal; set once, from the command line.
pub static PASSPHRASE_FD: OnceLock<u32> = OnceLock::new();

/// A pass phrase: the first line of [`PASSPHRASE_FD`], or typed on the terminal, twice if it is
/// `new`.
pub fn passphrase(prompt: &str, new: bool) -> Result<String, Error> {
    let refuse = |what: String| Error::Option { name: "the descriptor of the pass phrase", what };
    if let Some(fd) = PASSPHRASE_FD.get() {
        let path = PathBuf::from(format!("/dev/fd/{fd}"));
        let file =
            File::open(&path).map_err(|error| refuse(format!("{fd} cannot be read: {error}")))?;
        let mut text = String::new();
        file.take(1 << 16)
            .read_to_string(&mut text)
            .map_err(|error| refuse(format!("{fd} cannot be read: {error}")))?;
        let line = text.lines().next().unwrap_or_default().to_owned();
        return if line.is_empty() {
            Err(refuse(format!("{fd} has no pass phrase in its first line")))
        } else {
            Ok(line)
        };
    }
    if !std::io::stdin().is_terminal() {
        return Err(refuse(
            "is needed where there is no terminal to ask for the pass phrase".into(),
        ));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map_err(|error| Error::io("the terminal", error))
    };
    let typed = ask(prompt)?;
    if typed.is_empty() {
        return Err(refuse("or the terminal must give a pass phrase that is not empty".into()));
    }
    if new && ask("The same again: ")? != typed {
        return Err(refuse("was not given, and the two pass phrases typed differ".into()));
    }
    Ok(typed)
}

fn pair(key: &SigningKey) -> KeypairBytes {
    KeypairBytes { secret_key: key.to_bytes(), public_key: None }
}

fn public_pem(key: &SigningKey) -> String {
    key.verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .expect("a key of 32 bytes is always written")
}

/// A key file is a few lines.
pub(super) fn read_text(path: &Path) -> Result<String, Error> {
    let refuse = |_| Error::Key { path: path.to_owned(), what: "is not text in PEM form".into() };
    String::from_utf8(input::read(path, 1 << 20)?).map_err(refuse)
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

    #[test]
    fn an_encrypted_key_opens_with_its_pass_phrase_alone() {
        let key = generate().unwrap();
        let pem = to_encrypted_pem(&key, "correct horse").unwrap();
        assert!(pem.secret.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let opened = SigningKey::from_pkcs8_encrypted_pem(&pem.secret, "correct horse").unwrap();
        assert_eq!(opened.to_bytes(), key.to_bytes());
        assert!(SigningKey::from_pkcs8_encrypted_pem(&pem.secret, "battery staple").is_err());
    }

    /// `keys.sh` beside this file made them with openssl; what is beyond them is changed in their
    /// bytes.
    #[test]
    fn keys_that_cost_without_measure_are_refused_before_the_work() {
        for pem in [
            include_str!("keys/scrypt.pem"),
            include_str!("keys/pbkdf2.pem"),
            include_str!("keys/million.pem"),
        ] {
            assert_eq!(check_cost(pem), Ok(()));
        }
        for pem in [
            include_str!("keys/scrypt_512_mib.pem"),
            include_str!("keys/scrypt_p.pem"),
            include_str!("keys/rounds.pem"),
        ] {
            let start = std::time::Instant::now();
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("k.key");
            fs::write(&path, pem).unwrap();
            let error = read_secret(&path).unwrap_err().to_string();
            assert!(error.contains("asks for more than 256 MiB or 10,000,000 rounds"), "{error}");
            assert!(start.elapsed().as_secs() < 1);
        }
        assert!(check_cost("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n").is_err());
    }
}
