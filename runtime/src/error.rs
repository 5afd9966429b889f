//! Everything that can go wrong in the runtime; what is refused has a [`Class`], the same name
//! everywhere.

use std::fmt;
use std::ops::Range;

use crate::Class;
use crate::words::{sentence, shown};

/// Why the runtime stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A bundle, another signed archive, a trust file or a part of one was looked at and refused.
    #[error("{0}")]
    Refused(Refusal),
    /// A tensor file that is damaged, hostile or not of a kind that is read here.
    #[error("{}: {}", shown(file), sentence(what))]
    TensorFile {
        /// What errors call the file.
        file: String,
        /// Why, by its class.
        class: Class,
        /// What is wrong, in words.
        what: String,
    },
    /// One tensor that cannot be used.
    #[error("{}: tensor {}: {}", shown(file), shown(tensor), sentence(what))]
    Tensor {
        /// What errors call the file.
        file: String,
        /// The name of the tensor.
        tensor: String,
        /// Why, by its class.
        class: Class,
        /// What is wrong, in words.
        what: String,
    },
    /// An image file that does not decode, or that is too large or of a kind that is not read here.
    #[error("{}: {}", shown(file), sentence(what))]
    Image {
        /// What errors call the file.
        file: String,
        /// What is wrong, in words.
        what: String,
    },
    /// A DICOM file of a kind that is not read here.
    #[error("{}: the DICOM file is not read here: {}", shown(file), sentence(what))]
    DicomUnsupported {
        /// What errors call the file.
        file: String,
        /// What is wrong, in words.
        what: String,
    },
    /// Pixels whose size, stride and length do not fit together.
    #[error("pixels: {}", sentence(what))]
    Pixels {
        /// What is wrong, in words.
        what: String,
    },
    /// Preprocessing values that cannot be carried out.
    #[error("preprocessing: {}", sentence(what))]
    Preprocessing {
        /// What is wrong, in words.
        what: String,
    },
    /// This device computes something else than the packer did.
    #[error(
        "this device disagrees with the golden vectors of task {} (relative error of the feature \
         {feature:.1e}, largest error of a probability {probability:.1e}); do not use its results",
        shown(task)
    )]
    GoldenMismatch {
        /// The task.
        task: String,
        /// The relative error of the feature.
        feature: f64,
        /// The largest error of a probability.
        probability: f64,
    },
    /// The golden image's feature is no number.
    #[error(
        "no golden vectors of task {}: the base gives a feature that is not finite; pack the \
         bundle again",
        shown(task)
    )]
    GoldenFeature {
        /// The task.
        task: String,
    },
    /// This device prepares images otherwise than the packer did.
    #[error(
        "this device disagrees with the golden vectors: it makes other pixels of the golden image \
         (off by up to {levels:.1} grey levels); do not use its results"
    )]
    GoldenPixels {
        /// The largest difference of a pixel, in grey levels.
        levels: f64,
    },
    /// The computation failed.
    #[error("this device cannot run the bundle: {}", sentence(what))]
    Device {
        /// What is wrong, in words.
        what: String,
    },
    /// The system has less memory than is needed.
    #[error("there is not enough memory for {}", sentence(what))]
    Memory {
        /// What is wrong, in words.
        what: String,
    },
    /// The caller cancelled the call, or its deadline passed.
    #[error("the call was cancelled before it was finished")]
    Cancelled,
    /// A task that the bundle has no head for.
    #[error("the bundle has no task {:?}; it has {}", shown(task), shown(known))]
    UnknownTask {
        /// The task.
        task: String,
        /// Those that there are, in words.
        known: String,
    },
    /// The bundle has several tasks and none was named.
    #[error("the bundle has several tasks, so one must be named: {}", shown(known))]
    TaskNeeded {
        /// Those that there are, in words.
        known: String,
    },
    /// A module that is not loaded.
    #[error("there is no module {:?}; there are {}", shown(module), shown(known))]
    UnknownModule {
        /// The id that was asked for.
        module: String,
        /// Those that there are, in words.
        known: String,
    },
    /// A selection that cannot be carried out.
    #[error("the selection cannot be run: {}", sentence(what))]
    Selection {
        /// What is wrong, in words.
        what: String,
    },
    /// A bundle that does not run in as many bits as it was asked to.
    #[error("the bundle cannot run in eight bits: {}", sentence(what))]
    Precision {
        /// What is wrong, in words.
        what: String,
    },
    /// A change of what a classifier runs with that was not made.
    #[error("nothing was changed: {}", sentence(what))]
    Unchanged {
        /// What is wrong, in words.
        what: String,
    },
    /// A classifier of the process that this one was forked from.
    #[error(
        "the classifier was opened in process {opened} and cannot be used in one that was forked \
         from it: open it after fork(), or \
         start processes anew (in Python by multiprocessing's \"spawn\")"
    )]
    OtherProcess {
        /// The process that opened it.
        opened: u32,
    },
    /// One image or row of a batch; the first is 0.
    #[error("image {index} of the batch: {source}")]
    InBatch {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it.
        source: Box<Error>,
    },
}

/// What was refused, as what, and where it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub class: Class,
    /// The entry, or the file beside the archive, that it is about.
    pub entry: Option<String>,
    /// The bytes of the archive that show it.
    pub bytes: Option<Range<usize>>,
    /// What is wrong, in words.
    pub what: String,
}

impl Refusal {
    /// A refusal of the whole.
    pub fn new(class: Class, what: impl Into<String>) -> Self {
        Refusal { class, entry: None, bytes: None, what: sentence(&what.into()) }
    }

    /// The same, about one entry.
    pub fn entry(self, name: impl Into<String>) -> Self {
        Refusal { entry: Some(shown(&name.into())), ..self }
    }

    /// The same, and where it shows.
    pub fn bytes(self, bytes: Range<usize>) -> Self {
        Refusal { bytes: Some(bytes), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "refused ({}): ", self.class)?;
        if let Some(entry) = &self.entry {
            write!(formatter, "entry {entry}: ")?;
        }
        formatter.write_str(&self.what)?;
        match &self.bytes {
            Some(bytes) => write!(formatter, " (from byte {})", bytes.start),
            None => Ok(()),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(refusal)
    }
}

impl Error {
    /// Whether something was looked at and refused (as opposed to: could not be looked at).
    pub fn is_refusal(&self) -> bool {
        matches!(self, Error::Refused(_)) || self.class() == Some(Class::GoldenMismatch)
    }

    /// Why, for what was refused and for tensor files that cannot be used.
    pub fn class(&self) -> Option<Class> {
        match self {
            Error::Refused(refusal) => Some(refusal.class),
            Error::TensorFile { class, .. } | Error::Tensor { class, .. } => Some(*class),
            Error::GoldenMismatch { .. }
            | Error::GoldenFeature { .. }
            | Error::GoldenPixels { .. } => Some(Class::GoldenMismatch),
            _ => None,
        }
    }
}
