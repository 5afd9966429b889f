//! Whom a command trusts and what it remembers: the options of every command that verifies.

use std::path::{Path, PathBuf};

use medforge_runtime::bundle::{Bytes, Moment, State, Trust, VerifiedBundle, verify, verify_newer};

use crate::export::keys;
use crate::output::Places;
use crate::{Error, input, output};

#[derive(clap::Args)]
pub struct TrustArgs {
    /// A trust file, or public keys in PEM of which one must have signed
    #[arg(long, value_name = "FILE")]
    pub trust: PathBuf,
    /// What this device remembers: the newest version of each bundle that it accepted. Older ones
    /// are refused; made if it is not there
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The time to check by, such as 2026-01-31T23:59:59Z, or `unknown` on a device without a clock
    /// [default: this machine's clock]
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
}

/// The longest state file that is read, in bytes: some ten thousand bundles.
const LONGEST_STATE: u64 = 4 << 20;

impl TrustArgs {
    /// Whom to trust now. The clock is read once.
    pub fn trust(&self) -> Result<Trust, Error> {
        read_trust_at(&self.trust, moment(self.now.as_deref())?)
    }

    /// Refuses `--state` where a command does not test that the bundle runs here.
    pub fn forgets(&self) -> Result<(), Error> {
        match &self.state {
            None => Ok(()),
            Some(_) => Err(Error::Option {
                name: "--state",
                what: "is for commands that run the golden vectors".into(),
            }),
        }
    }

    /// Verifies the bundle at `path` and hands it to `used`. With `--state` it must not be older
    /// than the bundle accepted before, and it is remembered once `used` succeeds.
    pub fn open<T>(
        &self,
        path: &Path,
        places: &Places,
        used: impl FnOnce(VerifiedBundle, &Trust) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let state = self.state.as_ref().map(|path| places.updated("--state", path)).transpose()?;
        let trust = self.trust()?;
        let before = self.before()?;
        let bytes = Bytes::read_on_two_threads(path).map_err(|error| Error::io(path, error))?;
        let Some(before) = before else { return used(verify(bytes, &trust)?, &trust) };
        let (bundle, next) = verify_newer(bytes, &trust, &before)?;
        let result = used(bundle, &trust)?;
        if let Some(state) = state.filter(|_| next != before) {
            state.write(&next.to_bytes()?)?;
        }
        Ok(result)
    }

    fn before(&self) -> Result<Option<State>, Error> {
        let Some(path) = &self.state else { return Ok(None) };
        // A missing file means that nothing was accepted yet. One that cannot be read does not.
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Some(State::default()))
            }
            _ => Ok(Some(State::from_bytes(&input::read(path, LONGEST_STATE)?)?)),
        }
    }
}

/// The time that `--now` says, or the clock's; none on a device without a clock.
pub fn moment(now: Option<&str>) -> Result<Option<Moment>, Error> {
    let text = match now {
        Some("unknown") => return Ok(None),
        Some(text) => text.to_owned(),
        None => output::now(),
    };
    Moment::try_from(text).map(Some).map_err(|what| Error::Option { name: "--now", what })
}

/// The trust file at `path`, as it holds now.
pub fn read_trust_at(path: &Path, now: Option<Moment>) -> Result<Trust, Error> {
    let trust = keys::read_trust(path)?;
    let Some(now) = now else { return Ok(trust) };
    trust.at(now).map_err(|source| Error::TrustFile { path: path.to_owned(), source })
}
