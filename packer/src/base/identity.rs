//! What a base is without its weights.

use std::path::Path;

use medforge_runtime::preprocess::Preprocessing;

use super::config;
use super::fit::{Fit, preprocessing_for};
use super::vit_config::VitConfig;
use crate::Error;

/// What tells whether a module belongs to a base: all of the base but its weights, and their
/// digest.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    pub config: VitConfig,
    pub preprocessing: Preprocessing,
    /// As [`Vit::digest`](super::Vit::digest).
    pub digest: String,
}

impl Identity {
    /// What a base of this configuration, these image settings and weights of this digest is.
    pub fn read(
        place: &Path,
        file: impl Fn(&str) -> Result<Vec<u8>, Error>,
        digest: &str,
    ) -> Result<Self, Error> {
        let [config, preprocessor] = ["config.json", "preprocessor_config.json"].map(file);
        let (config, preprocessing) = config::parse(place, &config?, &preprocessor?)?;
        Ok(Identity { config, preprocessing, digest: digest.to_owned() })
    }

    /// As [`Vit::preprocessing_for`](super::Vit::preprocessing_for).
    pub fn preprocessing_for(&self, size: u32) -> Result<Preprocessing, Error> {
        preprocessing_for(&self.config, &self.preprocessing, size)
    }

    /// Whether images for an input of `size` x `size` may be prepared so: as the base's
    /// preprocessor says, but for the [`Fit`].
    pub fn prepares(&self, size: u32, preprocessing: &Preprocessing) -> Result<bool, Error> {
        let fitted =
            |fit: &Fit| preprocessing_for(&self.config, &fit.of(&self.preprocessing), size);
        let own = self.preprocessing_for(size)?;
        let all = [Fit::Crop, Fit::Squash, Fit::Pad]
            .iter()
            .map(fitted)
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(own == *preprocessing || all.contains(preprocessing))
    }
}
