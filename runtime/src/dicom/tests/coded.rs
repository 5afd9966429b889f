//! Pixels in RLE and JPEG: what lies about its size is refused, and colours are told where viewers
//! agree.

use super::*;
use crate::dicom::jpeg::is_ybr;

/// A file of 8 x 8 gray pixels in `fragments`.
pub fn gray(syntax: &str, fragments: &[&[u8]]) -> Vec<u8> {
    let one = |tag, vr, value: &[u8]| element(EXPLICIT, tag, vr, Some(value));
    let short = |number: u16, value: u16| one((0x0028, number), "US", &value.to_le_bytes());
    let mut data = vec![
        short(0x0002, 1),
        one((0x0028, 0x0004), "CS", b"MONOCHROME2 "),
        short(0x0010, 8),
        short(0x0011, 8),
        short(0x0100, 8),
        short(0x0101, 8),
        short(0x0102, 7),
        short(0x0103, 0),
        element(EXPLICIT, (0x7fe0, 0x0010), "OB", None),
        one((0xfffe, 0xe000), "", b""),
    ];
    data.extend(fragments.iter().map(|fragment| one((0xfffe, 0xe000), "", fragment)));
    data.push(one((0xfffe, 0xe0dd), "", b""));
    part_10(syntax, &data.concat())
}

const BASELINE: &str = "1.2.840.10008.1.2.4.50";

#[test]
fn rle_of_other_segments_than_its_samples_is_refused() {
    let mut frame = [&1u32.to_le_bytes()[..], &64u32.to_le_bytes()].concat();
    frame.resize(64, 0);
    // PackBits: 64 times the same byte.
    frame.extend([0xc1, 90]);
    let shown =
        |frame: &[u8]| read(&gray(RLE, &[frame]), "x.dcm").and_then(|file| file.frame(0)?.rgb());
    assert_eq!(shown(&frame).unwrap().data()[..3], [90, 90, 90]);
    frame[..4].copy_from_slice(&0x3fff_ffffu32.to_le_bytes());
    for lies in [&frame[..], &frame[..4], b""] {
        assert!(shown(lies).unwrap_err().to_string().contains("another number of segments"));
    }
}

/// A gray JPEG of 8 x 8 whose frame header says `height` x `width`.
fn jpeg_of(height: u16, width: u16) -> Vec<u8> {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_pixel(8, 8, image::Luma([90]))
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    let mut jpeg = jpeg.into_inner();
    let at = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap() + 5;
    jpeg[at..at + 4].copy_from_slice(&[height.to_be_bytes(), width.to_be_bytes()].concat());
    jpeg.resize(jpeg.len().next_multiple_of(2), 0);
    jpeg
}

#[test]
fn a_jpeg_without_its_end_or_with_more_is_read_with_a_note_and_with_less_refused() {
    let mut jpeg = jpeg_of(8, 8);
    jpeg.truncate(jpeg.windows(2).rposition(|pair| pair == [0xff, 0xd9]).unwrap());
    let shown =
        |jpeg: &[u8]| read(&gray(BASELINE, &[jpeg]), "x.dcm").and_then(|file| file.frame(0));
    let notes = shown(&jpeg).unwrap().notes().to_vec();
    assert!(notes.iter().any(|note| note.contains("no end marker")), "{notes:?}");
    assert!(shown(&jpeg[..jpeg.len() - 1]).is_err());
    let notes = shown(&[&jpeg[..], b"\0\0\xff\xd9"].concat()).unwrap().notes().to_vec();
    assert!(notes.iter().any(|note| note.contains("bytes after its last sample")), "{notes:?}");
    assert!(shown(&[&jpeg[..], b"\x12\x34\xff\xd9"].concat()).is_err());
}

#[test]
fn a_jpeg_of_another_size_than_its_file_is_refused() {
    let shown = |height, width| {
        read(&gray(BASELINE, &[&jpeg_of(height, width)]), "x.dcm")
            .and_then(|file| file.frame(0)?.rgb())
    };
    assert_eq!(shown(8, 8).unwrap().data()[..3], [90, 90, 90]);
    for (height, width) in [(65_535, 65_535), (8, 9)] {
        let text = shown(height, width).unwrap_err().to_string();
        let words =
            format!("its JPEG is of {width} x {height} of 1 and the file of 8 x 8 of 1 samples");
        assert!(text.contains(&words), "{text}");
    }
    assert!(shown(0, 8).unwrap_err().to_string().contains("its JPEG is not read"));
    // In two fragments it is the same JPEG, and what hides from one look does not hide from the
    // decoder's own.
    for size in [8, 65_535] {
        let jpeg = jpeg_of(size, size);
        let split = read(&gray(BASELINE, &[&jpeg[..1], &jpeg[1..]]), "x.dcm")
            .and_then(|file| file.frame(0));
        assert_eq!(split.is_ok(), size == 8);
        let huge =
            [&b"\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0"[..], b"\xff\xfe\0\x11"].concat();
        let hidden = [&jpeg[..2], b"\xff\0\0\x13", &huge, &jpeg[2..]].concat();
        let text = read(&gray(BASELINE, &[&hidden]), "x.dcm")
            .and_then(|file| file.frame(0))
            .err()
            .unwrap();
        assert!(text.to_string().contains("it has two frames"), "{text}");
    }
}

