//! Verifying a bundle without running it, and what it says of itself.

use std::ffi::{CString, c_char};

use medforge_runtime::bundle::VerifiedBundle;
use medforge_runtime::bundle::frame::LIMITS;
use medforge_runtime::image::MAX_PIXELS;
use serde_json::json;

use crate::growing::{self, Growing};
use crate::last_error::guard;
use crate::open::{self, OpenOptions, Source};
use crate::pointer::{object, output};
use crate::status::Status;
use crate::strings::owned;

/// What a verified bundle says of itself, and who signed it.
pub struct Report {
    id: CString,
    name: CString,
    created: CString,
    intended_use: CString,
    json: CString,
    counter: u64,
    signers: Vec<CString>,
    pointers: Vec<*const c_char>,
    tasks: usize,
    modules: usize,
}

/// A report as a struct. Everything it points to lives until the report is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ReportView {
    /// sizeof(medforge_report_view), set before the call: what lies beyond it is not written.
    pub struct_size: usize,
    /// SHA-256 of the manifest, 64 hex digits.
    pub id: *const c_char,
    /// What people call the bundle.
    pub name: *const c_char,
    /// Counts the releases of this name.
    pub counter: u64,
    /// When it was packed, UTC.
    pub created: *const c_char,
    /// For whom and what it is made.
    pub intended_use: *const c_char,
    /// Tasks.
    pub task_count: usize,
    /// Modules.
    pub module_count: usize,
    /// Trusted keys that signed.
    pub signer_count: usize,
    /// Those public keys, in hex.
    pub signers: *const *const c_char,
    /// All of this with the whole manifest, as canonical JSON (RFC 8785).
    pub json: *const c_char,
}

// SAFETY: C layout, the size first, and zeros are numbers and NULL.
unsafe impl Growing for ReportView {
    const LEAST: usize = size_of::<ReportView>();
}

/// What is refused for its size alone.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Limits {
    /// sizeof(medforge_limits), set before the call: what lies beyond it is not written.
    pub struct_size: usize,
    /// Bytes of a bundle.
    pub bundle: u64,
    /// Pixels of an image.
    pub pixels: u64,
    /// Entries of a bundle.
    pub entries: u64,
    /// Signatures of a bundle.
    pub signatures: u64,
}

// SAFETY: C layout, the size first, and zeros are numbers.
unsafe impl Growing for Limits {
    const LEAST: usize = size_of::<Limits>();
}

/// Verifies a bundle as `options` say and loads nothing. The frame, signatures, trust, manifest and
/// every byte are checked; the golden vectors are not run. With options->state_path older bundles
/// are refused, and this one is remembered.
///
/// # Safety
/// As for medforge_open_with; `report` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_verify(
    source: *const Source,
    options: *const OpenOptions,
    report: *mut *mut Report,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let (source, options) =
                (growing::read(source, "source")?, growing::read(options, "options")?);
            let report = output(report, "report")?;
            let made = open::open(
                || open::bytes(&source),
                &options,
                |bundle, _| Ok(Report::new(&bundle)),
            )?;
            report.write(Box::into_raw(Box::new(made)));
        }
        Ok(())
    })
}

/// The report as a struct.
///
/// # Safety
/// `report` came from medforge_verify and is not freed; `view` points to a struct that begins with
/// its size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_report_get(
    report: *const Report,
    view: *mut ReportView,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let report = object(report, "report")?;
            let known = growing::room(view, "view")?;
            growing::write(&report.view(), view, known);
        }
        Ok(())
    })
}

/// Frees a report. NULL is allowed.
///
/// # Safety
/// `report` is NULL or came from medforge_verify, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_report_free(report: *mut Report) {
    if !report.is_null() {
        // SAFETY: it came from Box::into_raw, and the caller gives it up.
        drop(unsafe { Box::from_raw(report) });
    }
}

/// What is refused for its size alone.
///
/// # Safety
/// `limits` points to a struct that begins with its size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_limits_get(limits: *mut Limits) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe {
            let known = growing::room(limits, "limits")?;
            let all = Limits {
                bundle: LIMITS.bundle as u64,
                pixels: MAX_PIXELS,
                entries: LIMITS.entries as u64,
                signatures: LIMITS.signatures as u64,
                ..Limits::new()
            };
            growing::write(&all, limits, known);
        }
        Ok(())
    })
}

impl Report {
    fn new(bundle: &VerifiedBundle) -> Self {
        let manifest = bundle.manifest();
        let signers: Vec<String> =
            bundle.signers().iter().map(|key| hex::encode(key.as_bytes())).collect();
        let json = json!({ "id": bundle.id(), "signers": signers, "manifest": manifest });
        let json = serde_json_canonicalizer::to_string(&json).unwrap_or_default();
        let signers: Vec<_> = signers.iter().map(|signer| owned(signer)).collect();
        Report {
            id: owned(bundle.id()),
            name: owned(&manifest.name),
            created: owned(&manifest.created),
            intended_use: owned(&manifest.intended_use),
            json: owned(&json),
            counter: manifest.counter,
            pointers: signers.iter().map(|signer| signer.as_ptr()).collect(),
            signers,
            tasks: manifest.heads.len(),
            modules: manifest.modules.len(),
        }
    }

    fn view(&self) -> ReportView {
        ReportView {
            id: self.id.as_ptr(),
            name: self.name.as_ptr(),
            counter: self.counter,
            created: self.created.as_ptr(),
            intended_use: self.intended_use.as_ptr(),
            task_count: self.tasks,
            module_count: self.modules,
            signer_count: self.signers.len(),
            signers: self.pointers.as_ptr(),
            json: self.json.as_ptr(),
            ..ReportView::new()
        }
    }
}
