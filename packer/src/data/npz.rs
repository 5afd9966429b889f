//! MedMNIST's files: one `.npz` of the arrays `train_images`, `train_labels`, `test_images`,
//! `test_labels` and, beside the training part, `val_images` and `val_labels` (Yang et al. 2023,
//! "MedMNIST v2"), its validation part. Images are 8 bits, [N, H, W] or [N, H, W, 3]; labels are
//! whole numbers.
//!
//! Nothing in such a file says which images come from one patient: every image is its own group,
//! and a warning says so. Refused: arrays that are missing, of another type, shape or length;
//! volumes; several labels an image.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use medforge_runtime::image::RgbImage8;
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};
use zip::ZipArchive;
use zip::result::ZipError;

use super::dataset::{Entry, Listing};
use super::part::Part;
use crate::{Error, input, interrupt};

/// The parts of a file.
const PARTS: [(&str, Part); 3] =
    [("train", Part::Train), ("val", Part::Validation), ("test", Part::Test)];
/// Pixels along a side.
const MAX_SIDE: u64 = 4096;
const MAX_IMAGES: u64 = 10_000_000;
/// Images that are handed on together.
const CHUNK: usize = 256;

/// Every image of `file`, with its class, the label's number.
pub(super) fn read(file: &Path) -> Result<Listing, Error> {
    let mut archive = Archive::open(file)?;
    let mut labelled = Vec::new();
    for (part, kind) in PARTS {
        if part == "val" && !archive.has("val_images") {
            continue;
        }
        let shape = archive.shape(part)?;
        let labels = archive.labels(part)?;
        if labels.len() as u64 != shape.images {
            let what = format!(
                "{part}_images has {} images and {part}_labels {} labels",
                shape.images,
                labels.len()
            );
            return Err(archive.refuse(what));
        }
        labelled.push((part, kind, labels));
    }
    let largest = labelled.iter().flat_map(|(_, _, labels)| labels).max().copied().unwrap_or(0);
    let width = largest.to_string().len();
    let note = format!(
        "{}: the file says nothing of patients, so every image counts as its own; if patients have \
         several images, results will look \
         better than they are",
        file.display()
    );
    let entries = labelled.into_iter().flat_map(|(part, kind, labels)| {
        labels.into_iter().enumerate().map(move |(row, label)| Entry {
            path: PathBuf::from(format!("{part}/{row}")),
            class: format!("{label:0width$}"),
            group: format!("{part}/{row}"),
            split: kind.split(),
            validation: kind == Part::Validation,
            place: format!("{}, {part}_images, image {row}", file.display()),
        })
    });
    Ok(Listing { entries: entries.collect(), notes: vec![note], ..Listing::default() })
}

/// Hands on the images at `paths` (as [`read`] names them), some at a time, each with its place in
/// `paths`.
pub(super) fn images(
    file: &Path,
    paths: &[&Path],
    mut each: impl FnMut(Vec<(usize, RgbImage8)>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut archive = Archive::open(file)?;
    for (part, _) in PARTS {
        let mut wanted: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (place, path) in paths.iter().enumerate() {
            if let Some(row) =
                path.strip_prefix(part).ok().and_then(|row| row.to_str()?.parse().ok())
            {
                wanted.entry(row).or_default().push(place);
            }
        }
        if wanted.is_empty() {
            continue;
        }
        let shape = archive.shape(part)?;
        let name = format!("{part}_images");
        let mut chunk = Vec::new();
        archive.array(&name, |_, reader| {
            let mut bytes = vec![0; (shape.height * shape.width) as usize * shape.channels];
            for row in 0..shape.images {
                reader
                    .read_exact(&mut bytes)
                    .map_err(|_| format!("{name} ends after {row} of {} images", shape.images))?;
                let Some(places) = wanted.get(&row) else { continue };
                let rgb = match shape.channels {
                    1 => bytes.iter().flat_map(|v| [*v; 3]).collect(),
                    _ => bytes.clone(),
                };
                let image = RgbImage8::new(rgb, shape.width as u32, shape.height as u32)
                    .map_err(|e| e.to_string())?;
                chunk.extend(places.iter().map(|place| (*place, image.clone())));
                if chunk.len() >= CHUNK {
                    let full = std::mem::take(&mut chunk);
                    if let Err(error) = interrupt::check().and_then(|()| each(full)) {
                        return Ok(Err(error));
                    }
                }
            }
            Ok(each(std::mem::take(&mut chunk)))
        })??;
    }
    Ok(())
}

struct Archive {
    file: PathBuf,
    zip: ZipArchive<BufReader<File>>,
}

/// The shape of an array of images.
#[derive(Clone, Copy)]
struct Shape {
    images: u64,
    height: u64,
    width: u64,
    /// 1 or 3.
    channels: usize,
}

impl Archive {
    fn open(file: &Path) -> Result<Self, Error> {
        let opened = input::open(file)?;
        let zip = ZipArchive::new(BufReader::new(opened)).map_err(|e| {
            let what = format!("is not a whole .npz ({e}); fetch it again, or give a folder");
            Error::DataFolder { path: file.to_owned(), what }
        })?;
        Ok(Archive { file: file.to_owned(), zip })
    }

    fn refuse(&self, what: String) -> Error {
        Error::DataFolder { path: self.file.clone(), what }
    }

    fn has(&self, array: &str) -> bool {
        self.zip.index_for_name(&format!("{array}.npy")).is_some()
    }

    /// What `read` makes of an array's header and the bytes after it.
    fn array<T>(
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

    fn shape(&mut self, part: &str) -> Result<Shape, Error> {
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

    fn labels(&mut self, part: &str) -> Result<Vec<u64>, Error> {
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
            let whole = |t: &npyz::TypeStr| matches!(t.type_char(), TypeChar::Int | TypeChar::Uint);
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
                if kind.endianness() == Endianness::Big {
                    own.reverse();
                }
                let label =
                    own.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
                if kind.type_char() == TypeChar::Int && label >> (8 * width - 1) == 1 {
                    return Err(format!("{name}, label {row} is negative"));
                }
                labels.push(label);
            }
            Ok(labels)
        })
    }
}

#[cfg(test)]
mod tests;
