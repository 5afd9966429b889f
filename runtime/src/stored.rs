//! Stored values, as scanners and archives keep them, to the 8-bit RGB image that a viewer shows
//! (DICOM PS3.3 C.7.6.3, C.11.1 and C.11.2). In this order:
//!
//! 1. The bits are cut out, and their sign extended.
//! 2. Modality: slope and intercept, or a table, never both.
//! 3. Values of interest: a window or a table. Without one it is the whole range that the stored
//!    bits can have, whatever the image holds.
//! 4. MONOCHROME1 is turned over, once and last. Padding is black.
//!
//! Colour has eight bits, or sixteen of which the whole range is shown. YBR becomes RGB as in JPEG
//! (ITU-R BT.601, full range).
//!
//! Refused: values that do not fit one another, tables without entries, and windows of no width.
//! YBR_PARTIAL and chroma that is stored more coarsely are refused too: what decodes a frame has to
//! give full chroma.

mod frame;
mod kinds;
mod shades;

pub use frame::Stored;
pub use kinds::{Bits, Function, Modality, Photometric, Table, Voi};

#[cfg(test)]
mod tests;
