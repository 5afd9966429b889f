//! Fragments of pixel data: where those of a frame are.
//!
//! Refused: frames whose fragments cannot be told apart.

use std::borrow::Cow;
use std::ops::Range;

use super::attributes::Notes;
use super::dataset::fragments;
use super::format::{Format, Refusal};

/// Fragments in pixels whose length is stated, which the standard does not have.
pub fn fragments_within(
    data: &[u8],
    place: &Range<usize>,
    notes: &mut Notes,
) -> Result<Vec<Range<usize>>, Refusal> {
    if !data[place.clone()].starts_with(b"\xfe\xff\x00\xe0") {
        let what = "its transfer syntax has fragments, and its pixels are in none";
        return Err(Refusal::Damaged(what.into()));
    }
    notes.insert("its fragments of pixels stand under a stated length".into());
    fragments(data, place.clone()).map_err(|fault| Refusal::Damaged(fault.what))
}

/// The bytes of a frame: its fragments, of which the table of offsets tells where several begin.
pub fn frame_of<'a>(
    data: &'a [u8],
    fragments: &[Range<usize>],
    number: u32,
    format: &Format,
) -> Result<Cow<'a, [u8]>, Refusal> {
    let Some((table, fragments)) = fragments.split_first() else {
        return Err(Refusal::Damaged("its pixels are in no fragments".into()));
    };
    let (frames, number) = (format.frames as usize, number as usize);
    let joined = |fragments: &[Range<usize>]| -> Cow<'a, [u8]> {
        match fragments {
            [one] => Cow::Borrowed(&data[one.clone()]),
            many => many.iter().flat_map(|place| &data[place.clone()]).copied().collect(),
        }
    };
    if frames == 1 || fragments.len() == frames {
        let own = if frames == 1 { fragments } else { &fragments[number..=number] };
        return match own {
            [] => Err(Refusal::Damaged("its pixels are in no fragments".into())),
            own => Ok(joined(own)),
        };
    }
    if fragments.len() < frames {
        let what = format!("it has {} fragments of pixels for {frames} frames", fragments.len());
        return Err(Refusal::Damaged(what));
    }
    // Offsets count from the first fragment's item, which begins eight bytes before its value.
    let offsets = data[table.clone()].as_chunks::<4>().0;
    let begin = |at: usize| -> Option<usize> {
        let offset = u32::from_le_bytes(*offsets.get(at)?) as usize;
        fragments.iter().position(|place| place.start == fragments[0].start + offset)
    };
    let unclear = || {
        let what = "a frame is in several fragments, and no table of offsets says in which";
        Refusal::Unsupported(what.into())
    };
    if offsets.len() != frames {
        return Err(unclear());
    }
    let first = begin(number).ok_or_else(unclear)?;
    let last =
        if number + 1 < frames { begin(number + 1).ok_or_else(unclear)? } else { fragments.len() };
    match fragments.get(first..last) {
        Some(own) if !own.is_empty() => Ok(joined(own)),
        _ => Err(unclear()),
    }
}
