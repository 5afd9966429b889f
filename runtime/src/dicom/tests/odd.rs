//! Files that break the standard in one way: read as their peers read them, with a note, or
//! refused. What is right follows from the standard's formulas.

use super::coded::gray;
use super::*;

/// An explicit file of 4 x 1 gray pixels of 12 bits in 16, with elements in place of its own or
/// besides.
struct OddFile {
    elements: Vec<((u16, u16), Vec<u8>)>,
    after: Vec<u8>,
}

const VALUES: [u16; 4] = [0, 1000, 2000, 4095];

impl OddFile {
    fn new() -> Self {
        let mut file = OddFile { elements: Vec::new(), after: Vec::new() };
        for (number, value) in [
            (0x0002, 1u16),
            (0x0010, 1),
            (0x0011, 4),
            (0x0100, 16),
            (0x0101, 12),
            (0x0102, 11),
            (0x0103, 0),
        ] {
            file = file.with((0x0028, number), "US", &value.to_le_bytes());
        }
        let pixels: Vec<u8> = VALUES.iter().flat_map(|value| value.to_le_bytes()).collect();
        file.with((0x0028, 0x0004), "CS", b"MONOCHROME2 ").with((0x7fe0, 0x0010), "OW", &pixels)
    }

    fn with(self, tag: (u16, u16), vr: &str, value: &[u8]) -> Self {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(b' ');
        }
        self.raw(tag, element(EXPLICIT, tag, vr, Some(&value)))
    }

    fn raw(mut self, tag: (u16, u16), bytes: Vec<u8>) -> Self {
        self.elements.retain(|(own, _)| *own != tag);
        self.elements.push((tag, bytes));
        self.elements.sort_by_key(|(tag, _)| *tag);
        self
    }

    fn window(self, center: &str, width: &str) -> Self {
        let texts = [center, width].map(str::as_bytes);
        self.with((0x0028, 0x1050), "DS", texts[0]).with((0x0028, 0x1051), "DS", texts[1])
    }

    fn data(&self) -> Vec<u8> {
        let elements = self.elements.iter().flat_map(|(_, bytes)| bytes.clone());
        elements.chain(self.after.iter().copied()).collect()
    }

    fn shown(&self, number: u32) -> Result<(Vec<u8>, Vec<String>), Error> {
        let file = part_10(EXPLICIT, &self.data());
        let frame = read(&file, "x.dcm")?.frame(number)?;
        let shades = frame.rgb()?.data().iter().step_by(3).copied().collect();
        Ok((shades, frame.notes().to_vec()))
    }

    fn read(&self, word: &str) -> Vec<u8> {
        let (shades, notes) = self.shown(0).unwrap();
        assert!(notes.iter().any(|note| note.contains(word)), "{word}: {notes:?}");
        shades
    }

    fn refused(&self, word: &str) {
        let text = self.shown(0).unwrap_err().to_string();
        assert!(text.starts_with("x.dcm: ") && text.contains(word), "{word}: {text}");
    }
}

fn item(content: &[u8]) -> Vec<u8> {
    element(EXPLICIT, (0xfffe, 0xe000), "", Some(content))
}

fn sequence(tag: (u16, u16), items: &[Vec<u8>]) -> Vec<u8> {
    element(EXPLICIT, tag, "SQ", Some(&items.concat()))
}

