//! What a classifier runs with now, asked by name or by number.

use std::ffi::c_char;
use std::sync::Arc;

use medforge_runtime::Error;
use medforge_runtime::classify::{Active, Mode, Participant};

use super::handle::{Classifier, opened};
use crate::last_error::{Failure, guard};
use crate::pointer::output;
use crate::status::Status;

/// Writes what `count` gives of the set as it is now.
///
/// # Safety
/// `classifier` is NULL or open; `to` is NULL or can be written.
pub(super) unsafe fn counted(
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
pub(super) unsafe fn named(
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

/// Text `index` of `all`; `what` is what errors call it.
pub(super) fn nth<'a>(
    all: impl Iterator<Item = &'a str>,
    what: &str,
    index: usize,
) -> Result<String, Failure> {
    let all: Vec<_> = all.collect();
    all.get(index).map(|text| text.to_string()).ok_or_else(|| out_of_range(what, index, all.len()))
}

/// The task `name`, or the only one.
pub(super) fn only(active: &Active, name: Option<&str>) -> Result<String, Failure> {
    let known = || active.tasks().collect::<Vec<_>>().join(", ");
    let found = match name {
        Some(name) => active.tasks().find(|task| *task == name),
        None if active.tasks().count() == 1 => active.tasks().next(),
        None => return Err(Error::TaskNeeded { known: known() }.into()),
    };
    let unknown =
        || Error::UnknownTask { task: name.unwrap_or_default().to_owned(), known: known() };
    Ok(found.map(str::to_owned).ok_or_else(unknown)?)
}

/// The classes of a task; none: the only one.
pub(super) fn classes(active: &Active, task: Option<&str>) -> Result<Arc<[String]>, Failure> {
    Ok(active.classes(&only(active, task)?).unwrap_or_default())
}

/// How a task runs where a call says nothing else, and with which modules.
pub(super) fn default_of(
    active: &Active,
    task: Option<&str>,
) -> Result<(Mode, Vec<Participant>), Failure> {
    let task = only(active, task)?;
    active.default_of(&task).ok_or_else(|| out_of_range("task", 0, 0))
}

/// An index past the end.
pub(super) fn out_of_range(what: &str, index: usize, count: usize) -> Failure {
    Failure::new(Status::OutOfRange, format!("{what} {index} does not exist; there are {count}"))
}
