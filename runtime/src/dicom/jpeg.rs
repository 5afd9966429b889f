//! What a JPEG says before its pixels (ITU-T T.81, annex B, and Adobe's marker APP14).

/// Its size and colours.
#[derive(Default)]
pub struct Head {
    /// Rows and columns.
    pub sides: Option<[u16; 2]>,
    /// Whether three colours are RGB or YBR; none where it says nothing.
    pub rgb: Option<bool>,
}

/// None where it is cut or damaged.
pub fn head(bytes: &[u8]) -> Option<Head> {
    let (mut at, mut head, mut adobe) = (2, Head::default(), None);
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        // Markers may be filled up with 0xff.
        if marker == 0xff {
            at += 1;
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]));
        let segment = bytes.get(at + 4..at + 2 + length.max(2))?;
        match marker {
            0xda => return Some(Head { rgb: adobe.or(head.rgb), ..head }),
            0xee if segment.starts_with(b"Adobe") => adobe = segment.get(11).map(|transform| *transform == 0),
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let &[_, height, low, width, last, ..] = segment else { return None };
                head.sides = Some([u16::from_be_bytes([height, low]), u16::from_be_bytes([width, last])]);
                head.rgb = (segment.len() >= 15 && [6, 9, 12].map(|at| segment[at]) == *b"RGB").then_some(true);
            }
            _ => {}
        }
        at += 2 + length.max(2);
    }
}
