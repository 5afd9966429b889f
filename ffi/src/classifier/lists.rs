//! The bundles, tasks and modules of a classifier.

use std::ffi::c_char;

use super::active::{counted, named, nth};
use super::handle::Classifier;
use crate::last_error::Failure;
use crate::pointer::text;
use crate::status::Status;

/// The number of bundles: one, unless others were added.
///
/// # Safety
/// `classifier` is open; `count` points to a writable size_t.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_bundle_count(
    classifier: *const Classifier,
    count: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { counted(classifier, count, |active| Ok(active.bundles().count())) }
}

/// The id of bundle `index`, in order of their ids: SHA-256 of its manifest, 64 hex digits. Lists
/// change when bundles are added or unloaded.
///
/// # Safety
/// `classifier` is open; `id` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_bundle_id(
    classifier: *const Classifier,
    index: usize,
    id: *mut *const c_char,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { named(classifier, id, |active| nth(active.bundles(), "bundle", index)) }
}

/// The manifest of a bundle as canonical JSON: everything that its maker says of it.
///
/// # Safety
/// `classifier` is open; `bundle` is a NUL-terminated string; `json` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_manifest(
    classifier: *const Classifier,
    bundle: *const c_char,
    json: *mut *const c_char,
) -> Status {
    // SAFETY: the caller's promise for each argument.
    unsafe {
        named(classifier, json, |active| {
            let bundle = text(bundle, "bundle")?;
            let found = active.manifest(bundle).map(str::to_owned);
            found.ok_or_else(|| {
                Failure::new(Status::OutOfRange, format!("there is no bundle {bundle}"))
            })
        })
    }
}

/// The number of tasks.
///
/// # Safety
/// `classifier` is open; `count` points to a writable size_t.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_task_count(
    classifier: *const Classifier,
    count: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { counted(classifier, count, |active| Ok(active.tasks().count())) }
}

/// The name of task `index`, in order of their names.
///
/// # Safety
/// `classifier` is open; `name` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_task_name(
    classifier: *const Classifier,
    index: usize,
    name: *mut *const c_char,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { named(classifier, name, |active| nth(active.tasks(), "task", index)) }
}

/// The number of modules.
///
/// # Safety
/// `classifier` is open; `count` points to a writable size_t.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_module_count(
    classifier: *const Classifier,
    count: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { counted(classifier, count, |active| Ok(active.modules().count())) }
}

/// The id of module `index`, in order of their ids.
///
/// # Safety
/// `classifier` is open; `id` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_module_id(
    classifier: *const Classifier,
    index: usize,
    id: *mut *const c_char,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { named(classifier, id, |active| nth(active.modules(), "module", index)) }
}
