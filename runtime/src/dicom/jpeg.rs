//! What a JPEG says of itself before its pixels (ITU-T T.81, annex B; JFIF; Adobe's marker APP14), as those who decode it understand it.

/// Rows, columns and colours, by the decoder itself.
pub fn shape(bytes: &[u8]) -> Result<(u32, u32, u32), String> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.read_info().map_err(|error| format!("its JPEG cannot be read ({error})"))?;
    let info = decoder.info().ok_or("its JPEG does not say its size")?;
    let colours = match info.pixel_format {
        jpeg_decoder::PixelFormat::L8 | jpeg_decoder::PixelFormat::L16 => 1,
        jpeg_decoder::PixelFormat::RGB24 => 3,
        jpeg_decoder::PixelFormat::CMYK32 => 4,
    };
    Ok((info.height.into(), info.width.into(), colours))
}

/// Whether three colours are RGB or YBR, by the decoder here (components' names, then JFIF, then Adobe) and by libjpeg, which most viewers use (JFIF, Adobe,
/// names); none where these differ, or the head is one that they may read differently. A lossless JPEG is RGB unless Adobe's marker says otherwise.
pub fn is_rgb(bytes: &[u8], lossless: bool) -> Option<bool> {
    let Head { names, jfif, adobe } = head(bytes)?;
    let adobe = adobe.map(|transform| transform == 0);
    if lossless {
        return Some(adobe.unwrap_or(true));
    }
    let here = match &names {
        [1, 2, 3] => false,
        b"RGB" => true,
        [1, 34, 35] | b"rgb" => return None,
        _ => !jfif && adobe.unwrap_or(false),
    };
    let libjpeg = !jfif && adobe.unwrap_or(names == *b"RGB");
    (here == libjpeg).then_some(here)
}

struct Head {
    /// Of the first three components.
    names: [u8; 3],
    jfif: bool,
    /// The colour transform.
    adobe: Option<u8>,
}

/// None where it is cut or damaged.
fn head(bytes: &[u8]) -> Option<Head> {
    let (mut at, mut names, mut jfif, mut adobe) = (2, None, false, None);
    loop {
        let (0xff, marker) = (*bytes.get(at)?, *bytes.get(at + 1)?) else { return None };
        // Markers may be filled up with 0xff.
        if marker == 0xff {
            at += 1;
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]));
        let segment = bytes.get(at + 4..at + 2 + length.max(2))?;
        match marker {
            0xda => return Some(Head { names: names?, jfif, adobe }),
            0x00 | 0x01 | 0xd0..=0xd9 => return None,
            0xe0 => jfif |= segment.starts_with(b"JFIF\0"),
            0xee if segment.starts_with(b"Adobe") => adobe = Some(*segment.get(11)?),
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                names = Some([*segment.get(6)?, *segment.get(9)?, *segment.get(12)?]);
            }
            _ => {}
        }
        at += 2 + length.max(2);
    }
}
