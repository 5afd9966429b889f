//! Reads what a JPEG says of itself, as hostile input and as libjpeg reads it. Bytes that belong to
//! no marker are passed over, and markers may be filled up with 0xff. The tables of a scan are
//! those that were defined last before it.

use super::head::{Component, Head, Process, Quantization, Scan, ScanComponent};
use super::walk::Walk;
use super::{Fault, damaged, unsupported};

/// The most scans that are read; libjpeg's own scripts have ten.
const MAX_SCANS: usize = 100;

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
    let mut reader = Reader::default();
    while let Some(marker) = walk.marker() {
        match marker {
            0xd9 => {
                reader.ended = true;
                break;
            }
            0xd8 => return Err(damaged("it begins a second time within")),
            0x01 | 0xd0..=0xd7 => continue,
            _ => {}
        }
        let segment = walk.segment()?;
        match marker {
            0xc4 => reader.huffman(segment)?,
            0xcc => {} // what it conditions is arithmetic coding, which the frame names
            0xc0..=0xcf => reader.frame(marker, segment)?,
            0xda => {
                let data = walk.entropy_coded();
                reader.scan(segment, data)?;
            }
            0xdb => reader.quantization(segment)?,
            0xdc => {
                return Err(unsupported("its number of lines comes after its first scan (DNL)"));
            }
            0xdd => match *segment {
                [high, low] => reader.restart = u16::from_be_bytes([high, low]),
                _ => return Err(damaged("its restart interval is damaged")),
            },
            0xe0 if reader.scans.is_empty() => {
                reader.jfif |= segment.len() >= 14 && segment.starts_with(b"JFIF\0")
            }
            0xee if reader.scans.is_empty() && segment.starts_with(b"Adobe") => {
                reader.adobe = segment.get(11).copied().or(reader.adobe);
            }
            _ => {}
        }
    }
    let Reader { frame, scans, jfif, adobe, ended, .. } = reader;
    match frame {
        Some((process, precision, rows, columns, components)) if !scans.is_empty() => {
            Ok(Head { process, precision, rows, columns, components, scans, jfif, adobe, ended })
        }
        Some(_) => Err(damaged("it is cut off before its first scan")),
        None => Err(damaged("it has no frame")),
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader<'a> {
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

impl<'a> Reader<'a> {
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
