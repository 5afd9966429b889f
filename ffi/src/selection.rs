//! What a call runs with: task, modules and their weights, and when it is given up.

use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use medforge_runtime::classify::{self, Mode, WeightedModule};

use crate::growing::{self, Growing};
use crate::last_error::{Failure, guard};
use crate::pointer::{input, object, optional, output, text};
use crate::status::Status;

/// How the modules of a selection act together.
#[repr(u32)]
pub enum SelectionKind {
    /// The task's default.
    Default = 0,
    /// No module: the frozen base and the task's head.
    Frozen = 1,
    /// One network: the sum of the modules, each times its weight.
    Fusion = 2,
    /// A network for each module; the weighted sum of their probabilities.
    Mixture = 3,
    /// As a mixture, weighted by what the image looks like.
    Routed = 4,
}

/// Which modules take part, and with what weight. All zeros: the task's default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Selection {
    /// A medforge_selection_kind.
    pub kind: u32,
    /// Modules.
    pub count: usize,
    /// Their ids.
    pub modules: *const *const c_char,
    /// Their weights. NULL: 1 each.
    pub weights: *const f64,
}

/// How to classify. Zero it, set struct_size to sizeof(medforge_classify_options), then what is
/// wanted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ClassifyOptions {
    /// sizeof(medforge_classify_options): what lies beyond it is not read.
    pub struct_size: usize,
    /// The task. NULL: the only one, or, where the bundle tells tasks by their looks, the image's
    /// likeliest.
    pub task: *const c_char,
    /// Which modules take part. NULL: the task's default.
    pub selection: *const Selection,
    /// Gives the call up when it is cancelled. NULL: nothing does.
    pub cancel: *const Cancel,
    /// The call is given up after so many milliseconds. 0: never.
    pub timeout_ms: u64,
}

// SAFETY: C layout, the size first, and zeros are numbers and NULL.
unsafe impl Growing for ClassifyOptions {
    const LEAST: usize = size_of::<ClassifyOptions>();
}

/// A flag that another thread sets to give calls up.
pub struct Cancel(Arc<AtomicBool>);

/// Makes a flag that is not set.
///
/// # Safety
/// `cancel` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_cancel_new(cancel: *mut *mut Cancel) -> Status {
    guard(|| {
        let cancel = output(cancel, "cancel")?;
        // SAFETY: not NULL, and the caller promises that it can be written.
        unsafe { cancel.write(Box::into_raw(Box::new(Cancel(Arc::default())))) };
        Ok(())
    })
}

/// Gives up all calls that have this flag, now and from now on; any thread may do it.
///
/// # Safety
/// `cancel` came from medforge_cancel_new and is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_cancel_set(cancel: *const Cancel) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { object(cancel, "cancel")? }.0.store(true, Ordering::Relaxed);
        Ok(())
    })
}

/// Frees a flag. NULL is allowed.
///
/// # Safety
/// `cancel` is NULL or came from medforge_cancel_new, and nobody sets it any more. Calls that have
/// it may still run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_cancel_free(cancel: *mut Cancel) {
    if !cancel.is_null() {
        // SAFETY: it came from Box::into_raw, and the caller gives it up.
        drop(unsafe { Box::from_raw(cancel) });
    }
}

/// Options as the runtime knows them.
pub struct Asked<'a> {
    pub task: Option<&'a str>,
    pub selection: classify::Selection,
    pub cancel: classify::Cancel,
}

/// What `options` ask for; NULL: the default of the only task.
///
/// # Safety
/// `options` is NULL or points to options whose every pointer is NULL or points to what its field
/// says.
pub unsafe fn asked<'a>(options: *const ClassifyOptions) -> Result<Asked<'a>, Failure> {
    let options = if options.is_null() {
        ClassifyOptions::new()
    } else {
        // SAFETY: the caller's promise.
        unsafe { growing::read(options, "options")? }
    };
    let cancel = if options.cancel.is_null() {
        classify::Cancel::default()
    } else {
        // SAFETY: the caller's promise.
        classify::Cancel::by(unsafe { object(options.cancel, "options.cancel")? }.0.clone())
    };
    let deadline = (options.timeout_ms > 0)
        .then(|| Instant::now().checked_add(Duration::from_millis(options.timeout_ms)));
    let cancel = match deadline.flatten() {
        Some(deadline) => cancel.or_at(deadline),
        None => cancel,
    };
    // SAFETY: the caller's promise for each pointer.
    unsafe {
        let task = optional(options.task, "options.task")?;
        Ok(Asked { task, selection: selection(options.selection)?, cancel })
    }
}

/// The selection at `pointer`; NULL: the default.
///
/// # Safety
/// `pointer` is NULL or points to a selection with as many modules and weights as it says.
pub unsafe fn selection(pointer: *const Selection) -> Result<classify::Selection, Failure> {
    // SAFETY: the caller's promise.
    let Some(selection) = (unsafe { pointer.as_ref() }) else {
        return Ok(classify::Selection::Default);
    };
    let mode = match selection.kind {
        0 => return Ok(classify::Selection::Default),
        1 => return Ok(classify::Selection::Frozen),
        2 => Mode::Fusion,
        3 => Mode::Mixture,
        4 => Mode::Routed,
        other => {
            return Err(Failure::new(
                Status::Selection,
                format!("selection.kind is {other}, which is none"),
            ));
        }
    };
    if selection.count > MOST_PARTS {
        let text = format!("selection.count is {}, more than {MOST_PARTS}", selection.count);
        return Err(Failure::new(Status::Selection, text));
    }
    let modules = input(selection.modules, "selection.modules")?;
    let parts = (0..selection.count).map(|index| {
        // SAFETY: the caller promises as many modules, and weights where there are any.
        unsafe {
            let module = text(modules.add(index).read(), "selection.modules[i]")?.to_owned();
            let weight =
                if selection.weights.is_null() { 1.0 } else { selection.weights.add(index).read() };
            Ok(WeightedModule { module, weight })
        }
    });
    Ok(classify::Selection::Composition(mode, parts.collect::<Result<_, Failure>>()?))
}

/// More than the runtime takes, which says so itself.
const MOST_PARTS: usize = 1 << 16;
