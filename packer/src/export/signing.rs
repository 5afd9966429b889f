//! Signatures after a bundle was packed: by further keys, on other machines, and for trust files.
//!
//! Refused: a file that is neither bundle, trust file nor request; a bundle that is not whole; a
//! signature that does not hold.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::{self, Description, Manifest, TRUST_TYPE, sha256_hex, signature};
use medforge_runtime::words::shown;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The longest request or signature that is read, in bytes. A manifest of 8 MiB in base64 fits.
pub const LONGEST: u64 = 12 << 20;

/// What is to be signed.
pub struct Payload {
    /// Kind, name, version and id, read out of the payload itself for the person who signs.
    pub about: String,
    kind: Kind,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// The manifest of the archive at hand.
    Bundle,
    /// The trust file at hand.
    Trust,
    /// A manifest or a trust file, from another machine.
    Request { trust: bool },
}

/// A payload on its way to the machine where the key is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    format: String,
    payload_type: String,
    /// Base64 of the exact bytes.
    payload: String,
}

const REQUEST: &str = "medforge-signing-request-1";
const BUNDLE_TYPE: &str = <Manifest as Description>::PAYLOAD_TYPE;

impl Payload {
    /// Reads a bundle (all of it is checked), a trust file, or a request for either.
    ///
    /// # Errors
    /// [`Error::Runtime`], [`Error::TrustFile`], [`Error::Signing`].
    pub fn read(path: &Path, file: &[u8]) -> Result<Self, Error> {
        if file.starts_with(b"PK") {
            let bytes = bundle::manifest_bytes(file)?;
            bundle::inspect(file.to_vec())?;
            return Ok(Payload { about: about_bundle(&bytes)?, kind: Kind::Bundle, bytes });
        }
        if !file.trim_ascii_start().starts_with(b"{") {
            return Ok(Payload {
                about: about_trust(path, file)?,
                kind: Kind::Trust,
                bytes: file.to_vec(),
            });
        }
        let refuse = |what: String| Error::Signing { path: path.to_owned(), what };
        let request: Request = serde_json::from_slice(file)
            .map_err(|error| shown(&error.to_string()))
            .map_err(|error| {
                refuse(format!("it is no bundle, no trust file and no signing request ({error})"))
            })?;
        let trust = request.payload_type == TRUST_TYPE;
        if request.format != REQUEST || !(trust || request.payload_type == BUNDLE_TYPE) {
            return Err(refuse(format!(
                "its format is {:?}, for {:?}",
                request.format, request.payload_type
            )));
        }
        let bytes = STANDARD
            .decode(&request.payload)
            .map_err(|error| refuse(format!("its payload: {error}")))?;
        let about = if trust { about_trust(path, &bytes)? } else { about_bundle(&bytes)? };
        Ok(Payload { about, kind: Kind::Request { trust }, bytes })
    }

    /// A file that asks another machine to sign it.
    pub fn request(&self) -> Vec<u8> {
        let payload = STANDARD.encode(&self.bytes);
        let request =
            Request { format: REQUEST.into(), payload_type: self.payload_type().into(), payload };
        format!("{}\n", serde_json::to_string_pretty(&request).expect("a request is plain data"))
            .into_bytes()
    }

    /// The signature by `key`, as a file of signatures.
    ///
    /// # Errors
    /// [`Error::Runtime`].
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, Error> {
        Ok(signature::sign(std::slice::from_ref(key), self.payload_type(), &self.bytes)?)
    }

    /// Where `signatures` go. Those of a bundle go into `file`, the bundle. Others go into a file
    /// of their own, after those that are there already, `before`.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a signature does not hold.
    pub fn placed(
        &self,
        file: Vec<u8>,
        signatures: Vec<u8>,
        before: Option<&[u8]>,
    ) -> Result<Vec<u8>, Error> {
        match (self.kind, before) {
            (Kind::Bundle, _) => Ok(bundle::with_signatures::<Manifest>(file, &signatures)?),
            (_, Some(before)) => {
                Ok(signature::join(before, &signatures, self.payload_type(), &self.bytes)?)
            }
            (_, None) => {
                signature::verify(&signatures, self.payload_type(), &self.bytes)?;
                Ok(signatures)
            }
        }
    }

    /// Whether its signatures stand in a file of their own.
    pub fn apart(&self) -> bool {
        self.kind != Kind::Bundle
    }

    fn payload_type(&self) -> &'static str {
        match self.kind {
            Kind::Trust | Kind::Request { trust: true } => TRUST_TYPE,
            Kind::Bundle | Kind::Request { trust: false } => BUNDLE_TYPE,
        }
    }
}

fn about_bundle(manifest: &[u8]) -> Result<String, Error> {
    let m = Manifest::from_canonical(manifest)?;
    Ok(format!("bundle {:?}, version {}, id {}", m.name, m.counter, sha256_hex(manifest)))
}

fn about_trust(path: &Path, bytes: &[u8]) -> Result<String, Error> {
    let trust = bundle::Trust::read(bytes);
    let trust = trust.map_err(|source| Error::TrustFile { path: path.to_owned(), source })?;
    match trust.version() {
        0 => Err(Error::Signing {
            path: path.to_owned(),
            what: "keys in PEM are not signed; a trust file is".into(),
        }),
        version => Ok(format!("trust file, version {version}, SHA-256 {}", sha256_hex(bytes))),
    }
}
