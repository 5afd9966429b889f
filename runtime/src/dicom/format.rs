//! How a file keeps the pixels of its frames, and what decoding one gives.

use crate::stored::Bits;

/// What the file says of its frames.
pub struct Format<'a> {
    /// Height in pixels.
    pub rows: u32,
    /// Width in pixels.
    pub columns: u32,
    /// Of a pixel.
    pub samples: u32,
    /// Of a sample.
    pub bits: Bits,
    /// Photometric Interpretation.
    pub photometric: &'a str,
    pub planar: bool,
    pub frames: u32,
    pub coding: Coding,
}

/// How the transfer syntax keeps pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Native,
    Rle,
    Jpeg,
}

/// A frame's values, little-endian.
pub struct Values {
    pub data: Vec<u8>,
    pub planar: bool,
    /// Whether the colours are YBR where the file says RGB.
    pub ybr_after_all: bool,
}

/// Why a frame is not decoded.
#[derive(Debug)]
pub enum Refusal {
    Damaged(String),
    Unsupported(String),
}
