//! The secondary capture, for viewers without structured reports: the image as the network saw it,
//! with the answer written under it.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use font8x8::legacy::BASIC_LEGACY;

use crate::Result;
use crate::answered::Answered;
use crate::code::{self, code, number, reference, sequence};

/// Narrowest and widest capture.
const WIDTHS: [usize; 2] = [320, 640];
/// Height of a line of text, whose letters are eight high and wide.
const LINE: usize = 10;

/// The capture of an image as a Part 10 file.
pub fn file(answered: &Answered) -> Result<Vec<u8>> {
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
    put_pixels(&mut object, answered);
    code::part10(object)
}

/// What is written under the image.
fn written(answered: &Answered) -> Vec<String> {
    let found = &answered.found;
    let mut lines = vec![format!("{} - research only", found.task)];
    match found.abstains() {
        Some(why) => lines.push(format!("no answer: {}", why.name())),
        None => {
            let classes = found.classes.iter().zip(&found.probabilities);
            lines.extend(classes.map(|(class, p)| format!("{p:6.3} {class}")));
        }
    }
    lines.push(format!("bundle {}", &found.bundle[..16]));
    lines
}

/// The picture with its lines, and what says how to read it.
fn put_pixels(object: &mut InMemDicomObject, answered: &Answered) {
    let lines = written(answered);
    let width = (answered.shown.width() as usize).clamp(WIDTHS[0], WIDTHS[1]).next_multiple_of(2);
    // A grey picture stays one: a third of the bytes for everybody.
    let grey = answered.shown.data().as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b);
    let (rows, pixels) = if grey {
        number(object, tags::SAMPLES_PER_PIXEL, 1);
        object.put_str(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
        drawn::<1>(answered, &lines, width)
    } else {
        number(object, tags::SAMPLES_PER_PIXEL, 3);
        object.put_str(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB");
        number(object, tags::PLANAR_CONFIGURATION, 0);
        drawn::<3>(answered, &lines, width)
    };
    let numbers = [
        (tags::ROWS, rows as u16),
        (tags::COLUMNS, width as u16),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ];
    numbers.into_iter().for_each(|(tag, value)| number(object, tag, value));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(pixels)));
}

/// Rows and pixels of so many samples: the image scaled to `columns` by nearest neighbours, and the
/// lines under it.
fn drawn<const SAMPLES: usize>(
    answered: &Answered,
    lines: &[String],
    columns: usize,
) -> (usize, Vec<u8>) {
    let (width, height) = (answered.shown.width() as usize, answered.shown.height() as usize);
    // No taller than three times its width.
    let scaled = (height * columns / width).clamp(2, 3 * columns);
    let rows = scaled + lines.len() * LINE + 4;
    let mut pixels = vec![0; rows * columns * SAMPLES];
    let shown = answered.shown.data().as_chunks::<3>().0;
    for (y, row) in pixels.chunks_exact_mut(columns * SAMPLES).take(scaled).enumerate() {
        let shown = &shown[y * height / scaled * width..][..width];
        for (x, pixel) in row.as_chunks_mut::<SAMPLES>().0.iter_mut().enumerate() {
            pixel.copy_from_slice(&shown[x * width / columns][..SAMPLES]);
        }
    }
    for (number, line) in lines.iter().enumerate() {
        for (place, letter) in line.chars().enumerate() {
            let glyph = BASIC_LEGACY.get(letter as usize).or(BASIC_LEGACY.get('?' as usize));
            let (left, top) = (2 + place * 8, scaled + 2 + number * LINE);
            for (y, bits) in glyph.into_iter().flatten().enumerate() {
                for x in (0..8).filter(|x| bits >> x & 1 == 1 && left + x < columns) {
                    pixels[((top + y) * columns + left + x) * SAMPLES..][..SAMPLES].fill(255);
                }
            }
        }
    }
    (rows, pixels)
}
