//! The arrays of a MedMNIST file: their types and shapes are checked before anything is read.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar, TypeStr};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::{Error, input};

/// The longest side, in pixels.
const MAX_SIDE: u64 = 4096;
const MAX_IMAGES: u64 = 10_000_000;

/// An open file of arrays.
pub(super) struct Archive {
    file: PathBuf,
    zip: ZipArchive<BufReader<File>>,
}

/// The shape of an array of images.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub images: u64,
    pub height: u64,
    pub width: u64,
    /// 1 or 3.
    pub channels: usize,
}

impl Archive {
    pub fn open(file: &Path) -> Result<Self, Error> {
        let opened = input::open(file)?;
        let zip = ZipArchive::new(BufReader::new(opened)).map_err(|e| {
            let what = format!("is not a whole .npz ({e}); fetch it again, or give a folder");
            Error::DataFolder { path: file.to_owned(), what }
        })?;
        Ok(Archive { file: file.to_owned(), zip })
    }

    pub fn refuse(&self, what: String) -> Error {
        Error::DataFolder { path: self.file.clone(), what }
    }

    /// Whether there is an array of that name.
    pub fn has(&self, array: &str) -> bool {
        self.zip.index_for_name(&format!("{array}.npy")).is_some()
    }

    /// Calls `read` with an array's header and the bytes after it.
    ///
    /// # Errors
    /// [`Error::DataFolder`]: there is no such array, it is in Fortran's order, or what `read`
    /// says.
    pub fn array<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&NpyHeader, &mut dyn Read) -> Result<T, String>,
    ) -> Result<T, Error> {
        let refuse = |what: String| Error::DataFolder { path: self.file.clone(), what };
        let mut entry = self.zip.by_name(&format!("{name}.npy")).map_err(|e| match e {
            ZipError::FileNotFound => {
                let names = "train_images, train_labels, test_images and test_labels";
                refuse(format!("has no array {name}; a MedMNIST file has {names}"))
            }
            other => refuse(format!("{name} cannot be read: {other}")),
        })?;
        let header = NpyHeader::from_reader(&mut entry)
            .map_err(|e| refuse(format!("{name} is no array: {e}")))?;
        if header.order() != Order::C {
            return Err(refuse(format!(
                "{name} is in Fortran's order; save it with numpy.ascontiguousarray"
            )));
        }
        read(&header, &mut entry).map_err(refuse)
    }

    /// The shape of a part's images.
    ///
    /// # Errors
    /// [`Error::DataFolder`]: other types than 8 bits, volumes, sizes that are out of range.
    pub fn shape(&mut self, part: &str) -> Result<Shape, Error> {
        let name = format!("{part}_images");
        self.array(&name, |header, _| {
            let dtype = header.dtype();
            if !matches!(&dtype,
                DType::Plain(t) if t.type_char() == TypeChar::Uint && t.size_field() == 1)
            {
                return Err(format!(
                    "{name} has the type {}; images of 8 bits (uint8) are read",
                    dtype.descr()
                ));
            }
            let (images, height, width, channels) = match *header.shape() {
                [images, height, width] | [images, height, width, 1] => (images, height, width, 1),
                [images, height, width, 3] => (images, height, width, 3),
                ref other => {
                    return Err(format!(
                        "{name} has shape {other:?}; [N, H, W] and [N, H, W, 3] are read, volumes \
                         are not"
                    ));
                }
            };
            let sides = 1..=MAX_SIDE;
            if images <= MAX_IMAGES && sides.contains(&height) && sides.contains(&width) {
                Ok(Shape { images, height, width, channels })
            } else {
                Err(format!("{name} has shape {:?}, which is out of range", header.shape()))
            }
        })
    }

    /// The labels of a part.
    ///
    /// # Errors
    /// [`Error::DataFolder`]: several labels an image, other types than whole numbers, negative
    /// ones.
    pub fn labels(&mut self, part: &str) -> Result<Vec<u64>, Error> {
        let name = format!("{part}_labels");
        self.array(&name, |header, reader| {
            let count = match *header.shape() {
                [count] | [count, 1] if count <= MAX_IMAGES => count,
                ref other => {
                    return Err(format!(
                        "{name} has shape {other:?}; one label an image is read: [N] or [N, 1]"
                    ));
                }
            };
            let whole = |t: &TypeStr| matches!(t.type_char(), TypeChar::Int | TypeChar::Uint);
            let (kind, width) = match header.dtype() {
                DType::Plain(t) if whole(&t) && [1, 2, 4, 8].contains(&t.size_field()) => {
                    let width = t.size_field() as usize;
                    (t, width)
                }
                other => {
                    return Err(format!(
                        "{name} has the type {}; labels are whole numbers",
                        other.descr()
                    ));
                }
            };
            let mut labels = Vec::new();
            let mut bytes = [0; 8];
            for row in 0..count {
                let own = &mut bytes[..width];
                reader
                    .read_exact(own)
                    .map_err(|_| format!("{name} ends after {row} of {count} labels"))?;
                let label = whole_number(&kind, own);
                labels.push(label.ok_or_else(|| format!("{name}, label {row} is negative"))?);
            }
            Ok(labels)
        })
    }
}

/// The number in `bytes`, which may be turned round; none where it is negative.
fn whole_number(kind: &TypeStr, bytes: &mut [u8]) -> Option<u64> {
    if kind.endianness() == Endianness::Big {
        bytes.reverse();
    }
    let number = bytes.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    let negative = kind.type_char() == TypeChar::Int && number >> (8 * bytes.len() - 1) == 1;
    (!negative).then_some(number)
}
