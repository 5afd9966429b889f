//! Whom a command trusts and what it remembers, the same options wherever a bundle is verified.

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
    /// Whom to trust at this moment, asked for once.
    pub fn trust(&self) -> Result<Trust, Error> {
        read_trust_at(&self.trust, moment(self.now.as_deref())?)
    }

    /// Refuses `--state` for a command that does not find out whether the bundle runs here.
    pub fn forgets(&self) -> Result<(), Error> {
        match &self.state {
            None => Ok(()),
            Some(_) => Err(Error::Option {
                name: "--state",
                what: "is for commands that run the golden vectors".into(),
            }),
        }
    }

    /// The bundle at `path`, verified, and with `--state` no older than what was accepted before;
    /// `used` makes of it what the command is for, and only if that goes well the bundle is
    /// remembered.
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
        // Only a file that is not there means a device that has accepted nothing; one that cannot
        // be read does not.
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Some(State::default()))
            }
            _ => Ok(Some(State::from_bytes(&input::read(path, LONGEST_STATE)?)?)),
        }
    }
}

/// What `--now` says; none on a device without a clock. The clock is read here, once.
pub fn moment(now: Option<&str>) -> Result<Option<Moment>, Error> {
    let text = match now {
        Some("unknown") => return Ok(None),
        Some(text) => text.to_owned(),
        None => output::now(),
    };
    Moment::try_from(text).map(Some).map_err(|what| Error::Option { name: "--now", what })
}

/// The trust file at `path`, at this moment.
pub fn read_trust_at(path: &Path, now: Option<Moment>) -> Result<Trust, Error> {
    let trust = keys::read_trust(path)?;
    let Some(now) = now else { return Ok(trust) };
    trust.at(now).map_err(|source| Error::TrustFile { path: path.to_owned(), source })
}
