//! A bundle's entries as a folder, signed as OpenSSF Model Signing 1.0 wants it: an in-toto
//! statement (version 1) of every file's SHA-256 in a DSSE envelope, in a Sigstore bundle (version
//! 0.3).
//!
//! The tool `model_signing` 1.1 knows ECDSA keys on NIST's curves and no Ed25519, so a P-256 key of
//! its own signs. The signature says that the files are whole. It says nothing of what a device
//! checks: form, roles, thresholds, versions, golden vectors.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use medforge_runtime::bundle::{VerifiedBundle, frame, sha256_hex};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::spki::der::pem::LineEnding;
use p256::pkcs8::{DecodePrivateKey, EncodePublicKey};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::keys::read_text;
use crate::Error;

/// The signature's file in the folder.
pub const SIGNATURE: &str = "model.sig";

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Reads a P-256 key in PEM.
///
/// # Errors
/// [`Error::Key`].
pub fn read_key(path: &Path) -> Result<SigningKey, Error> {
    SigningKey::from_pkcs8_pem(&read_text(path)?).map_err(|_| Error::Key {
        path: path.to_owned(),
        what: "is no P-256 key in PKCS#8 PEM; `openssl genpkey -algorithm EC -pkeyopt \
             ec_paramgen_curve:P-256` makes one"
            .into(),
    })
}

/// Every entry of `bundle` by name, with [`SIGNATURE`] by `key` over them all.
///
/// # Errors
/// [`Error::Runtime`]; [`Error::Random`] if the key cannot sign.
pub fn files(bundle: &VerifiedBundle, key: &SigningKey) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let archive = bundle.bytes();
    let entries =
        frame::parse(archive)?.into_iter().map(|(name, range)| (name, archive[range].to_vec()));
    let mut files: Vec<(String, Vec<u8>)> = entries.collect();
    files.sort();
    let statement = statement(&bundle.manifest().name, &files);
    let message = [
        format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), statement.len()).as_bytes(),
        &statement,
    ]
    .concat();
    let unable = |error: String| Error::Random { what: error };
    let signature: DerSignature =
        key.try_sign(&message).map_err(|error| unable(error.to_string()))?;
    let public = key
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .map_err(|error| unable(error.to_string()))?;
    let sigstore = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": sha256_hex(public.as_bytes()) },
            "tlogEntries": [] },
        "dsseEnvelope": {
            "payload": STANDARD.encode(statement),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{ "sig": STANDARD.encode(signature.as_bytes()), "keyid": "" }],
        },
    });
    files.push((SIGNATURE.to_owned(), sigstore.to_string().into_bytes()));
    Ok(files)
}

/// The in-toto statement. The subject's digest is the SHA-256 of all files' digests, in the order
/// of their names.
fn statement(name: &str, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut root = Sha256::new();
    let mut resources = Vec::new();
    for (name, bytes) in files {
        let digest = Sha256::digest(bytes);
        root.update(digest);
        resources
            .push(json!({ "name": name, "algorithm": "sha256", "digest": hex::encode(digest) }));
    }
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": name, "digest": { "sha256": hex::encode(root.finalize()) } }],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": { "method": "files", "hash_type": "sha256", "allow_symlinks": false,
                "ignore_paths": [SIGNATURE] },
            "resources": resources,
        },
    });
    statement.to_string().into_bytes()
}
