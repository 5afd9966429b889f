//! Frames of DICOM Part 10 files as stored values, from native, deflated, RLE and JPEG pixel data.
//! Windows and tables are those of the file; in enhanced multi-frame objects each frame has its
//! own.
//!
//! What breaks the standard in one way that peers read alike is read, with a note that says so
//! ([`Dicom::frame`]'s [`Frame::notes`]). A value that is there and cannot be read is an error.
//!
//! Refused by name:
//!
//! - other transfer syntaxes (JPEG-LS, JPEG 2000, video),
//! - segmented palettes,
//! - chroma that is stored more coarsely without JPEG,
//! - one bit a sample,
//! - files that are damaged or do not say what their pixels are.

mod attributes;

mod dataset;
mod file;
mod format;
mod fragments;
mod frame;
mod header;
mod jpeg;
mod part10;
mod pixels;
mod rle;
mod shown;

pub use file::{Dicom, SYNTAXES, read};
pub use frame::Frame;
pub use header::{Header, MAX_HEAD, header};
pub use part10::is_part_10;

#[cfg(test)]
mod tests;
