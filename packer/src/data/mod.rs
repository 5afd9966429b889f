//! Labelled images: a folder of PNG, JPEG, TIFF or DICOM files, or a MedMNIST file.
//!
//! Here are the lists with their splits and attributes, the decoded and resized pixels, their
//! augmentation, and synthetic tissue (phantoms).
//!
//! Refused, each by the name of its file or row: paths that leave the folder, files that are
//! missing or do not decode, a file named twice, a class without images, a class that only the test
//! split knows, and a group (patient) on both sides of a split.

mod ages;
mod attributes;
mod augment;
mod build;
mod check;
mod colour;
mod columns;
mod condensed;
mod dataset;
mod dicom;
mod divide;
mod entry;
mod folder;
mod hold_out;
mod images;
mod npz;
mod open;
mod part;
mod part_name;
pub mod phantom;
mod picture;
mod progress;
mod splits;
mod tokens;
mod tree;

pub use attributes::Attribute;
pub use augment::{Augment, Draw};
pub use check::Findings;
pub use colour::Colour;
pub use columns::Columns;
pub use condensed::{Condensed, Labels, Record, Start};
pub use dataset::{Dataset, Item};
pub use images::Images;
pub use part::Split;
pub use picture::{Picture, decode};
pub(crate) use progress::Progress;

#[cfg(test)]
pub(crate) use condensed::tests as condensed_tests;
#[cfg(test)]
mod tests;
