//! Opening, adding, replacing and unloading bundles: whom to trust, what the device remembers, what
//! time it is, how to run; defaults that change; and trust files that follow one another.

use std::ffi::c_char;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::num::NonZeroUsize;
use std::path::Path;

use medforge_runtime::bundle::frame::LIMITS;
use medforge_runtime::bundle::{self, Bytes, LONGEST_TRUST, Moment, State, Trust, VerifiedBundle};
use medforge_runtime::classify::{self, Cost, Precision, Spread, Threads};

use crate::classifier::{Classifier, opened};
use crate::growing::{self, Growing};
use crate::last_error::{Failure, guard};
use crate::log::{Level, log};
use crate::pointer::{input, optional, output, read, slice, text};
use crate::selection::{self, Selection};
use crate::status::Status;

/// Whom to trust and how to run. Zero it, set struct_size to sizeof(medforge_open_options), then
/// what is wanted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OpenOptions {
    /// sizeof(medforge_open_options): what lies beyond it is not read.
    pub struct_size: usize,
    /// The public key or keys (SPKI PEM), or the trust file (TOML). This or trust_data must be
    /// given.
    pub trust_path: *const c_char,
    /// What this device remembers, so that older bundles are refused: read if it is there, written
    /// when a bundle was opened. Threads and processes take turns, by a lock on a file beside it,
    /// of the same name and `.lock`, which stays. NULL: nothing.
    pub state_path: *const c_char,
    /// The time, UTC, such as "2026-01-31T23:59:59Z". NULL, on a device without a clock: no time is
    /// looked at.
    pub now: *const c_char,
    /// The same as what trust_path names, in memory. NULL: there is a path.
    pub trust_data: *const u8,
    /// Bytes of trust_data.
    pub trust_length: usize,
    /// Threads of the classifier's own that classify, at most four for each processor. 0: none,
    /// calls run on their caller's thread.
    pub threads: u32,
    /// Not 0: each of those threads takes whole images, where a call has several. 0: all share each
    /// image.
    pub spread_images: u32,
    /// Not 0: in eight bits, if the bundle was measured so.
    pub int8: u32,
    /// Bytes of memory that bundles may ask for: the file, weights, modules and what a call of one
    /// image computes with, known before anything is loaded. More is MEDFORGE_RESULT_TOO_COSTLY.
    /// Not counted: images as they are given and as they are resized, and what medforge_replace
    /// takes the place of. medforge_add and medforge_replace keep to what the classifier was opened
    /// with, in this and the next. 0: four times what the largest base that is known has in memory,
    /// 32,000,000,000.
    pub most_bytes: u64,
    /// Multiply-adds that bundles may ask for, for one image; their golden vectors may take 16
    /// times as many. 0: likewise, 7,200,000,000,000.
    pub most_operations: u64,
}

// SAFETY: C layout, the size first, and zeros are numbers and NULL.
unsafe impl Growing for OpenOptions {
    const LEAST: usize = 4 * size_of::<usize>();
}

/// A bundle in memory or in a file. Zero it, set struct_size to sizeof(medforge_source), then path
/// or data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Source {
    /// sizeof(medforge_source): what lies beyond it is not read.
    pub struct_size: usize,
    /// A file. NULL: data is given.
    pub path: *const c_char,
    /// The bundle's bytes, of a buffer or a mapping; they are copied while it is verified, and not
    /// needed after the call.
    pub data: *const u8,
    /// Bytes of data.
    pub length: usize,
}

// SAFETY: C layout, the size first, and zeros are numbers and NULL.
unsafe impl Growing for Source {
    const LEAST: usize = size_of::<Source>();
}

/// Verifies the bundle in the file `bundle_path` against the public key or keys (SPKI PEM), or the
/// trust file (TOML), in the file `trust_path`, loads it and checks this device against its golden
/// vectors. No time is looked at and nothing is remembered: medforge_open_with does both.
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
        let (bundle_path, _) =
            unsafe { (text(bundle_path, "bundle_path")?, text(trust_path, "trust_path")?) };
        let classifier = output(classifier, "classifier")?;
        let options = OpenOptions { trust_path, ..OpenOptions::new() };
        // SAFETY: the caller's promise for the path of the trust file.
        let opened = unsafe {
            open(
                || whole(bundle_path),
                &options,
                |bundle, running| Ok(classify::Classifier::load_with(&bundle, running)?),
            )?
        };
        // SAFETY: not NULL, and the caller promises that it can be written.
        unsafe { classifier.write(Box::into_raw(Box::new(Classifier::new(opened)))) };
        Ok(())
    })
}

