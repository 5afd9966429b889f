//! A classifier behind a handle: asked about bundles, tasks, classes and modules, given pixels,
//! closed.

use std::ffi::c_char;

use medforge_runtime::Error;
use medforge_runtime::classify::{self, Cancel, Row};
use medforge_runtime::image::RgbView;

use crate::growing::{self, Growing};
use crate::last_error::{Failure, guard};
use crate::pointer::{input, optional, output};
use crate::status::Status;

mod active;
mod handle;
mod lists;
mod tasks;

use active::{classes, only};
pub use handle::{Classifier, opened};
pub use lists::{
    medforge_bundle_count, medforge_bundle_id, medforge_manifest, medforge_module_count,
    medforge_module_id, medforge_task_count, medforge_task_name,
};
pub use tasks::{
    medforge_class_code, medforge_class_count, medforge_class_name, medforge_default,
    medforge_default_module,
};

/// Bytes in memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Memory {
    /// sizeof(medforge_memory), set before the call: what lies beyond it is not written.
    pub struct_size: usize,
    /// The base's weights.
    pub base: usize,
    /// Modules, and what defaults have laid out of them.
    pub modules: usize,
    /// Buffers that wait for the next call.
    pub scratch: usize,
}

// SAFETY: C layout, the size first, and zeros are numbers.
unsafe impl Growing for Memory {
    const LEAST: usize = size_of::<Memory>();
}

/// Closes a classifier and frees its memory. NULL is allowed. In a child of fork() nothing is
/// freed: what is behind it waits for threads of the parent.
///
/// # Safety
/// `classifier` is NULL or came from medforge_open, and no thread uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_close(classifier: *mut Classifier) {
    if !classifier.is_null() {
        guard(|| {
            // SAFETY: it came from Box::into_raw, and the caller gives it up.
            let classifier = unsafe { Box::from_raw(classifier) };
            if classifier.classifier.check_process().is_err() {
                std::mem::forget(classifier);
            }
            Ok(())
        });
    }
}

/// What the classifier takes of memory, by part.
///
/// # Safety
/// `classifier` is open; `memory` points to a struct that begins with its size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_memory_use(
    classifier: *const Classifier,
    memory: *mut Memory,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = opened(classifier)?;
            let known = growing::room(memory, "memory")?;
            let classify::Memory { base, modules, scratch } = classifier.classifier.memory();
            growing::write(&Memory { base, modules, scratch, ..Memory::new() }, memory, known);
        }
        Ok(())
    })
}

/// Classifies an image of any size: rows of `width` RGB triples of bytes, `stride` bytes from one
/// row to the next. Writes the probability of each class of `task`, in the order of their indices,
/// to `probabilities`, which has room for `capacity` values. A NULL task is the only one.
///
/// # Safety
/// `classifier` is open; `task` is NULL or a NUL-terminated string; `pixels` points to (height - 1)
/// * stride + 3 * width readable bytes; `probabilities` points to `capacity` writable floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_classify_rgb(
    classifier: *const Classifier,
    task: *const c_char,
    pixels: *const u8,
    width: u32,
    height: u32,
    stride: usize,
    capacity: usize,
    probabilities: *mut f32,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        let (classifier, task) = unsafe { (opened(classifier)?, optional(task, "task")?) };
        let pixels = input(pixels, "pixels")?;
        let probabilities = output(probabilities, "probabilities")?;
        let active = classifier.classifier.active();
        let task = only(&active, task)?;
        let classes = classes(&active, Some(&task))?.len();
        if capacity < classes {
            let text = format!(
                "there is room for {capacity} probabilities and the task has {classes} classes"
            );
            return Err(Failure::new(Status::BufferTooSmall, text));
        }
        let length = extent(width, height, stride).ok_or_else(|| {
            Failure::new(
                Status::Pixels,
                format!("{width} x {height} RGB pixels do not fit rows {stride} bytes apart"),
            )
        })?;
        // SAFETY: not NULL, and the caller promises `length` readable bytes.
        let pixels = unsafe { std::slice::from_raw_parts(pixels, length) };
        let view = RgbView::new(pixels, width, height, stride)?;
        let row = Row { task: Some(&task), ..Row::default() };
        let found =
            active.classify_rows(&[view], &[row], &Cancel::default()).map_err(
                |error| match error {
                    Error::InBatch { source, .. } => *source,
                    other => other,
                },
            );
        let found = found?.pop().ok_or_else(|| Failure::new(Status::Device, "no result"))?;
        // SAFETY: not NULL, room for `capacity` values by the caller's promise, and no more than
        // that are written.
        unsafe {
            std::ptr::copy_nonoverlapping(found.probabilities.as_ptr(), probabilities, classes)
        };
        Ok(())
    })
}

/// The bytes from the first to the last pixel; none for an empty image, overlapping rows, or more
/// than memory can hold.
fn extent(width: u32, height: u32, stride: usize) -> Option<usize> {
    let row = usize::try_from(width).ok()?.checked_mul(3)?;
    let rows = usize::try_from(height).ok()?;
    let length = rows.checked_sub(1)?.checked_mul(stride)?.checked_add(row)?;
    (row > 0 && stride >= row && isize::try_from(length).is_ok()).then_some(length)
}
