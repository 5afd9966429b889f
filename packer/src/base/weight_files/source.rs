//! A file of weights that is read piece by piece, or its bytes where they are in memory already.

use std::borrow::Cow;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Error, input};

/// A file of weights.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    /// In bytes.
    pub length: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Memory(Vec<u8>),
    /// Behind a lock for its position.
    File(Mutex<File>),
}

impl Source {
    /// The file at `path`, of which nothing is read yet.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`input::MAX_WEIGHTS`], [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = input::open(path)?;
        let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
        if length > input::MAX_WEIGHTS {
            let what = format!("more than {} bytes", input::MAX_WEIGHTS);
            return Err(Error::TooLarge { path: path.to_owned(), what });
        }
        let content = Content::File(Mutex::new(file));
        Ok(Source { path: path.to_owned(), length, content })
    }

    /// A file whose bytes are known.
    pub fn memory(path: &Path, bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        Source { path: path.to_owned(), length, content: Content::Memory(bytes) }
    }

    /// What errors call it.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// At most `most` bytes of its beginning.
    pub fn head(&self, most: u64) -> Result<Cow<'_, [u8]>, Error> {
        self.read(0, self.length.min(most))
    }

    /// The `length` bytes from `at`.
    ///
    /// # Errors
    /// [`Error::Io`], for bytes beyond the end too.
    pub fn read(&self, at: u64, length: u64) -> Result<Cow<'_, [u8]>, Error> {
        let failed = |error| Error::io(&self.path, error);
        let end = at.checked_add(length).filter(|end| *end <= self.length);
        let (Some(_), Ok(length)) = (end, usize::try_from(length)) else {
            return Err(failed(ErrorKind::UnexpectedEof.into()));
        };
        match &self.content {
            Content::Memory(bytes) => Ok(Cow::Borrowed(&bytes[at as usize..][..length])),
            Content::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let mut bytes = Vec::new();
                bytes.try_reserve_exact(length).map_err(|e| failed(e.into()))?;
                bytes.resize(length, 0);
                file.seek(SeekFrom::Start(at))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(failed)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }
}
