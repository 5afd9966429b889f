//! Bundles accepted as options say: verified, remembered, and used with the threads and within the
//! cost that were asked for.

use std::num::NonZeroUsize;
use std::path::Path;

use medforge_runtime::bundle::{self, Bytes, LONGEST_TRUST, Moment, Trust, VerifiedBundle};
use medforge_runtime::classify::{self, Cost, Precision, Spread, Threads};

use super::options::{OpenOptions, Source};
use super::state::{Alone, remembered, replace};
use crate::last_error::Failure;
use crate::log::{Level, log};
use crate::pointer::{input, optional, read, slice};
use crate::status::Status;

/// The most threads for each processor.
const MOST_THREADS: usize = 4;

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
    let before = remembered(path)?;
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

/// The bundle in the file at `path`.
pub fn whole(path: &str) -> Result<Bytes, Failure> {
    Bytes::read(Path::new(path))
        .map_err(|error| Failure::new(Status::Io, format!("{path}: {error}")))
}

/// A moment from its text.
pub fn moment(text: &str) -> Result<Moment, Failure> {
    Moment::try_from(text.to_owned()).map_err(|what| Failure::new(Status::OutOfRange, what))
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
