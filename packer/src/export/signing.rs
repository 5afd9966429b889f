//! Signatures that come after a bundle was packed: by further keys, on other machines, on trust files.
//!
//! Refused: a file that is none of these, a bundle that is not whole, a signature by a key that has signed already or that does not hold.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::{self, Manifest, TRUST_TYPE, signature};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The longest request or signature that is read, in bytes: a manifest of 8 MiB in base64, and some.
pub const LONGEST: u64 = 12 << 20;

/// What a key on another machine is asked to sign.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    format: String,
    /// For the person who signs: name, version and id of the bundle. Not signed by itself; `packer sign` shows what the payload says.
    about: String,
    payload_type: String,
    /// Base64 of the exact bytes.
    payload: String,
}

const REQUEST: &str = "medforge-signing-request-1";

/// Whether these are the bytes of a trust file, rather than of an archive or JSON.
pub fn is_trust_file(bytes: &[u8]) -> bool {
    !bytes.starts_with(b"PK") && !bytes.trim_ascii_start().starts_with(b"{")
}

/// The request to sign the bundle or trust file in `bytes`.
///
/// # Errors
/// [`Error::Runtime`] for a bundle that is not whole, [`Error::TrustFile`].
pub fn request(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let (about, payload_type, payload) = match is_trust_file(bytes) {
        true => {
            let version = trust_version(path, bytes)?;
            (format!("trust file, version {version}"), TRUST_TYPE, bytes.to_vec())
        }
        false => {
            let manifest = bundle::manifest_bytes(bytes)?;
            let opened = bundle::inspect(bytes.to_vec())?;
            let m = opened.manifest();
            (format!("bundle {:?}, version {}, id {}", m.name, m.counter, opened.id()), PAYLOAD_TYPE, manifest)
        }
    };
    let request =
        Request { format: REQUEST.into(), about, payload_type: payload_type.into(), payload: STANDARD.encode(payload) };
    Ok(format!("{}\n", serde_json::to_string_pretty(&request).expect("a request is plain data")).into_bytes())
}

/// Signs what is in `bytes`: a bundle gives the bundle with one signature more; a trust file or a request gives the signatures alone, with
/// those of `before` among them.
///
/// # Errors
/// [`Error::Runtime`], [`Error::TrustFile`], [`Error::Signing`].
pub fn sign(path: &Path, bytes: Vec<u8>, key: &SigningKey, before: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    if bytes.starts_with(b"PK") {
        let manifest = bundle::manifest_bytes(&bytes)?;
        let signatures = signature::sign(std::slice::from_ref(key), PAYLOAD_TYPE, &manifest)?;
        return Ok(bundle::with_signatures::<Manifest>(bytes, &signatures)?);
    }
    if is_trust_file(&bytes) {
        trust_version(path, &bytes)?;
        let one = signature::sign(std::slice::from_ref(key), TRUST_TYPE, &bytes)?;
        return Ok(match before {
            Some(before) => signature::join(before, &one, TRUST_TYPE, &bytes)?,
            None => one,
        });
    }
    let refuse = |what: String| Error::Signing { path: path.to_owned(), what };
    let request: Request = serde_json::from_slice(&bytes)
        .map_err(|error| refuse(format!("it is no bundle, no trust file and no signing request ({error})")))?;
    if request.format != REQUEST || ![PAYLOAD_TYPE, TRUST_TYPE].contains(&request.payload_type.as_str()) {
        return Err(refuse(format!("its format is {:?}, for {:?}", request.format, request.payload_type)));
    }
    let payload = STANDARD.decode(&request.payload).map_err(|error| refuse(format!("its payload: {error}")))?;
    if request.payload_type == TRUST_TYPE {
        trust_version(path, &payload)?;
    } else {
        <Manifest as bundle::Description>::from_canonical(&payload)?;
    }
    Ok(signature::sign(std::slice::from_ref(key), &request.payload_type, &payload)?)
}

/// The bundle in `bytes` with the signatures that [`sign`] made of its request.
///
/// # Errors
/// [`Error::Runtime`] if they do not hold for it; [`Error::Signing`] for what is no bundle.
pub fn import(path: &Path, bytes: Vec<u8>, from: &Path, signatures: &[u8]) -> Result<Vec<u8>, Error> {
    if !bytes.starts_with(b"PK") {
        let what =
            format!("signatures go into a bundle; those of a trust file stand beside it, as {} does", from.display());
        return Err(Error::Signing { path: path.to_owned(), what });
    }
    Ok(bundle::with_signatures::<Manifest>(bytes, signatures)?)
}

const PAYLOAD_TYPE: &str = <Manifest as bundle::Description>::PAYLOAD_TYPE;

fn trust_version(path: &Path, bytes: &[u8]) -> Result<u64, Error> {
    let trust = bundle::Trust::read(bytes);
    let trust = trust.map_err(|source| Error::TrustFile { path: path.to_owned(), source })?;
    match trust.version() {
        0 => Err(Error::Signing {
            path: path.to_owned(),
            what: "public keys in PEM are not signed; a trust file is".into(),
        }),
        version => Ok(version),
    }
}
