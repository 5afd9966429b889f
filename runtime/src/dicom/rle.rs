//! Frames in DICOM's RLE (PS3.5, annex G): a header of 64 bytes, then a segment for each byte of a
//! sample, the highest first. Segments are packed by PackBits.
//!
//! Refused: other segments than samples have bytes, and segments that end early.

/// The values of a frame: `pixels` times `samples`, each of `width` bytes, little-endian.
pub fn decode(
    frame: &[u8],
    pixels: usize,
    samples: usize,
    width: usize,
) -> Result<Vec<u8>, String> {
    let wrong = "its RLE has another number of segments than its samples have bytes";
    let (header, _) = frame.as_chunks::<4>();
    let word = |at: usize| header.get(at).map(|bytes| u32::from_le_bytes(*bytes) as usize);
    let segments = samples * width;
    if frame.len() < 64 || word(0) != Some(segments) || segments > 15 {
        return Err(wrong.into());
    }
    // Two bytes make 128 at most: no room is made for more than can be there.
    if pixels * segments > frame.len() * 64 {
        return Err(SHORT.into());
    }
    let mut values = vec![0; pixels * segments];
    for segment in 0..segments {
        let start = word(1 + segment).unwrap_or(0);
        let end = if segment + 1 < segments { word(2 + segment).unwrap_or(0) } else { frame.len() };
        let packed = frame.get(start.max(64)..end).filter(|_| start >= 64).ok_or(wrong)?;
        // Segment 0 is the highest byte of the first sample.
        let (sample, byte) = (segment / width, width - 1 - segment % width);
        let places = (0..pixels).map(|pixel| (pixel * samples + sample) * width + byte);
        unpack(packed, places, &mut values).ok_or(SHORT)?;
    }
    Ok(values)
}

const SHORT: &str = "its RLE ends before its pixels do";

/// Unpacks to the places; what is packed beyond the last one is padding.
fn unpack(packed: &[u8], mut places: impl Iterator<Item = usize>, values: &mut [u8]) -> Option<()> {
    let (mut at, mut next) = (0, places.next());
    while next.is_some() {
        let (count, run) = match *packed.get(at)? {
            // No operation.
            128 => {
                at += 1;
                continue;
            }
            code @ 0..128 => (usize::from(code) + 1, false),
            code => (257 - usize::from(code), true),
        };
        at += 1;
        for offset in 0..count {
            let Some(place) = next else { break };
            values[place] = *packed.get(if run { at } else { at + offset })?;
            next = places.next();
        }
        at += if run { 1 } else { count };
    }
    Some(())
}