/// Verifies and loads a bundle as `options` say, and checks this device against its golden vectors.
///
/// # Safety
/// `source` and `options` point to structs that begin with their sizes and whose pointers are NULL
/// or point to what their fields say; `classifier` points to a writable pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_open_with(
    source: *const Source,
    options: *const OpenOptions,
    classifier: *mut *mut Classifier,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let (source, options) =
                (growing::read(source, "source")?, growing::read(options, "options")?);
            let classifier = output(classifier, "classifier")?;
            let opened = open(
                || bytes(&source),
                &options,
                |bundle, running| Ok(classify::Classifier::load_with(&bundle, running)?),
            )?;
            classifier.write(Box::into_raw(Box::new(Classifier::new(opened))));
        }
        Ok(())
    })
}

/// Adds the modules and tasks of a bundle with the same base to an open classifier, while other
/// threads classify. How it runs stays as it was opened.
///
/// # Safety
/// `classifier` is open; `source` and `options` as for medforge_open_with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_add(
    classifier: *const Classifier,
    source: *const Source,
    options: *const OpenOptions,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { changed(classifier, source, options, classify::Classifier::add) }
}

/// Goes on with another bundle alone, while other threads classify; a base that is the same stays
/// as it is in memory.
///
/// # Safety
/// As for medforge_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_replace(
    classifier: *const Classifier,
    source: *const Source,
    options: *const OpenOptions,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { changed(classifier, source, options, classify::Classifier::replace) }
}

/// Lets go of a bundle: of its tasks, and of modules that no other bundle brought. Calls under way
/// finish with them.
///
/// # Safety
/// `classifier` is open; `bundle` is a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_unload(
    classifier: *const Classifier,
    bundle: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        let (classifier, bundle) = unsafe { (opened(classifier)?, text(bundle, "bundle")?) };
        classifier.classifier.unload(bundle)?;
        log(Level::Info, || format!("bundle {bundle} was unloaded"));
        Ok(())
    })
}

/// What `task` runs with from now on where a call says nothing else.
///
/// # Safety
/// `classifier` is open; `task` is a NUL-terminated string; `selection` points to a selection with
/// as many modules and weights as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_set_default(
    classifier: *const Classifier,
    task: *const c_char,
    selection: *const Selection,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = opened(classifier)?;
            let (task, selection) =
                (text(task, "task")?, selection::selection(input(selection, "selection")?)?);
            classifier.classifier.set_default(task, &selection)?;
            log(Level::Info, || format!("task {task} runs with {selection:?}"));
        }
        Ok(())
    })
}

/// Whether the trust file `next_path`, with its signatures, may take the place of `trust_path` at
/// the time `now` (NULL: no time is looked at). No file is changed: the caller replaces it.
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
        trust.successor(
            &read(next, LONGEST_TRUST)?,
            &read(signatures, LIMITS.json)?,
            now.map(moment).transpose()?,
        )?;
        Ok(())
    })
}

/// The most threads for each processor.
const MOST_THREADS: usize = 4;

/// The longest state file that is read, in bytes.
const LONGEST_STATE: usize = 4 << 20;

/// Verifies what `read` gives as `options` say, hands it with how to run to `used`, and remembers
/// it if that went well.
///
/// # Safety
/// Every pointer of `options` is NULL or points to what its field says.
pub unsafe fn open<T>(
    read_bundle: impl FnOnce() -> Result<Bytes, Failure>,
    options: &OpenOptions,
    used: impl FnOnce(VerifiedBundle, classify::Options) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // SAFETY: the caller's promise.
    let (trust, state) =
        unsafe { (trust(options)?, optional(options.state_path, "options.state_path")?) };
    let running = classify::Options {
        threads: threads(options.threads)?,
        spread: if options.spread_images != 0 { Spread::Images } else { Spread::Layers },
        precision: if options.int8 != 0 { Precision::Int8 } else { Precision::F32 },
        most: most(options),
    };
    let said = |bundle: &VerifiedBundle| {
        let (id, manifest) = (bundle.id().to_owned(), bundle.manifest());
        format!("bundle {id}, {} version {}, was accepted", manifest.name, manifest.counter)
    };
    let Some(path) = state else {
        let bundle = bundle::verify(read_bundle()?, &trust)?;
        let line = said(&bundle);
        let result = used(bundle, running)?;
        log(Level::Info, || line);
        return Ok(result);
    };
    let _alone = Alone::with(path)?;
    // Only a file that is not there means a device that has accepted nothing; one that cannot be
    // read does not.
    let before = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => State::default(),
        _ => State::from_bytes(&read(path, LONGEST_STATE)?)?,
    };
    let (bundle, next) = bundle::verify_newer(read_bundle()?, &trust, &before)?;
    let line = said(&bundle);
    let result = used(bundle, running)?;
    if next != before {
        replace(path, &next.to_bytes()?).map_err(|error| {
            Failure::new(Status::Io, format!("{path}: it cannot be written: {error}"))
        })?;
    }
    log(Level::Info, || line);
    Ok(result)
}

