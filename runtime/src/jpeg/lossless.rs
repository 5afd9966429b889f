//! Lossless JPEGs (ITU-T T.81, annex H) with Huffman codes. Predictors 1 to 7, 2 to 16 bits,
//! restarts, the point transform, and one to four colours in any scans are read. Refused by name:
//! colours of other sampling factors than 1 x 1.

use super::bits::Bits;
use super::head::{Head, Process, Scan, too_little};
use super::huffman::Table;
use super::{Decoded, Fault, damaged, unsupported};
use crate::image::MAX_PIXELS;

/// The samples of a lossless JPEG of any precision, moved up by the point transform as dcmtk, GDCM
/// and libjpeg do it.
///
/// A value beyond the precision is cut to 8 bits where these hold the precision, and else to 16;
/// differences modulo 2^16 can make one. The caller compares the sides in `head` with what it
/// expects before it calls.
///
/// # Errors
/// [`Fault::Unsupported`] for what is no lossless JPEG with Huffman codes, has sampling factors
/// that differ from 1 x 1, or more than [`MAX_PIXELS`] pixels; [`Fault::Damaged`] for data that
/// ends early or breaks the standard.
pub fn decode(head: &Head<'_>) -> Result<Decoded<u16>, Fault> {
    match head.process {
        Process::Lossless => {}
        Process::Other(0xcb) => {
            return Err(unsupported("it is lossless with arithmetic coding, which is not read"));
        }
        _ => return Err(unsupported("it is not lossless")),
    }
    if !(2..=16).contains(&head.precision) {
        return Err(damaged(format!(
            "it has {} bits a sample, and 2 to 16 are possible",
            head.precision
        )));
    }
    let (rows, columns, count) =
        (usize::from(head.rows), usize::from(head.columns), head.components.len());
    if count > 1
        && head.components.iter().any(|component| (component.across, component.down) != (1, 1))
    {
        return Err(unsupported("it is lossless with sampling factors other than 1 x 1"));
    }
    if (rows * columns) as u64 > MAX_PIXELS {
        return Err(unsupported(format!("{columns} x {rows} is more than {MAX_PIXELS} pixels")));
    }
    check_scans(head)?;
    let mut samples = vec![0; rows * columns * count];
    let mut surplus = false;
    for scan in &head.scans {
        surplus |= scan_samples(head, scan, &mut samples)?;
    }
    Ok(Decoded { samples, surplus })
}

/// Each colour is in one scan, and there is at least a bit for each sample. So room is made only
/// where data can fill it.
fn check_scans(head: &Head<'_>) -> Result<(), Fault> {
    let mut seen = [false; 4];
    for scan in &head.scans {
        if !(1..=7).contains(&scan.first)
            || scan.last != 0
            || scan.high != 0
            || scan.low >= head.precision
        {
            return Err(damaged("the header of a scan is damaged"));
        }
        for component in &scan.components {
            if std::mem::replace(&mut seen[component.index], true) {
                return Err(damaged("a colour is in two scans"));
            }
        }
        let samples = usize::from(head.rows) * usize::from(head.columns) * scan.components.len();
        if scan.data.len() < samples / 8 {
            return Err(too_little(head, scan));
        }
    }
    if seen[..head.components.len()].iter().all(|&seen| seen) {
        Ok(())
    } else {
        Err(damaged("a colour is in no scan"))
    }
}

/// Says whether bytes are left at the end.
fn scan_samples(head: &Head<'_>, scan: &Scan<'_>, samples: &mut [u16]) -> Result<bool, Fault> {
    let (rows, columns) = (usize::from(head.rows), usize::from(head.columns));
    let restart = usize::from(scan.restart);
    if !restart.is_multiple_of(columns) {
        return Err(damaged("its restart interval is not of whole lines"));
    }
    let count = scan.components.len();
    let tables = scan.components.iter().map(|component| Table::new(component.dc, 16));
    let tables = tables.collect::<Result<Vec<_>, _>>()?;
    let (start, low) = (1i32 << (head.precision - scan.low - 1), scan.low);
    let cut = if head.precision <= 8 { 0xff } else { 0xffff };
    let mut bits = Bits::new(scan.data);
    // Two lines before the point transform, colours side by side.
    let (mut above, mut line) = (vec![0u16; columns * count], vec![0u16; columns * count]);
    for row in 0..rows {
        let restarts = restart > 0 && row % (restart / columns) == 0;
        if restarts && row > 0 {
            bits.restart()?;
        }
        let first = row == 0 || restarts;
        for at in 0..line.len() {
            let difference = difference(&tables[at % count], &mut bits)?;
            let predicted = match (first, at < count) {
                (true, true) => start,
                (true, false) => line[at - count].into(),
                (false, true) => above[at].into(),
                (false, false) => predict(
                    scan.first,
                    line[at - count].into(),
                    above[at].into(),
                    above[at - count].into(),
                ),
            };
            line[at] = (predicted + difference) as u16;
        }
        let to = &mut samples[row * columns * head.components.len()..]
            [..columns * head.components.len()];
        for (pixel, from) in
            to.chunks_exact_mut(head.components.len()).zip(line.chunks_exact(count))
        {
            for (component, value) in scan.components.iter().zip(from) {
                pixel[component.index] = (value << low) & cut;
            }
        }
        std::mem::swap(&mut above, &mut line);
    }
    bits.end(columns * count)
}

/// The prediction from the samples to the left, above, and to the left above (T.81, table H.1).
#[inline]
fn predict(predictor: u8, a: i32, b: i32, c: i32) -> i32 {
    match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    }
}

/// The next difference (T.81, H.1.2.2): 16 bits stand for 32,768 alone, and no further bits follow.
#[inline]
fn difference(table: &Table, bits: &mut Bits<'_>) -> Result<i32, Fault> {
    match table.symbol(bits)? {
        16 => Ok(1 << 15),
        size => bits.signed(size.into()),
    }
}
