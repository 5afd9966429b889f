//! Files to read: only regular ones, of a size that the caller bounds. So no pipe, device or folder
//! keeps a program waiting or reading for ever.
//!
//! A link counts as what it leads to.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens the regular file at `path`.
///
/// # Errors
/// What the system says, and [`io::ErrorKind::InvalidInput`] for what is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    // Opening a device may do something by itself, and opening a pipe waits for a writer. So the
    // kind is checked before opening. It is checked again afterwards: the file may be another.
    check(path)?;
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NONBLOCK | libc::O_NOCTTY,
    );
    let file = options.read(true).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

/// Whether there is a regular file at `path`.
///
/// # Errors
/// As [`open`].
pub fn check(path: &Path) -> io::Result<()> {
    regular(&fs::metadata(path)?)
}

/// The bytes of the regular file at `path`, of which there are at most `limit`.
///
/// # Errors
/// As [`open`], and [`io::ErrorKind::FileTooLarge`].
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let too_large = || {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")))
    };
    let length = file.metadata()?.len();
    if length > limit {
        return too_large();
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length as usize)?;
    // A file may grow meanwhile.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { too_large() } else { Ok(bytes) }
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "it is a folder, where a file is needed"
    } else {
        special(kind)
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

#[cfg(unix)]
fn special(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "it is a pipe, which may never end; write what it gives into a file, and give that"
    } else if kind.is_socket() {
        "it is a socket and no regular file"
    } else {
        "it is a device and no regular file"
    }
}

#[cfg(not(unix))]
fn special(_: fs::FileType) -> &'static str {
    "it is no regular file"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_their_limit() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("f");
        fs::write(&path, b"1234").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"1234");
        assert_eq!(read(&path, u64::MAX).unwrap(), b"1234");
        assert_eq!(read(&path, 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read(place.path(), 3).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            read(&place.path().join("none"), 3).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        // A file without an end costs nothing: 1 TiB that nobody wrote.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&path, 1 << 30).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[cfg(unix)]
    #[test]
    fn what_never_ends_or_blocks_is_refused_at_once() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        symlink(at("pipe"), at("to a pipe")).unwrap();
        symlink("/dev/zero", at("to a device")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (name, word) in [
            ("pipe", "pipe"),
            ("to a pipe", "pipe"),
            ("to a device", "device"),
            ("socket", "socket"),
            (".", "folder"),
        ] {
            let text = read(&at(name), 10).unwrap_err().to_string();
            assert!(text.contains(word), "{name}: {text}");
        }
        fs::write(at("file"), b"1").unwrap();
        symlink(at("file"), at("to a file")).unwrap();
        assert_eq!(read(&at("to a file"), 1).unwrap(), b"1");
    }
}
