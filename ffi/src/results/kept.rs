//! A classification with all that its struct in C points to.

use std::ffi::{CString, c_char};
use std::ptr::null;
use std::time::Duration;

use medforge_runtime::classify as found;

use super::structs::{Abstain, Classification, Code};
use crate::image::Shown;
use crate::last_error::Failure;
use crate::strings::owned;

/// A classification with what its struct points to.
pub(super) struct Kept {
    found: found::Classification,
    pub(super) map: Option<found::Map>,
    task: CString,
    names: Texts,
    codes: Vec<Code>,
    _code_texts: Texts,
    bundle: CString,
    composition: CString,
    device: CString,
    modules: Texts,
    weights: Vec<f64>,
    signers: Texts,
    sha256: CString,
    notes: Texts,
    pub(super) json: CString,
}

/// C strings and where they are.
struct Texts {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers are into what lies beside them, which never changes.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

impl Kept {
    pub(super) fn new(
        found: found::Classification,
        map: Option<found::Map>,
        shown: &Shown,
    ) -> Result<Self, Failure> {
        let json = owned(&found.record(&shown.sha256, &shown.notes)?);
        let code_texts = Texts::of(
            found.codes.iter().flat_map(|code| [&code.scheme, &code.value, &code.meaning]),
        );
        let codes = code_texts.pointers.as_chunks::<3>().0.iter();
        let codes =
            codes.map(|&[scheme, value, meaning]| Code { scheme, value, meaning }).collect();
        Ok(Kept {
            task: owned(&found.task),
            names: Texts::of(found.classes.iter()),
            codes,
            _code_texts: code_texts,
            bundle: owned(&found.bundle),
            composition: owned(&found.composition),
            device: owned(&found.device_uid()),
            modules: Texts::of(found.modules.iter().map(|module| &module.id)),
            weights: found.modules.iter().map(|module| module.weight).collect(),
            signers: Texts::of(found.signers.iter()),
            sha256: owned(&shown.sha256),
            notes: Texts::of(shown.notes.iter()),
            json,
            map,
            found,
        })
    }

    /// The struct, which points into this.
    pub(super) fn view(&self) -> Classification {
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Classification {
            struct_size: 0,
            task: self.task.as_ptr(),
            class_count: self.found.probabilities.len(),
            class_names: self.names.pointers.as_ptr(),
            class_codes: if self.codes.is_empty() { null() } else { self.codes.as_ptr() },
            probabilities: self.found.probabilities.as_ptr(),
            top: self.found.top().0,
            bundle_id: self.bundle.as_ptr(),
            composition_id: self.composition.as_ptr(),
            device_uid: self.device.as_ptr(),
            module_count: self.weights.len(),
            module_ids: self.modules.pointers.as_ptr(),
            module_weights: self.weights.as_ptr(),
            signer_count: self.signers.pointers.len(),
            signers: self.signers.pointers.as_ptr(),
            pixels_sha256: self.sha256.as_ptr(),
            preprocessing_ns: ns(self.found.times.preprocessing),
            base_ns: ns(self.found.times.base),
            json: self.json.as_ptr(),
            calibrated: i32::from(self.found.assessment.is_some()),
            abstain: match self.found.abstains() {
                None => Abstain::None,
                Some(found::Abstain::Unfamiliar) => Abstain::Unfamiliar,
                Some(found::Abstain::Unsure) => Abstain::Unsure,
            },
            ood_score: self.found.assessment.map_or(0.0, |assessment| assessment.score),
            ood_threshold: self.found.assessment.map_or(0.0, |assessment| assessment.threshold),
            note_count: self.notes.pointers.len(),
            notes: self.notes.pointers.as_ptr(),
        }
    }
}

impl Texts {
    fn of<'a>(texts: impl Iterator<Item = &'a String>) -> Self {
        let owned: Vec<_> = texts.map(|text| owned(text)).collect();
        let pointers = owned.iter().map(|text| text.as_ptr()).collect();
        Texts { _owned: owned, pointers }
    }
}
