//! What exists at a path: its kind, whether another path names it too, whether it holds a secret
//! key.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode, SliceReader, Tag, Tagged};

use crate::Error;

/// Where the system lists the open files of a process.
const OPEN_FILES: [&str; 2] = ["/dev/fd", "/proc/self/fd"];

/// What exists at `path`: a regular file or a folder. Anything else is refused.
pub(super) fn standing(path: &Path, option: &str) -> Result<Option<Metadata>, Error> {
    if path.file_name().is_none() {
        return Err(refuse(path, format!("is no place for {option}; give it a name")));
    }
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, error)),
        Ok(found) => found,
    };
    if found.is_symlink() {
        let to = fs::read_link(path).map_err(|e| Error::io(path, e))?;
        let to = path.parent().map_or(to.clone(), |parent| parent.join(&to));
        // `/dev/stdout` and the like.
        if [path, &to].iter().any(|path| OPEN_FILES.iter().any(|all| path.starts_with(all))) {
            let what = format!(
                "is what this program has open, such as where it prints; name a file for {option}"
            );
            return Err(refuse(path, what));
        }
        return Err(refuse(
            path,
            format!("is a link to {0}, which is not followed; name {0} itself", to.display()),
        ));
    }
    if found.is_file() || found.is_dir() {
        Ok(Some(found))
    } else {
        let what = format!(
            "is {}, and nothing takes its place; name a new one for {option}",
            kind(&found)
        );
        Err(refuse(path, what))
    }
}

fn kind(found: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = found.file_type();
        if kind.is_fifo() {
            return "a FIFO";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    let _ = found;
    "no regular file"
}

/// Whether both paths name the same file or folder, or would if it existed.
pub(super) fn is_same(path: &Path, other: &Path) -> bool {
    match (fs::symlink_metadata(path), fs::metadata(other)) {
        #[cfg(unix)]
        (Ok(a), Ok(b)) => {
            use std::os::unix::fs::MetadataExt;
            (a.dev(), a.ino()) == (b.dev(), b.ino())
        }
        _ => place_of(path).is_some_and(|place| Some(place) == place_of(other)),
    }
}

/// A path without links and `..`. Its last name need not exist.
fn place_of(path: &Path) -> Option<PathBuf> {
    if let Ok(place) = fs::canonicalize(path) {
        return Some(place);
    }
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(fs::canonicalize(parent).ok()?.join(path.file_name()?))
}

/// Whether `path` exists and lies in the folder `folder`.
pub(super) fn is_below(path: &Path, folder: &Path) -> bool {
    match (fs::canonicalize(path), fs::canonicalize(folder)) {
        (Ok(path), Ok(folder)) => path != folder && path.starts_with(folder),
        _ => false,
    }
}

/// Refuses a file that holds a secret key.
pub(super) fn refuse_secret(path: &Path, option: &str) -> Result<(), Error> {
    if holds_secret(path)? {
        let what = format!("holds a secret key, which is never replaced; choose another {option}");
        Err(refuse(path, what))
    } else {
        Ok(())
    }
}

/// Refuses a folder that holds a file with a secret key, however deep.
pub(super) fn refuse_secrets_below(folder: &Path, option: &str) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        let found = fs::symlink_metadata(&path).map_err(|e| Error::io(&path, e))?;
        if found.is_dir() {
            refuse_secrets_below(&path, option)?;
        } else if found.is_file() {
            refuse_secret(&path, option)?;
        }
    }
    Ok(())
}

/// Whether a file is a private key of any kind: in DER, or in PEM among its first bytes.
fn holds_secret(path: &Path) -> Result<bool, Error> {
    const SEARCHED: u64 = 1 << 16;
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SEARCHED).read_to_end(&mut text));
    read.map_err(|e| Error::io(path, e))?;
    if is_der_key(&text) {
        return Ok(true);
    }
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().any(|line| line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----")))
}

/// Whether the bytes start like a private key in DER, by their first two parts. That is a version
/// before an algorithm (PKCS#8), a string (SEC1) or a number (PKCS#1; PKCS#12 has a version too),
/// or an algorithm before an encrypted string.
fn is_der_key(bytes: &[u8]) -> bool {
    let parts = || -> Result<_, pkcs8::der::Error> {
        let whole = AnyRef::from_der(bytes)?;
        whole.tag().assert_eq(Tag::Sequence)?;
        let mut inside = SliceReader::new(whole.value())?;
        Ok((AnyRef::decode(&mut inside)?, AnyRef::decode(&mut inside)?.tag()))
    };
    let Ok((first, second)) = parts() else { return false };
    match (first.tag(), second) {
        (Tag::Integer, Tag::Sequence | Tag::OctetString | Tag::Integer) => {
            matches!(first.value(), [0 | 1 | 3])
        }
        (Tag::Sequence, Tag::OctetString) => true,
        _ => false,
    }
}

/// An error that names `path`.
pub(super) fn refuse(path: &Path, what: String) -> Error {
    Error::Output { path: path.to_owned(), what }
}
