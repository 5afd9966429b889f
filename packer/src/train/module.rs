//! From the result of a training to a module with its card.

use std::collections::BTreeMap;

use serde_json::json;

use super::outcome::Trained;
use super::settings::{Method, TrainSettings};
use crate::Error;
use crate::base::Vit;
use crate::lora::{Module, ModuleCard, Run};

/// Who gives a module, for what, under which licence.
#[derive(Clone, Debug)]
pub struct About {
    pub task: String,
    pub contributor: String,
    /// An SPDX expression or a name.
    pub licence: String,
}

impl Trained {
    /// The module for `vit`: the base that was frozen, or after full training the new one.
    pub fn into_module(
        self,
        vit: &Vit,
        settings: &TrainSettings,
        about: About,
    ) -> Result<Module, Error> {
        let (rank, alpha) = match settings.method {
            Method::Lora { rank, alpha, .. } => (rank, alpha),
            Method::Full => (1, 1.0),
        };
        let image_size = u32::try_from(settings.size).unwrap_or(u32::MAX);
        let card = ModuleCard {
            format: ModuleCard::FORMAT.into(),
            version: ModuleCard::VERSION,
            task: about.task,
            contributor: about.contributor,
            licence: about.licence,
            family: vit.config.family,
            gated: vit.config.gated,
            base_digest: vit.digest(),
            image_size,
            preprocessing: vit.preprocessing_for(image_size)?,
            created: None,
            run: Run {
                train_images_per_s: self.images_per_second,
                train_images_per_cpu_s: self.images_per_cpu_second,
                ..Run::now()
            },
            classes: self.head.classes.clone(),
            class_texts: BTreeMap::new(),
            calibration: None,
            uncalibrated: None,
            training: json!({
                "settings": settings,
                "epochs": self.epochs,
                "kept_epoch": self.kept_epoch,
            }),
            metrics: Vec::new(),
            measured: None,
            subgroups: Vec::new(),
        };
        Ok(Module { rank, alpha, sites: self.sites, head: self.head, card })
    }
}