/// Names of components, JFIF and Adobe's marker, under RGB and under YBR_FULL. What viewers agree
/// on is taken, and the rest is refused.
#[test]
fn colours_are_told_where_viewers_agree() {
    let segment =
        |marker: u8, body: &[u8]| [&[0xff, marker, 0, body.len() as u8 + 2], body].concat();
    let told = |names: &[u8; 3], jfif: bool, adobe: Option<u8>, frame: u8, said: &str| {
        let jfif: &[u8] =
            if jfif { b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0" } else { b"" };
        let adobe = adobe
            .map(|t| segment(0xee, &[b"Adobe\0\x64\0\0\0\0", &[t][..]].concat()))
            .unwrap_or_default();
        let [a, b, c] = *names;
        // Markers may be filled up, and bytes that belong to none are passed over.
        let frame = segment(frame, &[8, 0, 8, 0, 8, 3, a, 17, 0, b, 17, 0, c, 17, 0]);
        let jpeg = [
            b"\xff\xd8\0\x13\xff\0",
            jfif,
            b"\xff\xff",
            &adobe,
            &frame,
            &segment(0xda, &[1, a, 0, 0, 63, 0]),
        ];
        is_ybr(&crate::jpeg::head(&jpeg.concat()).unwrap(), said).ok()
    };
    let (numbers, letters, others) = (&[1, 2, 3], b"RGB", &[7, 8, 9]);
    for (names, jfif, adobe, under_rgb, under_ybr) in [
        (numbers, true, None, Some(true), Some(true)),
        (numbers, false, None, None, Some(true)),
        (numbers, false, Some(1), Some(true), Some(true)),
        (numbers, false, Some(0), Some(false), None),
        (letters, false, None, Some(false), None),
        (letters, false, Some(0), Some(false), None),
        (letters, false, Some(1), None, None),
        (letters, true, None, None, None),
        (others, false, Some(0), Some(false), None),
        (others, true, Some(0), None, Some(true)),
        (others, false, None, None, Some(true)),
        (&[1, 34, 35], false, None, None, None),
        (&[1, 34, 35], true, None, None, None),
        (b"rgb", false, Some(0), None, None),
    ] {
        let found = ["RGB", "YBR_FULL"].map(|said| told(names, jfif, adobe, 0xc0, said));
        assert_eq!(found, [under_rgb, under_ybr], "{names:?} {jfif} {adobe:?}");
        assert_eq!(told(names, jfif, adobe, 0xc0, "YBR_FULL_422"), under_ybr);
        assert_eq!(told(names, jfif, adobe, 0xc0, "YBR_PARTIAL_420"), None);
    }
    // A lossless JPEG has the file's own colours.
    assert_eq!(
        ["RGB", "YBR_FULL"].map(|said| told(numbers, false, None, 0xc3, said)),
        [Some(false), Some(true)]
    );
    assert_eq!(
        ["RGB", "YBR_FULL"].map(|said| told(numbers, false, Some(1), 0xc3, said)),
        [None, Some(true)]
    );
}

#[test]
fn chroma_that_is_stored_more_coarsely_or_in_part_of_the_range_is_refused() {
    for said in ["YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422"] {
        for syntax in [EXPLICIT, RLE] {
            let mut file = gray(syntax, &[&[0; 64]]);
            let at = file.windows(12).position(|bytes| bytes == b"MONOCHROME2 ").unwrap();
            let padded = format!("{said}{}", if said.len() % 2 == 1 { " " } else { "" });
            file.splice(
                at - 2..at + 12,
                [&(padded.len() as u16).to_le_bytes()[..], padded.as_bytes()].concat(),
            );
            let samples = file.windows(6).position(|bytes| bytes == b"\x28\0\x02\0US").unwrap() + 8;
            file[samples] = 3;
            let error = read(&file, "x.dcm").unwrap().frame(0).err().unwrap();
            assert!(matches!(error, Error::DicomUnsupported { .. }), "{said} {syntax}: {error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
