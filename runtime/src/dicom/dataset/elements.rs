//! Elements of a data set, and how one is written.

use std::collections::BTreeMap;
use std::ops::Range;

use dicom_core::Tag;

/// How a data set is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Elements name their VR.
    pub explicit: bool,
    pub big_endian: bool,
}

/// Elements by their tags.
#[derive(Default, Debug)]
pub struct DataSet(pub(super) BTreeMap<Tag, Element>);

/// One element that is kept.
#[derive(Debug)]
pub struct Element {
    /// As stated; none where no VR is.
    pub vr: Option<[u8; 2]>,
    pub value: Value,
    /// Stands there twice, and not with the same value.
    pub twice: bool,
}

/// The value of an element.
#[derive(Debug)]
pub enum Value {
    Bytes(Range<usize>),
    /// Empty for those that are not looked into.
    Items(Vec<DataSet>),
    /// The first is the table of offsets.
    Fragments(Vec<Range<usize>>),
}

/// Why a data set is refused.
#[derive(Debug)]
pub struct Fault {
    pub what: String,
    /// The bytes end before it does: it may be whole in more of them.
    pub ended: bool,
}

/// Pixel Data.
pub const PIXELS: Tag = Tag(0x7fe0, 0x0010);

impl DataSet {
    /// The element of this tag.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.0.get(&tag)
    }
}
