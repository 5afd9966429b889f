//! `run.json`: when a module or merged model was made, and how fast. The bytes of its other files
//! depend on the inputs only.

use std::io::ErrorKind;
use std::path::Path;

use medforge_runtime::words::shown;
use serde::{Deserialize, Serialize};

use crate::{Error, output};

/// The facts that differ between two runs with the same result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// RFC 3339, UTC, whole seconds.
    pub created: Option<String>,
    /// Training images per second, and per second of processor time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images_per_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images_per_cpu_s: Option<f64>,
}

impl Run {
    pub const FILE: &str = "run.json";

    /// A run that ends now.
    pub fn now() -> Self {
        Run { created: Some(output::now()), ..Run::default() }
    }

    /// Reads the file in the folder `place`. A missing file gives a run without facts.
    pub fn read(
        place: &Path,
        file: impl Fn(&str) -> Result<Vec<u8>, Error>,
    ) -> Result<Self, Error> {
        let bytes = match file(Self::FILE) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(Run::default());
            }
            bytes => bytes?,
        };
        let refuse = |error: serde_json::Error| {
            let what = format!("does not say when it was: {}", shown(&error.to_string()));
            Error::Config { path: place.join(Self::FILE), what }
        };
        serde_json::from_slice(&bytes).map_err(refuse)
    }

    /// The file's bytes; none for a run without facts.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let known = *self != Run::default();
        known.then(|| {
            format!("{}\n", serde_json::to_string_pretty(self).expect("a run is plain data"))
                .into_bytes()
        })
    }
}
