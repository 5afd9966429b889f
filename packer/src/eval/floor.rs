//! What a classifier without trained features reaches, beside a module.

use serde::{Deserialize, Serialize};

use super::estimate::Estimate;

/// What a classifier without trained features reaches on the same images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    pub name: FloorName,
    pub metrics: Vec<Estimate>,
    /// Balanced accuracy of the module minus that of the floor, compared on the same resamples.
    pub difference: Estimate,
    /// Whether the whole interval of the difference lies above zero.
    pub beaten: bool,
}

/// Which floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FloorName {
    LinearProbe,
    Colour,
}

impl FloorName {
    pub(super) const ALL: [FloorName; 2] = [FloorName::LinearProbe, FloorName::Colour];

    /// Its name in tables.
    pub fn title(self) -> &'static str {
        match self {
            FloorName::LinearProbe => "linear probe",
            FloorName::Colour => "colour alone",
        }
    }

    /// Its name in sentences.
    fn meaning(self) -> &'static str {
        match self {
            FloorName::LinearProbe => "the linear probe on the frozen base",
            FloorName::Colour => "logistic regression on colour alone",
        }
    }

    /// What it means when this floor is not beaten.
    pub(super) fn warning(self) -> &'static str {
        match self {
            FloorName::LinearProbe => "the module adds nothing shown here to the base",
            FloorName::Colour => "what it does may be a stain or scanner shortcut",
        }
    }

    /// Its name in files.
    pub(super) fn key(self) -> &'static str {
        match self {
            FloorName::LinearProbe => "linear_probe",
            FloorName::Colour => "colour",
        }
    }
}

impl Floor {
    /// Whether the module beats this floor: a sentence and a line feed.
    pub fn sentence(&self) -> String {
        let meaning = self.name.meaning();
        let difference = format!(
            "balanced accuracy {:+.3}, 95 % interval {}",
            self.difference.value,
            self.difference.range("+")
        );
        let worse = self.difference.high.is_some_and(|high| high < 0.0);
        match (self.beaten, worse) {
            (true, _) => format!("The module beats {meaning} ({difference}).\n"),
            (_, true) => format!("The module is WORSE than {meaning} ({difference}).\n"),
            _ => format!(
                "The module is NOT shown to beat {meaning} ({difference}): {}.\n",
                self.name.warning()
            ),
        }
    }
}
