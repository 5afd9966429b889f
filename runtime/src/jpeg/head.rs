//! What a JPEG says of itself (ITU-T T.81 annex B, JFIF, Adobe's marker APP14), read as hostile
//! input and as libjpeg reads it: bytes that belong to no marker are passed over, markers may be
//! filled up with 0xff, and the tables of a scan are those that were defined last before it.

use super::walk::Walk;
use super::{Fault, damaged, unsupported};

/// The most scans that are read; libjpeg's own scripts have ten.
const MAX_SCANS: usize = 100;

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

/// Reads all markers of a JPEG, and no pixel.
///
/// # Errors
/// [`Fault::Damaged`] for what breaks the standard or has no scan, [`Fault::Unsupported`] for a
/// number of lines that is not in the frame's header (DNL) and more than four colours.
pub fn head(bytes: &[u8]) -> Result<Head<'_>, Fault> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return Err(damaged("it does not begin as a JPEG does"));
    }
    let mut walk = Walk::new(bytes, 2);
    let mut seen = Seen::default();
    while let Some(marker) = walk.marker() {
        match marker {
            0xd9 => {
                seen.ended = true;
                break;
            }
            0xd8 => return Err(damaged("it begins a second time within")),
            0x01 | 0xd0..=0xd7 => continue,
            _ => {}
        }
        let segment = walk.segment()?;
        match marker {
            0xc4 => seen.huffman(segment)?,
            0xcc => {} // what it conditions is arithmetic coding, which the frame names
            0xc0..=0xcf => seen.frame(marker, segment)?,
            0xda => {
                let data = walk.entropy_coded();
                seen.scan(segment, data)?;
            }
            0xdb => seen.quantization(segment)?,
            0xdc => {
                return Err(unsupported("its number of lines comes after its first scan (DNL)"));
            }
            0xdd => match *segment {
                [high, low] => seen.restart = u16::from_be_bytes([high, low]),
                _ => return Err(damaged("its restart interval is damaged")),
            },
            0xe0 if seen.scans.is_empty() => {
                seen.jfif |= segment.len() >= 14 && segment.starts_with(b"JFIF\0")
            }
            0xee if seen.scans.is_empty() && segment.starts_with(b"Adobe") => {
                seen.adobe = segment.get(11).copied().or(seen.adobe);
            }
            _ => {}
        }
    }
    let Seen { frame, scans, jfif, adobe, ended, .. } = seen;
    match frame {
        Some((process, precision, rows, columns, components)) if !scans.is_empty() => {
            Ok(Head { process, precision, rows, columns, components, scans, jfif, adobe, ended })
        }
        Some(_) => Err(damaged("it is cut off before its first scan")),
        None => Err(damaged("it has no frame")),
    }
}

impl Head<'_> {
    /// Whether libjpeg, which most viewers use, takes three colours for RGB and not for YCbCr: by
    /// JFIF, then by Adobe's marker, then by the components' names.
    pub fn is_rgb_to_libjpeg(&self) -> bool {
        !self.jfif && self.adobe.map_or(self.names() == *b"RGB", |transform| transform == 0)
    }

    /// What the file calls the first three components, 0 for those that are not there.
    pub(crate) fn names(&self) -> [u8; 3] {
        [0, 1, 2].map(|at| self.components.get(at).map_or(0, |component| component.id))
    }
}