/// Whoever has it may read a state file and write what follows from it: one thread of one process.
/// The system keeps the lock, on a file beside it, so that no child of `fork()` waits for a thread
/// that it does not have.
struct Alone(Option<File>);

impl Alone {
    fn with(path: &str) -> Result<Self, Failure> {
        let beside = format!("{path}.lock");
        let failed =
            |error| Failure::new(Status::Io, format!("{beside}: it cannot be locked: {error}"));
        match File::options().create(true).truncate(false).write(true).open(&beside) {
            // Where it cannot be made, no state can be written either.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Ok(Alone(None))
            }
            Err(error) => Err(failed(error)),
            Ok(file) => file.lock().map(|()| Alone(Some(file))).map_err(failed),
        }
    }
}

impl Drop for Alone {
    /// In words: a child of `fork()` has the file open too, and closing it here would not be
    /// enough.
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            let _ = file.unlock();
        }
    }
}

/// The threads that were asked for; more than [`MOST_THREADS`] a processor would take memory and
/// time from the program, and help nobody.
fn threads(asked: u32) -> Result<Threads, Failure> {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let most = processors * MOST_THREADS;
    match NonZeroUsize::new(asked as usize) {
        None => Ok(Threads::Caller),
        Some(count) if count.get() <= most => Ok(Threads::Own(count)),
        Some(count) => {
            let what = format!(
                "options.threads is {count}, and {most} at most make sense here ({processors} \
                 processors)"
            );
            Err(Failure::new(Status::OutOfRange, what))
        }
    }
}

/// What bundles may ask for; what is 0 is the runtime's own.
fn most(options: &OpenOptions) -> Cost {
    let default = Cost::default();
    let or = |given: u64, default: u64| if given == 0 { default } else { given };
    Cost {
        bytes: or(options.most_bytes, default.bytes),
        operations: or(options.most_operations, default.operations),
    }
}

/// # Safety
/// As for [`open`].
unsafe fn trust(options: &OpenOptions) -> Result<Trust, Failure> {
    // SAFETY: the caller's promise.
    let (path, now) = unsafe {
        (optional(options.trust_path, "options.trust_path")?, optional(options.now, "options.now")?)
    };
    let trust = match path {
        Some(path) => Trust::read(&read(path, LONGEST_TRUST)?)?,
        None => {
            let data =
                input(options.trust_data, "options.trust_path, and options.trust_data too,")?;
            // SAFETY: not NULL, and the caller promises as many bytes.
            Trust::read(unsafe { slice(data, options.trust_length, "options.trust_length")? })?
        }
    };
    Ok(match now {
        Some(now) => trust.at(moment(now)?)?,
        None => trust,
    })
}

/// The bytes of a bundle.
///
/// # Safety
/// Every pointer of `source` is NULL or points to what its field says.
pub unsafe fn bytes(source: &Source) -> Result<Bytes, Failure> {
    // SAFETY: the caller's promise.
    match unsafe { optional(source.path, "source.path")? } {
        Some(path) => whole(path),
        None => {
            let data = input(source.data, "source.path, and source.data too,")?;
            // SAFETY: not NULL, and the caller promises as many bytes.
            Ok(unsafe { slice(data, source.length, "source.length")? }.to_vec().into())
        }
    }
}

/// # Safety
/// As for medforge_add.
unsafe fn changed<F>(
    classifier: *const Classifier,
    source: *const Source,
    options: *const OpenOptions,
    change: F,
) -> Status
where
    F: FnOnce(&classify::Classifier, VerifiedBundle) -> Result<(), medforge_runtime::Error>,
{
    guard(|| {
        // SAFETY: the caller's promise for each argument.
        unsafe {
            let classifier = opened(classifier)?;
            let (source, options) =
                (growing::read(source, "source")?, growing::read(options, "options")?);
            open(
                || bytes(&source),
                &options,
                |bundle, _| Ok(change(&classifier.classifier, bundle)?),
            )
        }
    })
}

fn whole(path: &str) -> Result<Bytes, Failure> {
    Bytes::read(Path::new(path))
        .map_err(|error| Failure::new(Status::Io, format!("{path}: {error}")))
}

fn moment(text: &str) -> Result<Moment, Failure> {
    Moment::try_from(text.to_owned()).map_err(|what| Failure::new(Status::OutOfRange, what))
}

/// Writes beside the file, flushes, and renames: whatever happens, the old state or the new one is
/// there.
fn replace(path: &str, bytes: &[u8]) -> std::io::Result<()> {
    let beside = format!("{path}.new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    match Path::new(path).parent() {
        // Folders are flushed where the system can: not on Windows.
        Some(folder) if cfg!(unix) && folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
