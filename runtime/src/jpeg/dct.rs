//! Baseline, extended and progressive JPEGs with Huffman codes, in any scans and sampling factors
//! that libjpeg decodes. Samples of 8 bits are those of libjpeg-turbo to the bit, and samples of 12
//! bits those of dcmtk.
//!
//! Refused by name:
//!
//! - arithmetic coding and hierarchical files,
//! - sampling factors of which one is no multiple of the other,
//! - progressive files that do not bring every coefficient in full; viewers guess at the rest.

use super::entropy::Entropy;
use super::head::{Head, Process, Scan, too_little};
use super::idct::Sample;
use super::planes::{Blocks, Layout, Plane};
use super::{Decoded, Fault, damaged, unsupported};
use crate::image::MAX_PIXELS;

/// The samples of a JPEG in the colours that it keeps: of 8 bits as `u8`, or of 12 bits as `u16`.
/// The caller compares the sides in `head` with what it expects before it calls, and calls
/// [`ybr_to_rgb`] where the colours are YCbCr.
///
/// # Errors
/// [`Fault::Unsupported`] for what the module's head says is refused, for other bits a sample than
/// `S` is for, and for more than [`MAX_PIXELS`] pixels; [`Fault::Damaged`] for data that ends early
/// or breaks the standard.
pub fn decode<S: Sample>(head: &Head<'_>) -> Result<Decoded<S>, Fault> {
    check(head, S::BITS)?;
    let layouts: Vec<Layout> =
        (0..head.components.len()).map(|index| Layout::new(head, index)).collect();
    check_scans(head, &layouts)?;
    let mut surplus = false;
    let planes = if head.process == Process::Progressive {
        let mut blocks: Vec<Blocks> = layouts.iter().map(Blocks::new).collect();
        for scan in &head.scans {
            surplus |= Entropy::new(scan).progressive(&layouts, &mut blocks)?;
        }
        let steps = (0..layouts.len()).map(|index| steps(head, index));
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        blocks.into_iter().zip(&steps).map(|(blocks, steps)| blocks.plane(steps)).collect()
    } else {
        let mut planes: Vec<Plane<S>> = layouts.iter().map(Plane::new).collect();
        for scan in &head.scans {
            let steps = scan.components.iter().map(|component| steps(head, component.index));
            let steps = steps.collect::<Result<Vec<_>, _>>()?;
            surplus |= Entropy::new(scan).sequential(&layouts, &steps, &mut planes)?;
        }
        planes
    };
    let (columns, count) = (usize::from(head.columns), planes.len());
    let mut samples = vec![S::default(); usize::from(head.rows) * columns * count];
    let (mut line, mut sums) = (vec![S::default(); columns], Vec::new());
    for (row, pixels) in samples.chunks_exact_mut(columns * count).enumerate() {
        for (index, (plane, layout)) in planes.iter().zip(&layouts).enumerate() {
            plane.line(layout, row, &mut sums, &mut line);
            for (pixel, &sample) in pixels.chunks_exact_mut(count).zip(&line) {
                pixel[index] = sample;
            }
        }
    }
    Ok(Decoded { samples, surplus })
}

/// Pixels of three bytes from YCbCr to RGB (JFIF), as libjpeg rounds.
pub fn ybr_to_rgb(samples: &mut [u8]) {
    for pixel in samples.as_chunks_mut::<3>().0 {
        let [y, blue, red] = pixel.map(i32::from);
        let (blue, red) = (blue - 128, red - 128);
        let half = 1 << 15;
        let rgb = [
            y + ((91_881 * red + half) >> 16),
            y + ((half - 22_554 * blue - 46_802 * red) >> 16),
            y + ((116_130 * blue + half) >> 16),
        ];
        *pixel = rgb.map(|value| value.clamp(0, 255) as u8);
    }
}

