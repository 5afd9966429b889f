//! The two sides of a split, and its three parts: the training side may hold a validation part.

/// Which side of the split an image is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    Train,
    Test,
}

/// One part of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SplitPart {
    Train,
    /// Training images that choose the epoch and calibrate.
    Validation,
    Test,
}

impl Split {
    /// Its word in splits.csv.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

impl SplitPart {
    /// The part of an image of `split`; `validation` counts on the training side alone.
    pub fn new(split: Split, validation: bool) -> SplitPart {
        match (split, validation) {
            (Split::Test, _) => SplitPart::Test,
            (Split::Train, true) => SplitPart::Validation,
            (Split::Train, false) => SplitPart::Train,
        }
    }

    /// The side of the split that it is on.
    pub fn split(self) -> Split {
        if self == SplitPart::Test { Split::Test } else { Split::Train }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            SplitPart::Train => "training",
            SplitPart::Validation => "validation",
            SplitPart::Test => "test",
        }
    }
}
