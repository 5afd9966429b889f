//! A DICOM data set (PS3.5, chapter 7) as places in its bytes. No length is believed before as many
//! bytes are there, and no value is copied.
//!
//! These are read, with a note: elements without VR among others with one, sequences of VR UN
//! (written without VRs, PS3.5 6.2.2), and zeros after the last element. Only sequences that say
//! how pixels are shown are looked into.
//!
//! Refused: elements, items and fragments that end after what holds them; delimiters where none
//! belongs; sequences that nest too deep ([`reader::MAX_DEPTH`]); too many elements
//! ([`reader::MAX_ELEMENTS`]).

use std::collections::BTreeSet;
use std::ops::Range;

use dicom_core::Tag;

mod elements;
mod reader;

pub use elements::{DataSet, Element, Fault, Form, PIXELS, Value};
use reader::Reader;

impl DataSet {
    /// Reads the data set from `start` on to the end of `data`, or up to the first element beyond
    /// `last`. If `last` is given, such an element has to be there. What was odd goes to `notes`.
    ///
    /// # Errors
    /// A [`Fault`] for what the module's head says is refused.
    pub fn read(
        data: &[u8],
        start: usize,
        form: Form,
        last: Option<Tag>,
        notes: &mut BTreeSet<String>,
    ) -> Result<Self, Fault> {
        let zeros = data.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
        Reader { data, at: start, form, last, zeros, count: 0, notes }.data_set(
            data.len(),
            false,
            0,
        )
    }
}

/// The fragments of pixel data whose length is stated.
///
/// # Errors
/// A [`Fault`] for an item that ends after what holds it, or is none.
pub fn fragments(data: &[u8], place: Range<usize>) -> Result<Vec<Range<usize>>, Fault> {
    let form = Form { explicit: true, big_endian: false };
    let (data, notes) = (&data[..place.end], &mut BTreeSet::new());
    let mut reader = Reader { data, at: place.start, form, last: None, zeros: 0, count: 0, notes };
    reader.fragments(place.end, false, 1)
}
