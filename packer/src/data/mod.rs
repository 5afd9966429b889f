//! Labelled images: a folder with its splits or a MedMNIST file, decoded and resized pixels, augmentation, and synthetic tissue (phantoms).
//!
//! Refused, each naming the file or the row: paths that leave the folder, files that are missing or do not decode, a file named
//! twice, a class without images, a class that only the test split knows, and a group (patient) on both sides of a split.

mod augment;
mod condensed;
mod dataset;
mod hold_out;
mod images;
mod npz;
pub mod phantom;
mod progress;
mod splits;
mod tree;

pub use augment::{Augment, Draw};
pub use condensed::{Condensed, Labels, Record, Start};
pub use dataset::{Dataset, Item, Split};
pub use images::{Colour, Images, MAX_FILE};
pub(crate) use progress::Progress;

#[cfg(test)]
pub(crate) use condensed::tests as condensed_tests;
#[cfg(test)]
mod tests;
