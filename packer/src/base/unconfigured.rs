//! Bases without a `config.json` of Hugging Face's or timm's: which of the other readers knows
//! them.

use std::io::ErrorKind;
use std::path::Path;

use super::choices::Choices;
use super::file::File;
use super::weight_files::WeightMap;
use super::{facebook, open_clip, timm};
use crate::Error;

/// The base in `place`, a folder or the file of weights in one, whose files `file` gives by name.
/// None if its `config.json` is to say what it is.
pub fn read(
    place: &Path,
    file: &impl Fn(&str) -> Result<Vec<u8>, Error>,
    choices: &Choices,
) -> Result<Option<timm::Read>, Error> {
    let dir = place.parent().filter(|_| place.is_file()).unwrap_or(place);
    let there = |name: &str| match file(name) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some),
    };
    let config = there(CONFIG)?;
    if let Some(bytes) = &config {
        let parsed = File::parse(dir.join(CONFIG), bytes)?;
        if parsed.has("model_type") || parsed.has("architecture") {
            return Ok(None);
        }
    }
    Ok(Some(match there(open_clip::FILE)? {
        Some(bytes) => {
            open_clip::read(dir.join(open_clip::FILE), &bytes, &WeightMap::at(place)?, choices)?
        }
        None if config.is_some() => return Ok(None),
        None => match WeightMap::at(place) {
            Ok(weights) if facebook::wrote(&weights) => facebook::read(&weights, choices)?,
            // Which of several files is meant comes before what they are.
            Err(error) if place.is_file() || matches!(error, Error::Config { .. }) => {
                return Err(error);
            }
            _ => return Ok(None),
        },
    }))
}

const CONFIG: &str = "config.json";
