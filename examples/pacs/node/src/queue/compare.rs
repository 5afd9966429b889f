//! Two images under one identifier: their bytes, a piece at a time, and their pixels.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use medforge_runtime::dicom;

/// How much of a file is looked at at a time when bytes are compared.
pub const PIECE: usize = 1 << 16;

/// Whether two files hold the same bytes, a piece of each at a time.
pub fn same_bytes(new: &mut File, old: &mut File) -> io::Result<bool> {
    if new.metadata()?.len() != old.metadata()?.len() {
        return Ok(false);
    }
    let (mut some, mut others) =
        (BufReader::with_capacity(PIECE, new), BufReader::with_capacity(PIECE, old));
    loop {
        let (a, b) = (some.fill_buf()?, others.fill_buf()?);
        let count = a.len().min(b.len());
        if a[..count] != b[..count] || a.is_empty() != b.is_empty() {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
        some.consume(count);
        others.consume(count);
    }
}

/// The digest of the stored pixels, of a file that can be read and has one frame.
pub fn pixels(file: &mut File) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let digest = || {
        let read = dicom::read(&bytes, "the image").ok().filter(|read| read.frames() == 1)?;
        read.frame(0).ok()?.stored().sha256_hex().ok()
    };
    Ok(digest())
}
