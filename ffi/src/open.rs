//! Opening a bundle: whom to trust, what the device remembers, what time it is; and trust files that follow one another.

use std::ffi::c_char;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use medforge_runtime::bundle::frame::LIMITS;
use medforge_runtime::bundle::{self, Bytes, LONGEST_TRUST, Moment, State, Trust};
use medforge_runtime::classify;

use crate::classifier::Classifier;
use crate::last_error::{Failure, guard};
use crate::pointer::{input, optional, output, read, text};
use crate::status::Status;

/// How to open a bundle. Zero it, set struct_size to sizeof(medforge_open_options), then what is wanted.
#[repr(C)]
pub struct OpenOptions {
    /// sizeof(medforge_open_options): what lies beyond it is not read.
    pub struct_size: usize,
    /// The public key or keys (SPKI PEM), or the trust file (TOML). Not NULL.
    pub trust_path: *const c_char,
    /// What this device remembers, so that older bundles are refused: read if it is there, written when a bundle was opened. Threads take
    /// turns; two processes must not share one. NULL: nothing.
    pub state_path: *const c_char,
    /// The time, UTC, such as "2026-01-31T23:59:59Z". NULL, on a device without a clock: no time is looked at.
    pub now: *const c_char,
}

/// Verifies the bundle in the file `bundle_path` against the public key or keys (SPKI PEM), or the trust file (TOML), in the file
/// `trust_path`, loads it and checks this device against its golden vectors. No time is looked at and nothing is remembered:
/// medforge_open_with does both.
///
/// # Safety
/// Both paths are NUL-terminated strings; `classifier` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_open(
    bundle_path: *const c_char,
    trust_path: *const c_char,
    classifier: *mut *mut Classifier,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        let (bundle_path, trust_path) = unsafe { (text(bundle_path, "bundle_path")?, text(trust_path, "trust_path")?) };
        let classifier = output(classifier, "classifier")?;
        let opened = open(bundle_path, trust_path, None, None)?;
        // SAFETY: not NULL, and the caller promises that it can be written.
        unsafe { classifier.write(Box::into_raw(Box::new(opened))) };
        Ok(())
    })
}

/// Verifies and loads the bundle in the file `bundle_path` as `options` say, and checks this device against its golden vectors.
///
/// # Safety
/// `bundle_path` and every path and time of `options` are NUL-terminated strings, or NULL where that is allowed; `options` points to
/// struct_size readable bytes; `classifier` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_open_with(
    bundle_path: *const c_char,
    options: *const OpenOptions,
    classifier: *mut *mut Classifier,
) -> Status {
    guard(|| {
        let options = input(options, "options")?;
        // SAFETY: not NULL; every caller's struct begins with its size.
        let size = unsafe { options.cast::<usize>().read() };
        if size < size_of::<OpenOptions>() {
            return Err(Failure::new(
                Status::OutOfRange,
                format!("options.struct_size is {size}: set it before the call"),
            ));
        }
        // SAFETY: the caller's promise for each argument; the struct is as large as it says.
        let (bundle_path, trust_path, state_path, now) = unsafe {
            let options = &*options;
            (
                text(bundle_path, "bundle_path")?,
                text(options.trust_path, "options.trust_path")?,
                optional(options.state_path, "options.state_path")?,
                optional(options.now, "options.now")?,
            )
        };
        let classifier = output(classifier, "classifier")?;
        let opened = open(bundle_path, trust_path, state_path, now)?;
        // SAFETY: not NULL, and the caller promises that it can be written.
        unsafe { classifier.write(Box::into_raw(Box::new(opened))) };
        Ok(())
    })
}

/// Whether the trust file `next_path`, with its signatures, may take the place of `trust_path` at the time `now` (NULL: no time is looked at).
/// No file is changed: the caller replaces it.
///
/// # Safety
/// All paths are NUL-terminated strings; `now` is one or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_trust_follows(
    trust_path: *const c_char,
    next_path: *const c_char,
    signatures_path: *const c_char,
    now: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        let (trust, next, signatures, now) = unsafe {
            (
                text(trust_path, "trust_path")?,
                text(next_path, "next_path")?,
                text(signatures_path, "signatures_path")?,
                optional(now, "now")?,
            )
        };
        let trust = Trust::read(&read(trust, LONGEST_TRUST)?)?;
        trust.successor(&read(next, LONGEST_TRUST)?, &read(signatures, LIMITS.json)?, now.map(moment).transpose()?)?;
        Ok(())
    })
}

/// The longest state file that is read, in bytes.
const LONGEST_STATE: usize = 4 << 20;

fn open(bundle: &str, trust: &str, state: Option<&str>, now: Option<&str>) -> Result<Classifier, Failure> {
    let mut trust = Trust::read(&read(trust, LONGEST_TRUST)?)?;
    if let Some(now) = now {
        trust = trust.at(moment(now)?)?;
    }
    let Some(path) = state else {
        return Classifier::new(classify::Classifier::load(bundle::verify(whole(bundle)?, &trust)?)?);
    };
    // Two threads that read the same state must not both write what follows from it.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Only a file that is not there means a device that has accepted nothing; one that cannot be read does not.
    let before = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::default(),
        _ => State::from_bytes(&read(path, LONGEST_STATE)?)?,
    };
    let (verified, next) = bundle::verify_newer(whole(bundle)?, &trust, &before)?;
    let classifier = Classifier::new(classify::Classifier::load(verified)?)?;
    if next != before {
        replace(path, &next.to_bytes()?)
            .map_err(|error| Failure::new(Status::Io, format!("{path}: it cannot be written: {error}")))?;
    }
    Ok(classifier)
}

fn whole(path: &str) -> Result<Bytes, Failure> {
    Bytes::read(Path::new(path)).map_err(|error| Failure::new(Status::Io, format!("{path}: {error}")))
}

fn moment(text: &str) -> Result<Moment, Failure> {
    Moment::try_from(text.to_owned()).map_err(|what| Failure::new(Status::OutOfRange, what))
}

/// Writes beside the file, flushes, and renames: whatever happens, the old state or the new one is there.
fn replace(path: &str, bytes: &[u8]) -> std::io::Result<()> {
    let beside = format!("{path}.new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    match Path::new(path).parent() {
        // Folders are flushed where the system can: not on Windows.
        Some(folder) if cfg!(unix) && folder.as_os_str().is_empty() => std::fs::File::open(".")?.sync_all(),
        Some(folder) if cfg!(unix) => std::fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
