//! Opening, adding, replacing and unloading bundles; defaults that change; and trust files that
//! follow one another.

use std::ffi::c_char;

use medforge_runtime::bundle::frame::LIMITS;
use medforge_runtime::bundle::{LONGEST_TRUST, Trust, VerifiedBundle};
use medforge_runtime::classify;

use crate::classifier::{Classifier, opened};
use crate::growing::{self, Growing};
use crate::last_error::guard;
use crate::log::{Level, log};
use crate::pointer::{input, optional, output, read, text};
use crate::selection::{self, Selection};
use crate::status::Status;

mod accept;
mod options;
mod state;

pub use accept::{bytes, open};
use accept::{moment, whole};
pub use options::{OpenOptions, Source};

/// Verifies the bundle in the file `bundle_path` against the file `trust_path`, loads it and checks
/// this device against its golden vectors. `trust_path` is the public key or keys (SPKI PEM), or
/// the trust file (TOML). No time is looked at and nothing is remembered: medforge_open_with does
/// both.
///
/// # Safety
/// Both paths are NUL-terminated strings; `classifier` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_open(
    bundle_path: *const c_char,
    trust_path: *const c_char,
    classifier: *mut *mut Classifier,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        let (bundle_path, _) =
            unsafe { (text(bundle_path, "bundle_path")?, text(trust_path, "trust_path")?) };
        let classifier = output(classifier, "classifier")?;
        let options = OpenOptions { trust_path, ..OpenOptions::new() };
        // SAFETY: the caller's promise for the path of the trust file.
        let opened = unsafe {
            open(
                || whole(bundle_path),
                &options,
                |bundle, running| Ok(classify::Classifier::load_with(&bundle, running)?),
            )?
        };
        // SAFETY: not NULL, and the caller promises that it can be written.
        unsafe { classifier.write(Box::into_raw(Box::new(Classifier::new(opened)))) };
        Ok(())
    })
}

/// Verifies and loads a bundle as `options` say, and checks this device against its golden vectors.
///
/// # Safety
/// `source` and `options` point to structs that begin with their sizes and whose pointers are NULL
/// or point to what their fields say; `classifier` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_open_with(
    source: *const Source,
    options: *const OpenOptions,
    classifier: *mut *mut Classifier,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let (source, options) =
                (growing::read(source, "source")?, growing::read(options, "options")?);
            let classifier = output(classifier, "classifier")?;
            let opened = open(
                || bytes(&source),
                &options,
                |bundle, running| Ok(classify::Classifier::load_with(&bundle, running)?),
            )?;
            classifier.write(Box::into_raw(Box::new(Classifier::new(opened))));
        }
        Ok(())
    })
}

/// Adds the modules and tasks of a bundle with the same base to an open classifier, while other
/// threads classify. How it runs stays as it was opened.
///
/// # Safety
/// `classifier` is open; `source` and `options` as for medforge_open_with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_add(
    classifier: *const Classifier,
    source: *const Source,
    options: *const OpenOptions,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { changed(classifier, source, options, classify::Classifier::add) }
}

/// Goes on with another bundle alone, while other threads classify; a base that is the same stays
/// as it is in memory.
///
/// # Safety
/// As for medforge_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_replace(
    classifier: *const Classifier,
    source: *const Source,
    options: *const OpenOptions,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { changed(classifier, source, options, classify::Classifier::replace) }
}

/// Lets go of a bundle: of its tasks, and of modules that no other bundle brought. Calls under way
/// finish with them.
///
/// # Safety
/// `classifier` is open; `bundle` is a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_unload(
    classifier: *const Classifier,
    bundle: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        let (classifier, bundle) = unsafe { (opened(classifier)?, text(bundle, "bundle")?) };
        classifier.classifier.unload(bundle)?;
        log(Level::Info, || format!("bundle {bundle} was unloaded"));
        Ok(())
    })
}

/// What `task` runs with from now on where a call says nothing else.
///
/// # Safety
/// `classifier` is open; `task` is a NUL-terminated string; `selection` points to a selection with
/// as many modules and weights as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_set_default(
    classifier: *const Classifier,
    task: *const c_char,
    selection: *const Selection,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = opened(classifier)?;
            let (task, selection) =
                (text(task, "task")?, selection::selection(input(selection, "selection")?)?);
            classifier.classifier.set_default(task, &selection)?;
            log(Level::Info, || format!("task {task} runs with {selection:?}"));
        }
        Ok(())
    })
}

/// Whether the trust file `next_path`, with its signatures, may take the place of `trust_path` at
/// the time `now` (NULL: no time is looked at). No file is changed: the caller replaces it.
///
/// # Safety
/// All paths are NUL-terminated strings; `now` is one or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_trust_follows(
    trust_path: *const c_char,
    next_path: *const c_char,
    signatures_path: *const c_char,
    now: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        let (trust, next, signatures, now) = unsafe {
            (
                text(trust_path, "trust_path")?,
                text(next_path, "next_path")?,
                text(signatures_path, "signatures_path")?,
                optional(now, "now")?,
            )
        };
        let trust = Trust::read(&read(trust, LONGEST_TRUST)?)?;
        trust.successor(
            &read(next, LONGEST_TRUST)?,
            &read(signatures, LIMITS.json)?,
            now.map(moment).transpose()?,
        )?;
        Ok(())
    })
}

/// Changes an open classifier by a bundle.
///
/// # Safety
/// As for medforge_add.
unsafe fn changed<F>(
    classifier: *const Classifier,
    source: *const Source,
    options: *const OpenOptions,
    change: F,
) -> Status
where
    F: FnOnce(&classify::Classifier, VerifiedBundle) -> Result<(), medforge_runtime::Error>,
{
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = opened(classifier)?;
            let (source, options) =
                (growing::read(source, "source")?, growing::read(options, "options")?);
            open(
                || bytes(&source),
                &options,
                |bundle, _| Ok(change(&classifier.classifier, bundle)?),
            )
        }
    })
}
