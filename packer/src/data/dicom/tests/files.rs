//! DICOM files for tests.

/// An element: group, number, VR, value.
type Element<'a> = (u16, u16, &'a str, &'a [u8]);

/// A Part 10 file in explicit little-endian VRs.
fn file(elements: &[Element]) -> Vec<u8> {
    let syntax = [(2, 0x10, "UI", &b"1.2.840.10008.1.2.1\0"[..])];
    let write = |elements: &[Element]| -> Vec<u8> {
        let one = |&(group, number, vr, value): &Element| {
            let length = match vr {
                "OW" | "OB" => [&[0, 0][..], &(value.len() as u32).to_le_bytes()].concat(),
                _ => (value.len() as u16).to_le_bytes().to_vec(),
            };
            [&group.to_le_bytes(), &number.to_le_bytes(), vr.as_bytes(), &length, value].concat()
        };
        elements.iter().flat_map(one).collect()
    };
    let meta = write(&syntax);
    let length = write(&[(2, 0, "UL", &(meta.len() as u32).to_le_bytes())]);
    [&[0; 128][..], b"DICM", &length, &meta, &write(elements)].concat()
}

fn even(text: &str) -> Vec<u8> {
    if text.len() % 2 == 1 { format!("{text} ").into() } else { text.into() }
}

/// What a file says; an empty text leaves the element out.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    pub uid: &'a str,
    pub patient: &'a str,
    pub sex: &'a str,
    pub age: &'a str,
    pub frames: &'a str,
    pub photometric: &'a str,
    /// Centre and width.
    pub window: [&'a str; 2],
    /// 4 x 4 values of 16 bits, 12 of them stored.
    pub pixels: &'a [u8],
}

/// A file of patient P1.
pub const SAID: Said = Said {
    uid: "1.2.1",
    patient: "P1",
    sex: "F",
    age: "034Y",
    frames: "",
    photometric: "MONOCHROME2",
    window: ["", ""],
    pixels: &[0; 32],
};

/// The file that says `said`.
pub fn image(said: &Said) -> Vec<u8> {
    let texts = [
        (8, 0x18, "UI", said.uid),
        (8, 0x70, "LO", "Acme"),
        (8, 0x80, "LO", "North"),
        (0x10, 0x20, "LO", said.patient),
        (0x10, 0x40, "CS", said.sex),
        (0x10, 0x1010, "AS", said.age),
        (0x28, 4, "CS", said.photometric),
        (0x28, 8, "IS", said.frames),
        (0x28, 0x1050, "DS", said.window[0]),
        (0x28, 0x1051, "DS", said.window[1]),
    ];
    let values = texts.map(|(group, number, vr, text)| (group, number, vr, even(text)));
    let mut elements: Vec<Element> =
        values.iter().map(|(g, n, vr, value)| (*g, *n, *vr, &value[..])).collect();
    elements.retain(|(.., value)| !value.is_empty());
    let words = [(2, 1), (0x10, 4), (0x11, 4), (0x100, 16), (0x101, 12), (0x102, 11), (0x103, 0)];
    let words = words.map(|(number, value): (u16, u16)| (number, value.to_le_bytes()));
    elements.extend(words.iter().map(|(number, value)| (0x28, *number, "US", &value[..])));
    elements.push((0x7fe0, 0x10, "OW", said.pixels));
    elements.sort_by_key(|(group, number, ..)| (*group, *number));
    file(&elements)
}