fn check(head: &Head<'_>, bits: u8) -> Result<(), Fault> {
    match head.process {
        Process::Baseline | Process::Extended | Process::Progressive => {}
        Process::Lossless => return Err(unsupported("it is lossless")),
        Process::Other(0xc9..=0xcb) => {
            return Err(unsupported("its arithmetic coding is not read"));
        }
        Process::Other(_) => return Err(unsupported("it is hierarchical, which is not read")),
    }
    let (rows, columns) = (u64::from(head.rows), u64::from(head.columns));
    if head.precision != bits {
        return Err(unsupported(format!(
            "its {} bits a sample are not read, only {bits}",
            head.precision
        )));
    }
    if rows * columns > MAX_PIXELS {
        return Err(unsupported(format!("{columns} x {rows} is more than {MAX_PIXELS} pixels")));
    }
    let most =
        |factor: fn(&super::Component) -> u8| head.components.iter().map(factor).max().unwrap_or(1);
    let (across, down) = (most(|component| component.across), most(|component| component.down));
    let multiples = head.components.iter().all(|component| {
        across.is_multiple_of(component.across) && down.is_multiple_of(component.down)
    });
    if !multiples {
        return Err(unsupported("its sampling factors are not multiples of each other"));
    }
    Ok(())
}

/// Each coefficient of each colour comes in full, bit after bit. A scan that brings first bits has
/// at least one bit for each block, and in a sequential JPEG one more for the block's end. So room
/// is made only where data can fill it.
fn check_scans(head: &Head<'_>, layouts: &[Layout]) -> Result<(), Fault> {
    let progressive = head.process == Process::Progressive;
    // The lowest bit that is there.
    let mut bits = [[u8::MAX; 64]; 4];
    for scan in &head.scans {
        let (first, last) = if progressive { band(scan)? } else { (0, 63) };
        let blocks: usize =
            scan.components.iter().map(|component| layouts[component.index].blocks()).sum();
        let least = if progressive { blocks } else { 2 * blocks } / 8;
        if first == 0 && scan.high == 0 && scan.data.len() < least {
            return Err(too_little(head, scan));
        }
        for component in &scan.components {
            for bit in &mut bits[component.index][first..=last] {
                let before = if progressive && scan.high > 0 { scan.high } else { u8::MAX };
                if *bit != before {
                    return Err(damaged("its scans do not follow on each other"));
                }
                *bit = if progressive { scan.low } else { 0 };
            }
        }
    }
    match bits[..head.components.len()].as_flattened().iter().all(|&bit| bit == 0) {
        true => Ok(()),
        false if progressive => {
            Err(unsupported("its scans do not bring every coefficient in full"))
        }
        false => Err(damaged("a colour is in no scan")),
    }
}

/// The coefficients that a scan of a progressive JPEG brings (T.81, G.1.1.1).
fn band(scan: &Scan<'_>) -> Result<(usize, usize), Fault> {
    let (first, last) = (usize::from(scan.first), usize::from(scan.last));
    let sound = if first == 0 {
        last == 0
    } else {
        last >= first && last < 64 && scan.components.len() == 1
    };
    if sound && scan.low <= 13 && (scan.high == 0 || scan.high == scan.low + 1) {
        Ok((first, last))
    } else {
        Err(damaged("the header of a scan is damaged"))
    }
}

/// The quantization table of a component in zigzag order, as it was defined before the component's
/// first scan.
fn steps(head: &Head<'_>, index: usize) -> Result<[i32; 64], Fault> {
    let mut components = head.scans.iter().flat_map(|scan| &scan.components);
    let table = components
        .find(|component| component.index == index)
        .and_then(|component| component.quantization);
    let table = table.ok_or_else(|| damaged("a quantization table is missing"))?;
    let mut steps = [0; 64];
    for (at, step) in steps.iter_mut().enumerate() {
        *step = if table.wide {
            u16::from_be_bytes([table.steps[2 * at], table.steps[2 * at + 1]]).into()
        } else {
            table.steps[at].into()
        };
    }
    Ok(steps)
}
