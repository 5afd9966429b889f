//! A classifier behind a handle: asked about tasks and classes, given pixels, closed.

use std::ffi::{CString, c_char};

use medforge_runtime::classify;
use medforge_runtime::image::RgbView;

use crate::last_error::{Failure, guard};
use crate::pointer::{input, object, optional, output};
use crate::status::Status;

/// A bundle that was verified and is ready to classify.
pub struct Classifier {
    classifier: classify::Classifier,
    bundle_id: CString,
    tasks: Vec<Task>,
}

/// Names as C strings, so that they can be lent out.
struct Task {
    name: CString,
    classes: Vec<CString>,
}

/// Closes a classifier and frees its memory. NULL is allowed.
///
/// # Safety
/// `classifier` is NULL or came from medforge_open, and no thread uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_close(classifier: *mut Classifier) {
    if !classifier.is_null() {
        guard(|| {
            // SAFETY: it came from Box::into_raw, and the caller gives it up.
            drop(unsafe { Box::from_raw(classifier) });
            Ok(())
        });
    }
}

/// The id of the bundle: SHA-256 of its manifest, 64 hex digits.
///
/// # Safety
/// `classifier` is open; `id` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_bundle_id(classifier: *const Classifier, id: *mut *const c_char) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = object(classifier, "classifier")?;
            output(id, "id")?.write(classifier.bundle_id.as_ptr());
        }
        Ok(())
    })
}

/// The number of tasks.
///
/// # Safety
/// `classifier` is open; `count` points to a writable size_t.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_task_count(classifier: *const Classifier, count: *mut usize) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = object(classifier, "classifier")?;
            output(count, "count")?.write(classifier.tasks.len());
        }
        Ok(())
    })
}

/// The name of task `index`, counted from 0.
///
/// # Safety
/// `classifier` is open; `name` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_task_name(
    classifier: *const Classifier,
    index: usize,
    name: *mut *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = object(classifier, "classifier")?;
            let task =
                classifier.tasks.get(index).ok_or_else(|| out_of_range("task", index, classifier.tasks.len()))?;
            output(name, "name")?.write(task.name.as_ptr());
        }
        Ok(())
    })
}

/// The number of classes of `task`; a NULL task is the bundle's only one.
///
/// # Safety
/// `classifier` is open; `task` is NULL or a NUL-terminated string; `count` points to a writable size_t.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_class_count(
    classifier: *const Classifier,
    task: *const c_char,
    count: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let task = object(classifier, "classifier")?.task(optional(task, "task")?)?;
            output(count, "count")?.write(task.classes.len());
        }
        Ok(())
    })
}

/// The name of class `index` of `task`, counted from 0; a NULL task is the bundle's only one.
///
/// # Safety
/// `classifier` is open; `task` is NULL or a NUL-terminated string; `name` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_class_name(
    classifier: *const Classifier,
    task: *const c_char,
    index: usize,
    name: *mut *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classes = &object(classifier, "classifier")?.task(optional(task, "task")?)?.classes;
            let class = classes.get(index).ok_or_else(|| out_of_range("class", index, classes.len()))?;
            output(name, "name")?.write(class.as_ptr());
        }
        Ok(())
    })
}

/// Classifies an image of any size: rows of `width` RGB triples of bytes, `stride` bytes from one row to the next. Writes
/// the probability of each class of `task`, in the order of their indices, to `probabilities`, which has room for
/// `capacity` values. A NULL task is the bundle's only one.
///
/// # Safety
/// `classifier` is open; `task` is NULL or a NUL-terminated string; `pixels` points to (height - 1) * stride + 3 * width
/// readable bytes; `probabilities` points to `capacity` writable floats.
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
        let (classifier, task) = unsafe { (object(classifier, "classifier")?, optional(task, "task")?) };
        let pixels = input(pixels, "pixels")?;
        let probabilities = output(probabilities, "probabilities")?;
        let classes = classifier.task(task)?.classes.len();
        if capacity < classes {
            let text = format!("there is room for {capacity} probabilities and the task has {classes} classes");
            return Err(Failure::new(Status::BufferTooSmall, text));
        }
        let length = extent(width, height, stride).ok_or_else(|| {
            Failure::new(Status::Pixels, format!("{width} x {height} RGB pixels do not fit rows {stride} bytes apart"))
        })?;
        // SAFETY: not NULL, and the caller promises `length` readable bytes.
        let pixels = unsafe { std::slice::from_raw_parts(pixels, length) };
        let view = RgbView::new(pixels, width, height, stride)?;
        let found = classifier.classifier.classify(view, task)?;
        // SAFETY: not NULL, room for `capacity` values by the caller's promise, and no more than that are written.
        unsafe { std::ptr::copy_nonoverlapping(found.probabilities.as_ptr(), probabilities, classes) };
        Ok(())
    })
}

impl Classifier {
    pub fn new(classifier: classify::Classifier) -> Result<Self, Failure> {
        let string = |text: &str| {
            CString::new(text)
                .map_err(|_| Failure::new(Status::Contradiction, format!("the name {text:?} holds a NUL")))
        };
        let active = classifier.active();
        let tasks = active.tasks().map(|name| {
            let classes = active.classes(name).unwrap_or_default();
            Ok(Task { name: string(name)?, classes: classes.iter().map(|c| string(c)).collect::<Result<_, _>>()? })
        });
        let tasks = tasks.collect::<Result<_, Failure>>()?;
        let bundle_id = string(active.bundles().next().unwrap_or_default())?;
        Ok(Classifier { bundle_id, tasks, classifier })
    }

    fn task(&self, name: Option<&str>) -> Result<&Task, Failure> {
        let known = || self.classifier.active().tasks().collect::<Vec<_>>().join(", ");
        match (name, &self.tasks[..]) {
            (None, [only]) => Ok(only),
            (None, _) => Err(medforge_runtime::Error::TaskNeeded { known: known() }.into()),
            (Some(name), tasks) => tasks
                .iter()
                .find(|t| t.name.as_bytes() == name.as_bytes())
                .ok_or_else(|| medforge_runtime::Error::UnknownTask { task: name.to_owned(), known: known() }.into()),
        }
    }
}

/// The bytes from the first to the last pixel; none for an empty image, overlapping rows, or more than memory can hold.
fn extent(width: u32, height: u32, stride: usize) -> Option<usize> {
    let row = usize::try_from(width).ok()?.checked_mul(3)?;
    let rows = usize::try_from(height).ok()?;
    let length = rows.checked_sub(1)?.checked_mul(stride)?.checked_add(row)?;
    (row > 0 && stride >= row && isize::try_from(length).is_ok()).then_some(length)
}

fn out_of_range(what: &str, index: usize, count: usize) -> Failure {
    Failure::new(Status::OutOfRange, format!("{what} {index} does not exist; there are {count}"))
}
