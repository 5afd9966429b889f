//! The handle of a classifier.

use medforge_runtime::classify;

use crate::last_error::Failure;
use crate::pointer::object;
use crate::strings::Strings;

/// Bundles that were verified and are ready to classify.
pub struct Classifier {
    /// The runtime's.
    pub classifier: classify::Classifier,
    /// Names that were lent out.
    pub strings: Strings,
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
    /// A handle of `classifier`.
    pub fn new(classifier: classify::Classifier) -> Self {
        Classifier { classifier, strings: Strings::default() }
    }
}
