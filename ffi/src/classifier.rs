//! A classifier behind a handle: asked about bundles, tasks, classes and modules, given pixels,
//! closed.

use std::ffi::c_char;

use medforge_runtime::classify::{self, Active, Cancel, Mode, Participant, Row};
use medforge_runtime::image::RgbView;

use crate::growing::{self, Growing};
use crate::last_error::{Failure, guard};
use crate::pointer::{input, object, optional, output, text};
use crate::selection::SelectionKind;
use crate::status::Status;
use crate::strings::Strings;

/// Bundles that were verified and are ready to classify.
pub struct Classifier {
    pub classifier: classify::Classifier,
    pub strings: Strings,
}

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

/// What `task` (NULL: the only one) runs with by default: a medforge_selection_kind and the number
/// of modules.
///
/// # Safety
/// `classifier` is open; `task` is NULL or a NUL-terminated string; both outputs can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_default(
    classifier: *const Classifier,
    task: *const c_char,
    kind: *mut u32,
    module_count: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let active = opened(classifier)?.classifier.active();
            let (mode, parts) = default_of(&active, optional(task, "task")?)?;
            let (kind, module_count) =
                (output(kind, "kind")?, output(module_count, "module_count")?);
            kind.write(match mode {
                _ if parts.is_empty() => SelectionKind::Frozen,
                Mode::Fusion => SelectionKind::Fusion,
                Mode::Mixture => SelectionKind::Mixture,
                Mode::Routed => SelectionKind::Routed,
            } as u32);
            module_count.write(parts.len());
        }
        Ok(())
    })
}

/// Module `index` of what `task` (NULL: the only one) runs with by default: its id and weight.
///
/// # Safety
/// `classifier` is open; `task` is NULL or a NUL-terminated string; both outputs can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_default_module(
    classifier: *const Classifier,
    task: *const c_char,
    index: usize,
    id: *mut *const c_char,
    weight: *mut f64,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = opened(classifier)?;
            let (_, parts) = default_of(&classifier.classifier.active(), optional(task, "task")?)?;
            let part =
                parts.get(index).ok_or_else(|| out_of_range("module", index, parts.len()))?;
            let (id, weight) = (output(id, "id")?, output(weight, "weight")?);
            id.write(classifier.strings.lend(&part.id));
            weight.write(part.weight);
        }
        Ok(())
    })
}

/// The number of classes of `task`; a NULL task is the only one.
///
/// # Safety
/// `classifier` is open; `task` is NULL or a NUL-terminated string; `count` points to a writable
/// size_t.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_class_count(
    classifier: *const Classifier,
    task: *const c_char,
    count: *mut usize,
) -> Status {
    // SAFETY: the caller's promise for each argument.
    unsafe {
        counted(classifier, count, |active| Ok(classes(active, optional(task, "task")?)?.len()))
    }
}

/// The name of class `index` of `task`, counted from 0; a NULL task is the only one.
///
/// # Safety
/// `classifier` is open; `task` is NULL or a NUL-terminated string; `name` points to a writable
/// pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_class_name(
    classifier: *const Classifier,
    task: *const c_char,
    index: usize,
    name: *mut *const c_char,
) -> Status {
    // SAFETY: the caller's promise for each argument.
    unsafe {
        named(classifier, name, |active| {
            nth(
                classes(active, optional(task, "task")?)?.iter().map(String::as_str),
                "class",
                index,
            )
        })
    }
}

/// What class `index` of `task` is in a coding scheme; three NULLs where the bundle does not say
/// it.
///
/// # Safety
/// `classifier` is open; `task` is NULL or a NUL-terminated string; all outputs can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_class_code(
    classifier: *const Classifier,
    task: *const c_char,
    index: usize,
    scheme: *mut *const c_char,
    value: *mut *const c_char,
    meaning: *mut *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = opened(classifier)?;
            let active = classifier.classifier.active();
            let task = only(&active, optional(task, "task")?)?;
            let count = classes(&active, Some(&task))?.len();
            let (scheme, value, meaning) =
                (output(scheme, "scheme")?, output(value, "value")?, output(meaning, "meaning")?);
            if index >= count {
                return Err(out_of_range("class", index, count));
            }
            let codes = active.codes(&task).unwrap_or_default();
            let lend = |text: Option<&String>| {
                text.map_or(std::ptr::null(), |text| classifier.strings.lend(text))
            };
            let code = codes.get(index);
            scheme.write(lend(code.map(|code| &code.scheme)));
            value.write(lend(code.map(|code| &code.value)));
            meaning.write(lend(code.map(|code| &code.meaning)));
        }
        Ok(())
    })
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
                    medforge_runtime::Error::InBatch { source, .. } => *source,
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

