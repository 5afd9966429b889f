//! What was found: results behind a handle, read as structs or as JSON.

use std::ffi::{CString, c_char};
use std::ptr::null;

use medforge_runtime::classify::{Classification as Found, Map as Seen, Row};

use crate::classifier::{Classifier, opened};
use crate::growing::{self, Growing};
use crate::image::{self, Image, Shown};
use crate::last_error::{Failure, guard};
use crate::log::{Level, log};
use crate::pointer::{input, object, output};
use crate::selection::{self, ClassifyOptions};
use crate::status::Status;
use crate::strings::owned;

/// Results of one call.
pub struct Results(Vec<Kept>);

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
    /// What of a DICOM file broke the standard and was read all the same, and which of several
    /// frames this is: a sentence each.
    pub notes: *const *const c_char,
}

// SAFETY: C layout, the size first, and zeros are numbers and NULL.
unsafe impl Growing for Classification {
    const LEAST: usize = std::mem::offset_of!(Classification, calibrated);
}

/// Where in an image a result comes from: how much of what the base made of it was mixed of each of
/// its patches (attention rollout over the last three blocks). It says where the network looked,
/// and not for which class; it is a weak sign, no segmentation, and no evidence that the answer is
/// right. What it points to lives until its results are freed.
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

/// A classification with what its struct points to.
struct Kept {
    found: Found,
    map: Option<Seen>,
    task: CString,
    names: Texts,
    codes: Vec<Code>,
    _code_texts: Texts,
    bundle: CString,
    composition: CString,
    device: CString,
    modules: Texts,
    weights: Vec<f64>,
    signers: Texts,
    sha256: CString,
    notes: Texts,
    json: CString,
}

/// C strings and where they are.
struct Texts {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers are into what lies beside them, which never changes.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

/// Classifies `image_count` images as `options` say (NULL: the default of the only task), all with
/// the same set of modules. All are classified or none.
///
/// # Safety
/// `classifier` is open; `images` points to as many images, each with pointers that reach as far as
/// it says; `options` is NULL or points to options; `results` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_classify(
    classifier: *const Classifier,
    images: *const Image,
    image_count: usize,
    options: *const ClassifyOptions,
    results: *mut *mut Results,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { classified(classifier, images, image_count, options, false, results) }
}

/// As medforge_classify, with the same answers to the last bit; each result also has a map, which
/// medforge_results_map gives.
///
/// # Safety
/// As for medforge_classify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_explain(
    classifier: *const Classifier,
    images: *const Image,
    image_count: usize,
    options: *const ClassifyOptions,
    results: *mut *mut Results,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { classified(classifier, images, image_count, options, true, results) }
}

/// How many results there are: as many as images were given.
///
/// # Safety
/// `results` came from medforge_classify and is not freed; `count` points to a writable size_t.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_results_count(
    results: *const Results,
    count: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let results = object(results, "results")?;
            output(count, "count")?.write(results.0.len());
        }
        Ok(())
    })
}

/// Result `index`, counted from 0. What it points to lives until the results are freed.
///
/// # Safety
/// `results` came from medforge_classify and is not freed; `classification` points to a struct that
/// begins with its size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_results_get(
    results: *const Results,
    index: usize,
    classification: *mut Classification,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let results = object(results, "results")?;
            let known = growing::room(classification, "classification")?;
            let kept = results.nth(index)?;
            growing::write(&kept.view(), classification, known);
        }
        Ok(())
    })
}

/// Where in its image result `index`, counted from 0, comes from. Results of medforge_classify have
/// no map.
///
/// # Safety
/// `results` came from medforge_explain or medforge_classify and is not freed; `map` points to a
/// struct that begins with its size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_results_map(
    results: *const Results,
    index: usize,
    map: *mut Map,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let results = object(results, "results")?;
            let known = growing::room(map, "map")?;
            let kept = results.nth(index)?;
            let missing = || {
                Failure::new(
                    Status::OutOfRange,
                    "these results have no maps; call medforge_explain",
                )
            };
            let Seen { grid, values, seen: [left, top, width, height] } =
                kept.map.as_ref().ok_or_else(missing)?;
            let (grid, values) = (*grid, values.as_ptr());
            let view = Map {
                struct_size: 0,
                grid,
                values,
                left: *left,
                top: *top,
                width: *width,
                height: *height,
            };
            growing::write(&view, map, known);
        }
        Ok(())
    })
}

/// Frees results. NULL is allowed.
///
/// # Safety
/// `results` is NULL or came from medforge_classify, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_results_free(results: *mut Results) {
    if !results.is_null() {
        // SAFETY: it came from Box::into_raw, and the caller gives it up.
        drop(unsafe { Box::from_raw(results) });
    }
}

