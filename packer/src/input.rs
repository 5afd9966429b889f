//! Reading regular files up to a given size. Nothing else is opened, so packer never waits for a
//! pipe, a device or an endless file.

use std::fs::File;
use std::path::Path;

use medforge_runtime::file;

use crate::Error;

/// The largest file of weights, in bytes: the largest base is 8 GiB in f32.
pub const MAX_WEIGHTS: u64 = 9 << 30;
/// The largest file of an image, in bytes.
pub const MAX_IMAGE: u64 = 1 << 28;
/// The largest other file of a folder, in bytes. Tokenizers are the longest.
pub const MAX_TEXT: u64 = 64 << 20;

/// Opens the regular file at `path`.
pub fn open(path: &Path) -> Result<File, Error> {
    file::open(path).map_err(|e| Error::io(path, e))
}

/// The bytes of the regular file at `path`.
///
/// # Errors
/// [`Error::TooLarge`] for more than `limit` bytes, [`Error::Io`].
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    file::read(path, limit).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => {
            Error::TooLarge { path: path.to_owned(), what: format!("more than {limit} bytes") }
        }
        _ => Error::io(path, error),
    })
}

/// Reads the files of `dir` by name.
pub fn folder(dir: &Path) -> impl Fn(&str) -> Result<Vec<u8>, Error> {
    move |name| {
        let limit = if name.ends_with(".safetensors") { MAX_WEIGHTS } else { MAX_TEXT };
        read(&dir.join(name), limit)
    }
}
