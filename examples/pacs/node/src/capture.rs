//! The secondary capture: the image as it was shown to the network, with what was found written under it, for viewers without structured reports.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use font8x8::legacy::BASIC_LEGACY;

use crate::Result;
use crate::code::{self, code, number, reference, sequence};
use crate::work::Answered;

/// Narrowest and widest capture, and the size of a glyph's dots.
const WIDTHS: [usize; 2] = [320, 640];
const DOT: usize = 1;
/// Height of a line of text.
const LINE: usize = 10 * DOT;

/// The capture of an image as a Part 10 file.
pub fn file(answered: &Answered) -> Result<Vec<u8>> {
    let found = &answered.found;
    let mut lines = vec![format!("{} - research only", found.task)];
    let abstains = found.abstains();
    lines.extend(abstains.map(|why| format!("no answer: {}", why.name())));
    let shown = if abstains.is_some() { 0 } else { found.classes.len() };
    lines.extend(
        found.classes.iter().take(shown).zip(&found.probabilities).map(|(class, p)| format!("{p:6.3} {class}")),
    );
    lines.push(format!("bundle {}", &found.bundle[..16]));
    let width = (answered.shown.width() as usize).clamp(WIDTHS[0], WIDTHS[1]).next_multiple_of(2);
    let (rows, pixels) = drawn(answered, &lines, width);

    let mut object = code::beginning(answered, uids::SECONDARY_CAPTURE_IMAGE_STORAGE, "sc");
    object.put_str(tags::MODALITY, VR::CS, "OT");
    object.put_str(tags::CONVERSION_TYPE, VR::CS, "WSD");
    object.put_str(tags::IMAGE_TYPE, VR::CS, "DERIVED\\SECONDARY");
    object.put_str(tags::BURNED_IN_ANNOTATION, VR::CS, "YES");
    object.put_str(tags::PATIENT_ORIENTATION, VR::CS, "");
    object.put_str(tags::LATERALITY, VR::CS, "");
    let mut source = reference(answered);
    sequence(
        &mut source,
        tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
        vec![code(("121322", "DCM", "Source image for image processing operation"))],
    );
    sequence(&mut object, tags::SOURCE_IMAGE_SEQUENCE, vec![source]);
    object.put_str(
        tags::DERIVATION_DESCRIPTION,
        VR::ST,
        "Scaled, with the result of a classification written under it",
    );
    number(&mut object, tags::SAMPLES_PER_PIXEL, 3);
    object.put_str(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB");
    let numbers = [
        (tags::PLANAR_CONFIGURATION, 0),
        (tags::ROWS, rows as u16),
        (tags::COLUMNS, width as u16),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ];
    numbers.into_iter().for_each(|(tag, value)| number(&mut object, tag, value));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(pixels)));
    code::part10(object)
}

/// Rows and RGB pixels: the image scaled to `columns` by nearest neighbours, and the lines under it.
fn drawn(answered: &Answered, lines: &[String], columns: usize) -> (usize, Vec<u8>) {
    let (width, height) = (answered.shown.width() as usize, answered.shown.height() as usize);
    // No taller than three times its width.
    let scaled = (height * columns / width).clamp(2, 3 * columns);
    let rows = scaled + lines.len() * LINE + DOT * 2;
    let mut pixels = vec![0; rows * columns * 3];
    for (y, row) in pixels.chunks_exact_mut(columns * 3).take(scaled).enumerate() {
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let from = (y * height / scaled) * width + x * width / columns;
            pixel.copy_from_slice(&answered.shown.data()[from * 3..][..3]);
        }
    }
    for (number, line) in lines.iter().enumerate() {
        for (place, letter) in line.chars().enumerate() {
            let glyph = BASIC_LEGACY.get(letter as usize).or(BASIC_LEGACY.get('?' as usize));
            let (left, top) = (DOT * 2 + place * 8 * DOT, scaled + DOT * 2 + number * LINE);
            for (y, bits) in glyph.into_iter().flatten().enumerate() {
                for x in (0..8).filter(|x| bits >> x & 1 == 1) {
                    for (dy, dx) in (0..DOT).flat_map(|dy| (0..DOT).map(move |dx| (dy, dx))) {
                        let (x, y) = (left + x * DOT + dx, top + y * DOT + dy);
                        if x < columns {
                            pixels[(y * columns + x) * 3..][..3].fill(255);
                        }
                    }
                }
            }
        }
    }
    (rows, pixels)
}
