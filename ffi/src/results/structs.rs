//! What a result is in C.

use std::ffi::c_char;

use crate::growing::Growing;

/// A concept of a coding scheme.
#[repr(C)]
pub struct Code {
    /// The coding scheme, such as "SCT".
    pub scheme: *const c_char,
    /// The code.
    pub value: *const c_char,
    /// What it means.
    pub meaning: *const c_char,
}

/// Why there should be no answer.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abstain {
    /// There is one.
    None = 0,
    /// The image is of a kind that the task does not know.
    Unfamiliar = 1,
    /// No class is as probable as the bundle asks for.
    Unsure = 2,
}

/// What was found in one image, and with what. Everything it points to lives until its results are
/// freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Classification {
    /// sizeof(medforge_classification), set before the call: what lies beyond it is not written.
    pub struct_size: usize,
    /// The task.
    pub task: *const c_char,
    /// Classes.
    pub class_count: usize,
    /// Their names.
    pub class_names: *const *const c_char,
    /// What they are in a coding scheme; NULL where the bundle does not say it.
    pub class_codes: *const Code,
    /// Their probabilities, which sum to 1.
    pub probabilities: *const f32,
    /// The most probable class; the first of equals.
    pub top: usize,
    /// The id of the bundle.
    pub bundle_id: *const c_char,
    /// The id of base, head, modules and weights together.
    pub composition_id: *const c_char,
    /// A UID that changes when bundle or composition does: a DICOM Device UID.
    pub device_uid: *const c_char,
    /// Modules that took part.
    pub module_count: usize,
    /// Their ids.
    pub module_ids: *const *const c_char,
    /// Their weights for this image.
    pub module_weights: *const f64,
    /// Trusted keys that signed the bundle.
    pub signer_count: usize,
    /// Those public keys, in hex.
    pub signers: *const *const c_char,
    /// SHA-256 of the pixels, in hex: of stored values without gaps between rows, or of an image
    /// file's RGB.
    pub pixels_sha256: *const c_char,
    /// Resizing and normalising, in nanoseconds.
    pub preprocessing_ns: u64,
    /// The base, for all images of the call together, in nanoseconds.
    pub base_ns: u64,
    /// All of this as one line of canonical JSON (RFC 8785), for audit logs.
    pub json: *const c_char,
    /// 1 where the task was calibrated for what it ran with, else 0: then the next three say
    /// nothing.
    pub calibrated: i32,
    /// Whether there should be no answer, and why. Probabilities are given all the same, for the
    /// record.
    pub abstain: Abstain,
    /// The out-of-distribution score: how far the image is from those that the task was trained on,
    /// which have about 1.
    pub ood_score: f64,
    /// The score above which an image is unfamiliar.
    pub ood_threshold: f64,
    /// Notes about the image's file.
    pub note_count: usize,
    /// Notes on a DICOM file, a sentence each: what broke the standard and was read all the same,
    /// and which of several frames this is.
    pub notes: *const *const c_char,
}

// SAFETY: C layout, the size first, and zeros are numbers and NULL.
unsafe impl Growing for Classification {
    const LEAST: usize = std::mem::offset_of!(Classification, calibrated);
}

/// Where in an image a result comes from: how much of the base's answer was mixed from each patch
/// (attention rollout over the last three blocks). It says where the network looked, and not for
/// which class. It is a weak sign, no segmentation, and no evidence that the answer is right. What
/// it points to lives until its results are freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Map {
    /// sizeof(medforge_map), set before the call: what lies beyond it is not written.
    pub struct_size: usize,
    /// Patches a side.
    pub grid: usize,
    /// grid * grid values, rows from the top: at least 0 each, and 1 together.
    pub values: *const f32,
    /// The left edge of the part of the image that the grid lies over, in pixels of the image as it
    /// was given. What is beside that part was cut off and not seen; with black beside the image it
    /// is below 0.
    pub left: f64,
    /// The part's top edge.
    pub top: f64,
    /// The part's width.
    pub width: f64,
    /// The part's height.
    pub height: f64,
}

// SAFETY: C layout, the size first, and zeros are numbers and NULL.
unsafe impl Growing for Map {
    const LEAST: usize = size_of::<Map>();
}
