//! What a JPEG says of itself (ITU-T T.81 annex B, JFIF, Adobe's marker APP14).

use super::{Fault, damaged};

/// How the pixels are coded, by the marker of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// SOF0.
    Baseline,
    /// SOF1.
    Extended,
    /// SOF2.
    Progressive,
    /// SOF3.
    Lossless,
    /// Another, such as arithmetic coding or hierarchical files, by the second byte of its marker.
    Other(u8),
}

/// A colour of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// Its name in the file.
    pub id: u8,
    /// Samples across in one unit of the frame, 1 to 4.
    pub across: u8,
    /// Samples down in one unit of the frame, 1 to 4.
    pub down: u8,
    /// Which quantization table it uses.
    pub quantization: u8,
}

/// A quantization table in zigzag order: a byte a step, or two (`wide`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantization<'a> {
    pub(super) wide: bool,
    pub(super) steps: &'a [u8],
}

/// A component in a scan, with its Huffman tables: the 16 counts of codes, then the symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanComponent<'a> {
    /// Its place in [`Head::components`].
    pub index: usize,
    pub(super) dc: Option<&'a [u8]>,
    pub(super) ac: Option<&'a [u8]>,
    pub(super) quantization: Option<Quantization<'a>>,
}

/// A scan: its header and its compressed data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan<'a> {
    /// The components whose samples it holds, at least one.
    pub components: Vec<ScanComponent<'a>>,
    /// The first coefficient, in a lossless JPEG the predictor.
    pub first: u8,
    /// The last coefficient.
    pub last: u8,
    /// The bit that was sent last before, 0 for none.
    pub high: u8,
    /// The lowest bit that is sent; in a lossless JPEG the point transform.
    pub low: u8,
    /// Units between two restart markers, 0 for none.
    pub restart: u16,
    pub(super) data: &'a [u8],
}

/// What a JPEG says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<'a> {
    /// How the pixels are coded.
    pub process: Process,
    /// Bits of a sample.
    pub precision: u8,
    /// Lines, at least 1.
    pub rows: u16,
    /// Samples of a line, at least 1.
    pub columns: u16,
    /// The colours, 1 to 4.
    pub components: Vec<Component>,
    /// The scans in their order, at least one.
    pub scans: Vec<Scan<'a>>,
    /// Whether a marker of JFIF stands before the first scan.
    pub jfif: bool,
    /// The colour transform of Adobe's marker, where one stands before the first scan.
    pub adobe: Option<u8>,
    /// Whether the file goes on to its end marker.
    pub ended: bool,
}

impl Head<'_> {
    /// Whether libjpeg, which most viewers use, takes three colours for RGB and not for YCbCr. It
    /// goes by JFIF, then by Adobe's marker, then by the components' names.
    pub fn is_rgb_to_libjpeg(&self) -> bool {
        !self.jfif && self.adobe.map_or(self.names() == *b"RGB", |transform| transform == 0)
    }

    /// What the file calls the first three components, 0 for those that are not there.
    pub(crate) fn names(&self) -> [u8; 3] {
        [0, 1, 2].map(|at| self.components.get(at).map_or(0, |component| component.id))
    }
}

/// A scan whose data cannot fill the image, whatever it holds.
pub(super) fn too_little(head: &Head<'_>, scan: &Scan<'_>) -> Fault {
    damaged(format!(
        "{} bytes of data cannot hold {} x {} pixels",
        scan.data.len(),
        head.columns,
        head.rows
    ))
}
