//! Labelled images: a folder of PNG, JPEG, TIFF or DICOM files, or a MedMNIST file, with splits and
//! what else is known of each image; decoded and resized pixels, augmentation, and synthetic tissue
//! (phantoms).
//!
//! Refused, each naming the file or the row: paths that leave the folder, files that are missing or
//! do not decode, a file named twice, a class without images, a class that only the test split
//! knows, and a group (patient) on both sides of a split.

mod ages;
mod attributes;
mod augment;
mod check;
mod colour;
mod columns;
mod condensed;
mod dataset;
mod dicom;
mod divide;
mod hold_out;
mod images;
mod npz;
mod part;
pub mod phantom;
mod picture;
mod progress;
mod splits;
mod tree;

pub use attributes::Attribute;
pub use augment::{Augment, Draw};
pub use check::Findings;
pub use colour::Colour;
pub use columns::Columns;
pub use condensed::{Condensed, Labels, Record, Start};
pub use dataset::{Dataset, Item, Split};
pub use images::Images;
pub use picture::{Picture, decode};
pub(crate) use progress::Progress;

#[cfg(test)]
pub(crate) use condensed::tests as condensed_tests;
#[cfg(test)]
mod tests;
