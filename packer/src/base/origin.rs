//! What a base's files say beside the base itself: who may use it, how its weights are stored, and
//! what was decided in reading it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use medforge_runtime::words::shown;
use serde::Serialize;

use super::file::File;
use super::timm;
use super::weight_files::WeightMap;
use crate::{Error, input};

/// Where a base comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// The file of the weights, or the index of several.
    pub weights: PathBuf,
    /// Bytes of all tensors.
    pub bytes: u64,
    /// Values by the type that they are stored in.
    pub types: BTreeMap<String, u64>,
    /// The licence, if anything beside the weights says one.
    pub licence: Option<Licence>,
    /// Of a folder of timm: what of an image is seen.
    pub crop: Option<Crop>,
    /// Whether there is a head that pools by attention.
    #[serde(skip)]
    pub attention: bool,
}

/// A licence, and the file that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Licence {
    pub name: String,
    pub file: String,
}

/// The share of an image's shorter side that is seen, and whether `config.json` says so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Crop {
    pub share: f64,
    pub said: bool,
}

impl Origin {
    /// What the files of `place`, a folder or one of its files of weights, say.
    ///
    /// # Errors
    /// Those of reading the weights' names, and of a `config.json` that is no JSON.
    pub fn of(place: &Path) -> Result<Self, Error> {
        let weights = WeightMap::at(place)?;
        let dir = if place.is_file() { place.parent().unwrap_or(place) } else { place };
        let mut types = BTreeMap::new();
        let mut bytes = 0;
        for view in weights.tensors.values() {
            let values = view.shape.iter().product::<usize>() as u64;
            *types.entry(format!("{:?}", view.dtype)).or_insert(0) += values;
            bytes += values * view.dtype.bitsize() as u64 / 8;
        }
        let pools = ["attn_pool.latent", "head.probe"];
        let attention =
            weights.tensors.keys().any(|name| pools.iter().any(|end| name.ends_with(end)));
        let crop = crop(dir, &weights)?;
        let licence = licence(dir);
        Ok(Origin { weights: weights.path, bytes, types, licence, crop, attention })
    }
}

fn crop(dir: &Path, weights: &WeightMap) -> Result<Option<Crop>, Error> {
    let path = dir.join("config.json");
    if !path.is_file() {
        return Ok(None);
    }
    let file = File::parse(path.clone(), &input::read(&path, input::MAX_TEXT)?)?;
    if !timm::wrote(&file) || !timm::named(&file, weights) {
        return Ok(None);
    }
    let timm::preprocessing::Crop { share, said } = timm::preprocessing::crop(&file)?;
    Ok(Some(Crop { share, said }))
}

/// What the front matter of `README.md` calls the licence, or the name of a file of one.
fn licence(dir: &Path) -> Option<Licence> {
    let file = "README.md";
    let card = input::read(&dir.join(file), input::MAX_TEXT).ok();
    let card = card.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if let Some(name) = card.as_deref().and_then(front_matter) {
        return Some(Licence { name, file: file.to_owned() });
    }
    let names =
        fs::read_dir(dir).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let named = |name: &String| {
        let name = name.to_ascii_lowercase();
        name.starts_with("license") || name.starts_with("licence")
    };
    let file = shown(&names.filter(named).min()?);
    Some(Licence { name: format!("see {file}"), file })
}

/// The licence in a model card's front matter, as Hugging Face has it.
fn front_matter(card: &str) -> Option<String> {
    let lines = card.lines().map(str::trim_end);
    let mut lines = lines.skip_while(|line| line.is_empty());
    lines.next().filter(|line| *line == "---")?;
    let lines: Vec<&str> = lines.take_while(|line| *line != "---").collect();
    let value = |key: &str| {
        let found = lines.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let value = found.map(|value| value.trim().trim_matches(['"', '\'']));
        value.filter(|value| !value.is_empty()).map(shown)
    };
    let licence = value("license")?;
    let name = value("license_name").filter(|_| licence == "other");
    Some(name.map_or(licence, |name| format!("other ({name})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_the_model_cards() {
        let said = |card: &str| front_matter(card);
        assert_eq!(said("---\ntags:\n- a\nlicense: apache-2.0\n---\n").unwrap(), "apache-2.0");
        assert_eq!(
            said("\n---\nlicense: \"other\"\nlicense_name: x-1\n---\n").unwrap(),
            "other (x-1)"
        );
        for card in ["", "license: mit", "---\ntags: []\n---\nlicense: mit", "---\nlicense:\n---"] {
            assert_eq!(said(card), None, "{card:?}");
        }
    }

    #[test]
    fn a_file_of_the_licence_counts_where_no_card_says_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(licence(dir.path()), None);
        fs::write(dir.path().join("LICENSE.txt"), "").unwrap();
        assert_eq!(licence(dir.path()).unwrap().name, "see LICENSE.txt");
        fs::write(dir.path().join("README.md"), "---\nlicense: mit\n---\n").unwrap();
        let licence = licence(dir.path()).unwrap();
        assert_eq!((licence.name.as_str(), licence.file.as_str()), ("mit", "README.md"));
    }
}