/// PS3.3 C.11.2.1.2.1.
fn linear(x: f64, center: f64, width: f64) -> u8 {
    (((x - (center - 0.5)) / (width - 1.0) + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8
}

fn range(values: [u16; 4], most: f64) -> Vec<u8> {
    values.map(|value| (f64::from(value) / most * 255.0).round() as u8).to_vec()
}

#[test]
fn attributes_of_vr_un_have_the_dictionarys() {
    let file =
        OddFile::new().with((0x0028, 0x1052), "UN", b"-1024 ").with((0x0028, 0x1053), "UN", b"2 ");
    let file = file.with((0x0028, 0x1050), "UN", b"40").with((0x0028, 0x1051), "UN", b"4000");
    let expected = VALUES.map(|value| linear(f64::from(value) * 2.0 - 1024.0, 40.0, 4000.0));
    assert_eq!(file.shown(0).unwrap(), (expected.to_vec(), vec![]));
    let frames = OddFile::new().with((0x0028, 0x0008), "UN", b"7 ").with(
        (0x0028, 0x0010),
        "UN",
        &1u16.to_le_bytes(),
    );
    assert_eq!(read(&part_10(EXPLICIT, &frames.data()), "x.dcm").unwrap().frames(), 7);
}

#[test]
fn a_number_that_is_there_and_cannot_be_read_is_refused() {
    for (tag, text) in [(0x1052, "40 HU"), (0x1053, "1,024"), (0x1050, "centre"), (0x1051, "NaN")] {
        let file = OddFile::new().window("40", "400").with((0x0028, tag), "DS", text.as_bytes());
        file.refused("which is no number");
    }
    OddFile::new().with((0x0028, 0x0008), "IS", b"1.5").refused("no whole number");
    OddFile::new()
        .window("40", "400")
        .with((0x0028, 0x1056), "CS", b"LOGISTIC")
        .refused("none that is known");
    let twice = OddFile::new().with((0x0028, 0x1053), "DS", b"2");
    let twice = OddFile { after: element(EXPLICIT, (0x0028, 0x1053), "DS", Some(b"3 ")), ..twice };
    twice.refused("is there twice, with different values");
}

#[test]
fn a_decimal_comma_is_a_point_with_a_note() {
    let file = OddFile::new().window("512", "1024").with((0x0028, 0x1053), "DS", b"0,25");
    let shades = file.read("the comma in RescaleSlope (0028,1053) \"0,25\" is read as a point");
    assert_eq!(shades, VALUES.map(|value| linear(f64::from(value) * 0.25, 512.0, 1024.0)));
}

#[test]
fn windows_of_no_width_are_none_and_of_less_than_one_exact() {
    assert_eq!(OddFile::new().window("0", "0").read("width 0"), range(VALUES, 4095.0));
    let exact = OddFile::new().window("0.5", "0.5").with((0x0028, 0x1053), "DS", b"0.00025");
    let expected = VALUES.map(|value| {
        let share: f64 = (f64::from(value) * 0.00025 - 0.5) / 0.5 + 0.5;
        (share.clamp(0.0, 1.0) * 255.0).round() as u8
    });
    assert_eq!(exact.read("LINEAR_EXACT"), expected);
    let negative = OddFile::new().window("40", "-1").shown(0).unwrap_err().to_string();
    assert!(negative.contains("a window of width -1 at 40 shows nothing"), "{negative}");
    assert_eq!(
        OddFile::new().with((0x0028, 0x1050), "DS", b"40").read("is no window"),
        range(VALUES, 4095.0)
    );
}

#[test]
fn odd_files_are_read_as_others_read_them() {
    let plain = range(VALUES, 4095.0);
    assert_eq!(OddFile::new().shown(0).unwrap(), (plain.clone(), vec![]));
    assert_eq!(OddFile::new().with((0x0028, 0x0008), "IS", b"0").read("0 frames"), plain);
    let zeros = OddFile { after: vec![0; 22], ..OddFile::new() };
    assert_eq!(zeros.read("zeros stand after"), plain);
    // An element without VR, and a sequence of VR UN whose items have none (PS3.5 6.2.2, note 2),
    // or have some.
    let unnamed = element(IMPLICIT, (0x0011, 0x1001), "", Some(b"12"));
    assert_eq!(OddFile::new().raw((0x0011, 0x1001), unnamed).read("without VR"), plain);
    let inner = |syntax| element(syntax, (0x0008, 0x1150), "UI", Some(b"1.2.3\0"));
    for syntax in [IMPLICIT, EXPLICIT] {
        let open = element(EXPLICIT, (0x0011, 0x1002), "UN", None);
        let end = element(EXPLICIT, (0xfffe, 0xe0dd), "", Some(b""));
        let file = OddFile::new().raw((0x0011, 0x1002), [open, item(&inner(syntax)), end].concat());
        let (shades, notes) = file.shown(0).unwrap();
        assert_eq!((shades, notes.is_empty()), (plain.clone(), syntax == IMPLICIT));
    }
}

#[test]
fn meta_information_without_version_or_length_is_read() {
    let named = element(EXPLICIT, (2, 0x10), "UI", Some(b"1.2.840.10008.1.2.1\0"));
    let version = element(EXPLICIT, (2, 1), "OB", Some(b""));
    let length =
        |bytes: usize| element(EXPLICIT, (2, 0), "UL", Some(&(bytes as u32).to_le_bytes()));
    let all = version.len() + named.len();
    for meta in [
        named.clone(),
        [version.clone(), named.clone()].concat(),
        [length(3), named.clone()].concat(),
    ] {
        let file = [&[0; 128][..], b"DICM", &meta, &OddFile::new().data()].concat();
        let frame = read(&file, "x.dcm").unwrap().frame(0).unwrap();
        assert_eq!(frame.notes().len(), 1, "{:?}", frame.notes());
    }
    let sound =
        [&[0; 128][..], b"DICM", &length(all), &version, &named, &OddFile::new().data()].concat();
    assert!(read(&sound, "x.dcm").unwrap().frame(0).unwrap().notes().is_empty());
}

fn table(first: i16, bits: u16, entries: &[u16]) -> Vec<u8> {
    let descriptor =
        [(entries.len() as u16).to_le_bytes(), first.to_le_bytes(), bits.to_le_bytes()].concat();
    let words: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    let described = element(EXPLICIT, (0x0028, 0x3002), "US", Some(&descriptor));
    item(&[described, element(EXPLICIT, (0x0028, 0x3006), "OW", Some(&words))].concat())
}

/// Agfa's tables say 16 bits and have 12. They are of the pixels' bits if these fill them.
#[test]
fn a_voi_table_of_fewer_bits_than_it_says_is_of_the_pixels_or_refused() {
    let turned: Vec<u16> = (0..4096).map(|value| 4095 - value).collect();
    let with = |bits, entries: &[u16]| {
        OddFile::new().raw((0x0028, 0x3010), sequence((0x0028, 0x3010), &[table(0, bits, entries)]))
    };
    let expected = range(VALUES.map(|value| 4095 - value), 4095.0);
    assert_eq!(with(16, &turned).read("shown as 12 bits"), expected);
    assert_eq!(with(12, &turned).shown(0).unwrap(), (expected, vec![]));
    // What fills its own bits is taken at its word.
    let wide: Vec<u16> = turned.iter().map(|entry| entry * 16).collect();
    assert_eq!(with(16, &wide).shown(0).unwrap().1, Vec::<String>::new());
    let dark: Vec<u16> = turned.iter().map(|entry| entry / 16).collect();
    with(16, &dark).refused("what is white cannot be told");
    with(10, &turned).refused("says 10 bits, and an entry of the table is 4095");
}

/// Three frames; what each is shown by stands in its item, or in the shared one where its own has
/// nothing.
#[test]
fn each_frame_has_its_own_settings() {
    let window = |center: &str, function: Option<&[u8]>| {
        let text = |tag, value: &[u8]| element(EXPLICIT, (0x0028, tag), "DS", Some(value));
        let function = function.map(|name| element(EXPLICIT, (0x0028, 0x1056), "CS", Some(name)));
        let content =
            [text(0x1050, center.as_bytes()), text(0x1051, b"2000"), function.unwrap_or_default()]
                .concat();
        sequence((0x0028, 0x9132), &[item(&content)])
    };
    let tabled = sequence(
        (0x0028, 0x9132),
        &[item(&sequence(
            (0x0028, 0x3010),
            &[table(0, 12, &(0..4096).rev().collect::<Vec<u16>>())],
        ))],
    );
    let slope = element(EXPLICIT, (0x0028, 0x1053), "DS", Some(b"2 "));
    let transformed = sequence((0x0028, 0x9145), &[item(&slope)]);
    let shared = [window("1500", None), transformed].concat();
    let frames = [item(&tabled), item(&[]), item(&window("3000", Some(b"SIGMOID ")))];
    let pixels: Vec<u8> = VALUES.iter().flat_map(|value| value.to_le_bytes()).collect();
    let file = OddFile::new()
        .with((0x0028, 0x0008), "IS", b"3")
        .raw((0x5200, 0x9229), sequence((0x5200, 0x9229), &[item(&shared)]))
        .raw((0x5200, 0x9230), sequence((0x5200, 0x9230), &frames))
        .with((0x7fe0, 0x0010), "OW", &pixels.repeat(3));
    let measured = VALUES.map(|value| f64::from(value) * 2.0);
    let of_table = measured.map(|x| ((4095.0 - x.min(4095.0)) / 4095.0 * 255.0_f64).round() as u8);
    assert_eq!(file.shown(0).unwrap().0, of_table);
    assert_eq!(file.shown(1).unwrap().0, measured.map(|x| linear(x, 1500.0, 2000.0)));
    let sigmoid =
        measured.map(|x| (255.0 / (1.0 + (-4.0 * (x - 3000.0) / 2000.0).exp())).round() as u8);
    assert_eq!(file.shown(2).unwrap().0, sigmoid);
    let fewer = file.raw((0x5200, 0x9230), sequence((0x5200, 0x9230), &frames[..2]));
    fewer
        .refused("PerFrameFunctionalGroupsSequence (5200,9230) has 2 items, and the file 3 frames");
}

#[test]
fn fragments_under_a_stated_length_and_by_offsets_are_read() {
    // Two frames of RLE, the first in two fragments.
    let frame = |shade: u8| {
        let mut frame = [&1u32.to_le_bytes()[..], &64u32.to_le_bytes()].concat();
        frame.resize(64, 0);
        frame.extend([0xc1, shade]);
        frame
    };
    let (one, two) = (frame(90), frame(200));
    let offsets = [0u32.to_le_bytes(), (66 + 16u32).to_le_bytes()].concat();
    let parts = [item(&offsets), item(&one[..64]), item(&one[64..]), item(&two)].concat();
    let file = |pixels: Vec<u8>| {
        let file = gray(RLE, &[]);
        let at = file.windows(4).rposition(|bytes| bytes == b"\xe0\x7f\x10\0").unwrap();
        let frames = element(EXPLICIT, (0x0028, 0x0008), "IS", Some(b"2 "));
        [&file[..at], &frames, &pixels].concat()
    };
    let stated = file(element(EXPLICIT, (0x7fe0, 0x0010), "OB", Some(&parts)));
    let open = element(EXPLICIT, (0x7fe0, 0x0010), "OB", None);
    let undefined =
        file([open, parts, element(EXPLICIT, (0xfffe, 0xe0dd), "", Some(b""))].concat());
    for (file, notes) in [(&stated, 1), (&undefined, 0)] {
        for (number, shade) in [(0, 90), (1, 200)] {
            let frame = read(file, "x.dcm").unwrap().frame(number).unwrap();
            assert_eq!((frame.rgb().unwrap().data()[0], frame.notes().len()), (shade, notes));
        }
    }
}
