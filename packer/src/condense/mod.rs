//! Dataset condensation: a few synthetic images per class whose statistics under many networks and
//! views are those of the real images (distribution matching, Zhao & Bilen 2023). A head or module
//! trained on them then does what it would on the real ones.
//!
//! The real images are measured once under each view, in a bank. An iteration then costs only the
//! synthetic images.
//!
//! Refused: a class of one image, images that are all alike, settings out of range. With a privacy
//! budget also whatever would read patients a second time: a module, k-means, real colours, a start
//! from real images, soft labels.

mod bank;
mod canvas;
mod checkpoint;
mod cluster;
mod condensation;
mod ensemble;
mod goal;
mod iterations;
mod objective;
mod page;
mod palette;
mod pixels;
mod plan;
pub mod privacy;
mod private_rows;
mod record;
mod ridge;
mod settings;
mod sheet;
mod source;
mod spectrum;
mod statistics;
#[cfg(test)]
mod tests;
mod view;
mod view_loss;
mod viewer;
mod views;

pub use bank::Bank;
pub use checkpoint::Checkpoint;
pub use cluster::{k_means, medoids};
pub use condensation::Condensation;
pub use page::page;
pub use settings::{CondenseSettings, Matching, Target};
pub use sheet::contact_sheet;
pub use source::Source;
