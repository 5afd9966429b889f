//! What was found: results behind a handle, read as structs or as JSON.

use medforge_runtime::Error;
use medforge_runtime::classify::{self, Row};

use crate::classifier::{Classifier, opened};
use crate::growing;
use crate::image::{self, Image};
use crate::last_error::{Failure, guard};
use crate::log::{Level, log};
use crate::pointer::{input, object, output};
use crate::selection::{self, ClassifyOptions};
use crate::status::Status;

mod kept;
mod structs;

use kept::Kept;
pub use structs::{Abstain, Classification, Code, Map};

/// Results of one call.
pub struct Results(Vec<Kept>);

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
            let classify::Map { grid, values, seen: [left, top, width, height] } =
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
            Error::InBatch { source, .. } if image_count == 1 => Failure::from(*source),
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

fn in_batch(failure: Failure, index: usize, count: usize) -> Failure {
    match count {
        1 => failure,
        _ => Failure::new(failure.status, format!("image {index} of the batch: {}", failure.text)),
    }
}
