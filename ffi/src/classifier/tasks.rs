//! What a task runs with by default, and its classes.

use std::ffi::c_char;

use medforge_runtime::classify::Mode;

use super::active::{classes, counted, default_of, named, nth, only, out_of_range};
use super::handle::{Classifier, opened};
use crate::last_error::guard;
use crate::pointer::{optional, output};
use crate::selection::SelectionKind;
use crate::status::Status;

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
