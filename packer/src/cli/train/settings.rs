//! From options to the settings of a training.

use super::args::Args;
use crate::Error;
use crate::base::TextTower;
use crate::cli::input::{check_task, check_text, class_texts, within};
use crate::data::Augment;
use crate::lora::{Head, Targets, TextHead};
use crate::train::{Method, TrainSettings};

impl Args {
    /// The settings, with the size still to be filled in.
    pub fn settings(&self) -> Result<TrainSettings, Error> {
        self.check_numbers()?;
        Ok(TrainSettings {
            size: 0,
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.lr,
            weight_decay: self.weight_decay,
            warm_up: self.warm_up,
            augment: Augment {
                flip_horizontal: matches!(self.flips.as_str(), "both" | "horizontal"),
                flip_vertical: matches!(self.flips.as_str(), "both" | "vertical"),
                colour_jitter: self.colour_jitter,
            },
            seed: self.seed,
            method: self.method()?,
        })
    }

    /// Refuses a task's name or a text that no bundle takes.
    pub fn check_names(&self) -> Result<(), Error> {
        check_task(&self.task)?;
        check_text("--contributor", &self.contributor)?;
        check_text("--licence", &self.licence)
    }

    /// The texts of `--class-text` and the head that they make; none where the head is trained.
    pub fn head(&self, classes: &[String]) -> Result<(TextHead, Option<Head>), Error> {
        let texts = class_texts(&self.class_text)?;
        match (self.head.as_str(), texts.is_empty()) {
            ("text", true) => {
                let what = "takes a --class-text for every class".into();
                Err(Error::Option { name: "--head text", what })
            }
            ("text", false) => {
                let head = Head::of_texts(&TextTower::open(&self.base)?, classes, &texts)?;
                Ok((texts, Some(head)))
            }
            (_, true) => Ok((texts, None)),
            (_, false) => {
                let what = "describes classes for a head of texts; pass --head text too".into();
                Err(Error::Option { name: "--class-text", what })
            }
        }
    }

    fn method(&self) -> Result<Method, Error> {
        if self.full {
            return Ok(Method::Full);
        }
        Ok(Method::Lora {
            rank: self.rank as usize,
            alpha: self.alpha,
            targets: self
                .targets
                .parse::<Targets>()
                .map_err(|what| Error::Targets { what })?
                .to_string(),
            last_layers: self.last_layers.map(usize::from),
            dora: self.dora,
            dropout: self.lora_dropout,
        })
    }

    fn check_numbers(&self) -> Result<(), Error> {
        within("--epochs", self.epochs as f64, 1.0, 100_000.0)?;
        within("--batch", self.batch as f64, 1.0, 4096.0)?;
        within("--lr", self.lr, 1e-9, 1e3)?;
        within("--weight-decay", self.weight_decay, 0.0, 10.0)?;
        within("--warm-up", self.warm_up, 0.0, 1.0)?;
        within("--alpha", self.alpha, 1e-6, 1e6)?;
        within("--lora-dropout", self.lora_dropout, 0.0, 0.9)?;
        within("--validation", self.validation.unwrap_or(0.0), 0.0, 0.9)?;
        within("--min-calibration-groups", self.min_calibration_groups as f64, 2.0, 1e9)?;
        within("--colour-jitter", f64::from(self.colour_jitter), 0.0, 1.0)
    }
}