/// Classifies images, with `maps` also where each answer comes from.
///
/// # Safety
/// As for [`medforge_classify`].
unsafe fn classified(
    classifier: *const Classifier,
    images: *const Image,
    image_count: usize,
    options: *const ClassifyOptions,
    maps: bool,
    results: *mut *mut Results,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        let (classifier, asked) = unsafe { (opened(classifier)?, selection::asked(options)?) };
        let (first, results) = (input(images, "images")?, output(results, "results")?);
        // SAFETY: not NULL; every image begins with its size, which is the same for all of them.
        let size = unsafe { first.cast::<usize>().read_unaligned() };
        let mut shown = Vec::new();
        for index in 0..image_count {
            let place = first.cast::<u8>().wrapping_add(index.wrapping_mul(size)).cast::<Image>();
            // SAFETY: the caller promises as many images of this size.
            let one = unsafe { image::shown(place) };
            shown.push(one.map_err(|failure| in_batch(failure, index, image_count))?);
        }
        let views: Vec<_> = shown.iter().map(|one| one.rgb.view()).collect();
        let row = |image| Row { image, task: asked.task, selection: asked.selection.clone() };
        let rows: Vec<_> = (0..views.len()).map(row).collect();
        let active = classifier.classifier.active();
        let found: Result<Vec<_>, _> = if maps {
            active
                .explain_rows(&views, &rows, &asked.cancel)
                .map(|found| found.into_iter().map(|(found, map)| (found, Some(map))).collect())
        } else {
            active
                .classify_rows(&views, &rows, &asked.cancel)
                .map(|found| found.into_iter().map(|found| (found, None)).collect())
        };
        let found = found.map_err(|error| match error {
            medforge_runtime::Error::InBatch { source, .. } if image_count == 1 => {
                Failure::from(*source)
            }
            other => other.into(),
        })?;
        let kept =
            found.into_iter().zip(&shown).map(|((found, map), shown)| Kept::new(found, map, shown));
        let kept = kept.collect::<Result<Vec<_>, Failure>>()?;
        for one in &kept {
            log(Level::Info, || one.json.to_string_lossy().into_owned());
        }
        // SAFETY: not NULL, and the caller promises that it can be written.
        unsafe { results.write(Box::into_raw(Box::new(Results(kept)))) };
        Ok(())
    })
}

impl Results {
    fn nth(&self, index: usize) -> Result<&Kept, Failure> {
        self.0.get(index).ok_or_else(|| {
            let text = format!("result {index} does not exist; there are {}", self.0.len());
            Failure::new(Status::OutOfRange, text)
        })
    }
}

impl Kept {
    fn new(found: Found, map: Option<Seen>, shown: &Shown) -> Result<Self, Failure> {
        let json = owned(&found.record(&shown.sha256, &shown.notes)?);
        let code_texts = Texts::of(
            found.codes.iter().flat_map(|code| [&code.scheme, &code.value, &code.meaning]),
        );
        let codes = code_texts.pointers.as_chunks::<3>().0.iter();
        let codes =
            codes.map(|&[scheme, value, meaning]| Code { scheme, value, meaning }).collect();
        Ok(Kept {
            task: owned(&found.task),
            names: Texts::of(found.classes.iter()),
            codes,
            _code_texts: code_texts,
            bundle: owned(&found.bundle),
            composition: owned(&found.composition),
            device: owned(&found.device_uid()),
            modules: Texts::of(found.modules.iter().map(|module| &module.id)),
            weights: found.modules.iter().map(|module| module.weight).collect(),
            signers: Texts::of(found.signers.iter()),
            sha256: owned(&shown.sha256),
            notes: Texts::of(shown.notes.iter()),
            json,
            map,
            found,
        })
    }

    fn view(&self) -> Classification {
        let ns =
            |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Classification {
            struct_size: 0,
            task: self.task.as_ptr(),
            class_count: self.found.probabilities.len(),
            class_names: self.names.pointers.as_ptr(),
            class_codes: if self.codes.is_empty() { null() } else { self.codes.as_ptr() },
            probabilities: self.found.probabilities.as_ptr(),
            top: self.found.top().0,
            bundle_id: self.bundle.as_ptr(),
            composition_id: self.composition.as_ptr(),
            device_uid: self.device.as_ptr(),
            module_count: self.weights.len(),
            module_ids: self.modules.pointers.as_ptr(),
            module_weights: self.weights.as_ptr(),
            signer_count: self.signers.pointers.len(),
            signers: self.signers.pointers.as_ptr(),
            pixels_sha256: self.sha256.as_ptr(),
            preprocessing_ns: ns(self.found.times.preprocessing),
            base_ns: ns(self.found.times.base),
            json: self.json.as_ptr(),
            calibrated: i32::from(self.found.assessment.is_some()),
            abstain: match self.found.abstains() {
                None => Abstain::None,
                Some(medforge_runtime::classify::Abstain::Unfamiliar) => Abstain::Unfamiliar,
                Some(medforge_runtime::classify::Abstain::Unsure) => Abstain::Unsure,
            },
            ood_score: self.found.assessment.map_or(0.0, |assessment| assessment.score),
            ood_threshold: self.found.assessment.map_or(0.0, |assessment| assessment.threshold),
            note_count: self.notes.pointers.len(),
            notes: self.notes.pointers.as_ptr(),
        }
    }
}

impl Texts {
    fn of<'a>(texts: impl Iterator<Item = &'a String>) -> Self {
        let owned: Vec<_> = texts.map(|text| owned(text)).collect();
        let pointers = owned.iter().map(|text| text.as_ptr()).collect();
        Texts { _owned: owned, pointers }
    }
}

fn in_batch(failure: Failure, index: usize, count: usize) -> Failure {
    match count {
        1 => failure,
        _ => Failure::new(failure.status, format!("image {index} of the batch: {}", failure.text)),
    }
}