/// What was read so far.
#[derive(Default)]
struct Seen<'a> {
    frame: Option<(Process, u8, u16, u16, Vec<Component>)>,
    scans: Vec<Scan<'a>>,
    dc: [Option<&'a [u8]>; 4],
    ac: [Option<&'a [u8]>; 4],
    steps: [Option<Quantization<'a>>; 4],
    restart: u16,
    jfif: bool,
    adobe: Option<u8>,
    ended: bool,
}

impl<'a> Seen<'a> {
    fn frame(&mut self, marker: u8, segment: &[u8]) -> Result<(), Fault> {
        if self.frame.is_some() {
            return Err(damaged("it has two frames"));
        }
        let [precision, r0, r1, c0, c1, count, ref rest @ ..] = *segment else {
            return Err(damaged("the header of its frame is cut off"));
        };
        let (rows, columns) = (u16::from_be_bytes([r0, r1]), u16::from_be_bytes([c0, c1]));
        if rows == 0 {
            return Err(unsupported("its number of lines is not in the header of its frame (DNL)"));
        }
        if columns == 0 || count == 0 || rest.len() != 3 * usize::from(count) {
            return Err(damaged("the header of its frame is damaged"));
        }
        if count > 4 {
            return Err(unsupported(format!("it has {count} colours, and up to 4 are read")));
        }
        let components = rest.as_chunks::<3>().0.iter().map(|&[id, factors, quantization]| {
            let (across, down) = (factors >> 4, factors & 15);
            let sound = (1..=4).contains(&across) && (1..=4).contains(&down) && quantization < 4;
            sound.then_some(Component { id, across, down, quantization })
        });
        let components = components.collect::<Option<Vec<_>>>();
        let components =
            components.ok_or_else(|| damaged("the sampling factors of its frame are damaged"))?;
        let process = match marker {
            0xc0 => Process::Baseline,
            0xc1 => Process::Extended,
            0xc2 => Process::Progressive,
            0xc3 => Process::Lossless,
            other => Process::Other(other),
        };
        self.frame = Some((process, precision, rows, columns, components));
        Ok(())
    }

    fn scan(&mut self, segment: &[u8], data: &'a [u8]) -> Result<(), Fault> {
        let wrong = || damaged("the header of a scan is damaged");
        let Some((.., components)) = &self.frame else {
            return Err(damaged("it has a scan before its frame"));
        };
        let (&count, rest) = segment.split_first().ok_or_else(wrong)?;
        let (names, [first, last, bits]) = rest.split_last_chunk::<3>().ok_or_else(wrong)?;
        if count == 0 || names.len() != 2 * usize::from(count) {
            return Err(wrong());
        }
        if self.scans.len() == MAX_SCANS {
            return Err(unsupported(format!("it has more than {MAX_SCANS} scans")));
        }
        let mut in_scan: Vec<ScanComponent> = Vec::new();
        for &[id, tables] in names.as_chunks::<2>().0 {
            // Files that name all colours alike mean them in their order.
            let index = components.iter().enumerate().position(|(index, component)| {
                component.id == id && in_scan.iter().all(|taken| taken.index != index)
            });
            let index =
                index.ok_or_else(|| damaged("a scan has a colour that the frame has not"))?;
            if in_scan.last().is_some_and(|before| before.index > index) {
                return Err(damaged("a scan has its colours in another order than the frame"));
            }
            let table = |tables: [Option<&'a [u8]>; 4], at: u8| {
                tables.get(usize::from(at)).copied().flatten()
            };
            in_scan.push(ScanComponent {
                index,
                dc: table(self.dc, tables >> 4),
                ac: table(self.ac, tables & 15),
                quantization: self.steps[usize::from(components[index].quantization)],
            });
        }
        self.scans.push(Scan {
            components: in_scan,
            first: *first,
            last: *last,
            high: bits >> 4,
            low: bits & 15,
            restart: self.restart,
            data,
        });
        Ok(())
    }

    fn huffman(&mut self, mut segment: &'a [u8]) -> Result<(), Fault> {
        let wrong = || damaged("a Huffman table is damaged");
        while let Some((&name, table)) = segment.split_first() {
            let counts = table.first_chunk::<16>().ok_or_else(wrong)?;
            let length = 16 + counts.iter().map(|&count| usize::from(count)).sum::<usize>();
            let tables = match name >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(wrong()),
            };
            let place = tables.get_mut(usize::from(name & 15)).ok_or_else(wrong)?;
            *place = Some(table.get(..length).filter(|_| length <= 16 + 256).ok_or_else(wrong)?);
            segment = &table[length..];
        }
        Ok(())
    }

    fn quantization(&mut self, mut segment: &'a [u8]) -> Result<(), Fault> {
        let wrong = || damaged("a quantization table is damaged");
        while let Some((&name, table)) = segment.split_first() {
            let wide = match name >> 4 {
                0 => false,
                1 => true,
                _ => return Err(wrong()),
            };
            let length = if wide { 128 } else { 64 };
            let place = self.steps.get_mut(usize::from(name & 15)).ok_or_else(wrong)?;
            *place = Some(Quantization { wide, steps: table.get(..length).ok_or_else(wrong)? });
            segment = &table[length..];
        }
        Ok(())
    }
}
