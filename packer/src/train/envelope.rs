//! The form of every checkpoint file: one safetensors file, replaced as a whole, with a JSON header
//! in its metadata.
//!
//! Refused: a checkpoint of another kind, of other settings, of other data, or a damaged one.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::tensors::{self, Tensor};
use safetensors::SafeTensors;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::output::NewFile;
use crate::{Error, input};

/// The header of one kind of checkpoint.
pub trait Header: Serialize + DeserializeOwned {
    /// The header's key in the file's metadata.
    const KEY: &'static str;
    /// What the fingerprint covers, after "was made with another ".
    const FINGERPRINT: &'static str;
    /// The largest file that is read, in bytes.
    const LARGEST: u64;

    type Settings: PartialEq;

    fn settings(&self) -> &Self::Settings;
    fn fingerprint(&self) -> &str;
}

/// Writes a checkpoint in one go.
///
/// # Errors
/// What cannot be written.
pub fn save<'a, H: Header>(
    file: &NewFile,
    header: &H,
    named: impl Iterator<Item = (String, &'a Tensor)>,
) -> Result<(), Error> {
    let header = serde_json::to_string(header).expect("a header is plain data");
    let metadata = BTreeMap::from([(H::KEY.to_owned(), header)]);
    let named: Vec<_> = named.collect();
    file.write(&tensors::write(named.iter().map(|(n, t)| (n.as_str(), *t)), &metadata)?)
}

/// The header and the tensors of a checkpoint that was made with the same settings and fingerprint.
///
/// # Errors
/// What this module refuses; a file that cannot be read.
pub fn open<H: Header>(
    path: &Path,
    settings: &H::Settings,
    fingerprint: &str,
) -> Result<(H, BTreeMap<String, Tensor>), Error> {
    let bytes = input::read(path, H::LARGEST)?;
    let refuse = |what: &str| refused(path, what);
    let found = tensors::read(&bytes, &path.display().to_string())?;
    let metadata = SafeTensors::read_metadata(&bytes).ok().and_then(|(_, m)| m.metadata().clone());
    let header = metadata
        .as_ref()
        .and_then(|m| m.get(H::KEY))
        .ok_or_else(|| refuse("is not a checkpoint"))?;
    let header: H = serde_json::from_str(header)
        .map_err(|_| refuse("was made by another version of packer"))?;
    if header.settings() != settings {
        return Err(refuse("was made with other settings; repeat them, or begin again"));
    }
    if header.fingerprint() != fingerprint {
        let what = H::FINGERPRINT;
        return Err(refuse(&format!("was made with another {what}; begin again")));
    }
    Ok((header, found))
}

/// The error of a checkpoint file that cannot be used.
pub fn refused(path: &Path, what: &str) -> Error {
    Error::Checkpoint { what: format!("{}: {what}", path.display()) }
}
