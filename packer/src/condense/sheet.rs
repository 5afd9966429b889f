//! The contact sheet: every synthetic image, one row of tiles a class, as PNG.

use crate::Error;
use crate::data::Condensed;
use crate::png_file::{self, Compression};

/// White pixels between two images.
const GAP: u32 = 2;
/// Images side by side at most.
const ACROSS: usize = 10;

/// Pixels of a sheet at most: some thousand images.
const MOST: u64 = 1 << 28;

/// The images by class, at most `ACROSS` in a row, on white.
///
/// # Errors
/// [`Error::Condense`] for a sheet of more than 2^28 pixels.
pub fn contact_sheet(set: &Condensed) -> Result<Vec<u8>, Error> {
    let side = set.record.image_size;
    let classes = set.classes();
    let of_class = |class| (0..set.len()).filter(|&i| classes[i] == class).collect::<Vec<_>>();
    let rows: Vec<Vec<usize>> = (0..set.record.classes.len())
        .flat_map(|class| of_class(class).chunks(ACROSS).map(<[usize]>::to_vec).collect::<Vec<_>>())
        .collect();
    let across = rows.iter().map(Vec::len).max().unwrap_or(0);
    let failed = |what: String| Error::Condense { what: format!("no contact sheet: {what}") };
    let pixels = |tiles: usize| (tiles as u64 + 1).saturating_mul(u64::from(side) + u64::from(GAP));
    if pixels(across).saturating_mul(pixels(rows.len())) > MOST {
        return Err(failed(format!(
            "the set's {} images would make more than {MOST} pixels",
            set.len()
        )));
    }
    let length = |tiles: usize| tiles * (side + GAP) as usize + GAP as usize;
    let (width, height) = (length(across), length(rows.len()));
    let mut sheet = vec![255; 3 * width * height];
    for (y, row) in rows.iter().enumerate() {
        for (x, &index) in row.iter().enumerate() {
            let tile = set.rgb(index);
            for (line, pixels) in tile.chunks_exact(3 * side as usize).enumerate() {
                let start = 3 * ((length(y) + line) * width + length(x));
                sheet[start..][..pixels.len()].copy_from_slice(pixels);
            }
        }
    }
    png_file::encode(&sheet, width as u32, height as u32, Compression::Balanced)
        .map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use crate::data::condensed_tests::set;

    #[test]
    fn every_image_is_where_its_class_is() {
        let set = set();
        let sheet =
            image::load_from_memory(&super::contact_sheet(&set).unwrap()).unwrap().to_rgb8();
        assert_eq!(sheet.dimensions(), (4 + 4, 2 * 6 + 2));
        for (row, index) in [0usize, 1].into_iter().enumerate() {
            let rgb = set.rgb(index);
            for i in 0..16u32 {
                let at = sheet.get_pixel(2 + i % 4, 2 + 6 * row as u32 + i / 4);
                assert_eq!(at.0[..], rgb[3 * i as usize..][..3]);
            }
        }
        assert_eq!(sheet.get_pixel(0, 0).0, [255; 3]);
    }
}