/// The classifier behind a handle, in the process that opened it.
///
/// # Safety
/// `classifier` is NULL, or open until `'a` ends.
pub unsafe fn opened<'a>(classifier: *const Classifier) -> Result<&'a Classifier, Failure> {
    // SAFETY: the caller's promise.
    let classifier = unsafe { object(classifier, "classifier")? };
    classifier.classifier.check_process()?;
    Ok(classifier)
}

impl Classifier {
    pub fn new(classifier: classify::Classifier) -> Self {
        Classifier { classifier, strings: Strings::default() }
    }
}

/// Writes what `count` gives of the set as it is now.
///
/// # Safety
/// `classifier` is NULL or open; `to` is NULL or can be written.
unsafe fn counted(
    classifier: *const Classifier,
    to: *mut usize,
    count: impl FnOnce(&Active) -> Result<usize, Failure>,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let count = count(&opened(classifier)?.classifier.active())?;
            output(to, "count")?.write(count);
        }
        Ok(())
    })
}

/// Writes where what `text` gives of the set as it is now is kept.
///
/// # Safety
/// As for [`counted`].
unsafe fn named(
    classifier: *const Classifier,
    to: *mut *const c_char,
    text: impl FnOnce(&Active) -> Result<String, Failure>,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = opened(classifier)?;
            let text = text(&classifier.classifier.active())?;
            output(to, "output")?.write(classifier.strings.lend(&text));
        }
        Ok(())
    })
}

fn nth<'a>(
    all: impl Iterator<Item = &'a str>,
    what: &str,
    index: usize,
) -> Result<String, Failure> {
    let all: Vec<_> = all.collect();
    all.get(index).map(|text| text.to_string()).ok_or_else(|| out_of_range(what, index, all.len()))
}

/// The task `name`, or the only one.
fn only(active: &Active, name: Option<&str>) -> Result<String, Failure> {
    let known = || active.tasks().collect::<Vec<_>>().join(", ");
    let found = match name {
        Some(name) => active.tasks().find(|task| *task == name),
        None if active.tasks().count() == 1 => active.tasks().next(),
        None => return Err(medforge_runtime::Error::TaskNeeded { known: known() }.into()),
    };
    let unknown = || medforge_runtime::Error::UnknownTask {
        task: name.unwrap_or_default().to_owned(),
        known: known(),
    };
    Ok(found.map(str::to_owned).ok_or_else(unknown)?)
}

fn classes(active: &Active, task: Option<&str>) -> Result<std::sync::Arc<[String]>, Failure> {
    Ok(active.classes(&only(active, task)?).unwrap_or_default())
}

fn default_of(active: &Active, task: Option<&str>) -> Result<(Mode, Vec<Participant>), Failure> {
    let task = only(active, task)?;
    active.default_of(&task).ok_or_else(|| out_of_range("task", 0, 0))
}

/// The bytes from the first to the last pixel; none for an empty image, overlapping rows, or more
/// than memory can hold.
fn extent(width: u32, height: u32, stride: usize) -> Option<usize> {
    let row = usize::try_from(width).ok()?.checked_mul(3)?;
    let rows = usize::try_from(height).ok()?;
    let length = rows.checked_sub(1)?.checked_mul(stride)?.checked_add(row)?;
    (row > 0 && stride >= row && isize::try_from(length).is_ok()).then_some(length)
}

fn out_of_range(what: &str, index: usize, count: usize) -> Failure {
    Failure::new(Status::OutOfRange, format!("{what} {index} does not exist; there are {count}"))
}
