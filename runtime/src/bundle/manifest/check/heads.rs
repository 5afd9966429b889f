//! What a manifest may say of its heads: classes, codes, calibrations.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::manifest::content::{Manifest, Module};
use crate::bundle::manifest::task::{Calibration, Composition, Head, Mode, WeightedModule};
use crate::bundle::rules::{check_count, require, unlisted};
use crate::bundle::texts::{check_classes, check_length as text, check_task as task};
use crate::error::Error;

/// Where packer looks for temperatures. Beyond them nothing is left of what the head says.
const TEMPERATURES: std::ops::RangeInclusive<f64> = 0.05..=20.0;

impl Manifest {
    /// The tasks.
    pub(super) fn check_heads(
        &self,
        modules: &BTreeMap<&str, &Module>,
        entries: &mut BTreeMap<&str, &str>,
    ) -> Result<BTreeSet<&str>, Error> {
        let mut tasks = BTreeSet::new();
        require(!self.heads.is_empty(), || {
            "there is no head, so nothing can be classified".into()
        })?;
        for head in &self.heads {
            task(&head.task)?;
            require(tasks.insert(head.task.as_str()), || {
                format!("task {} has two heads", head.task)
            })?;
            require(head.entry == format!("heads/{}.safetensors", head.task), || {
                format!(
                    "the head of {} is in entry {:?}; it must be in heads/TASK.safetensors",
                    head.task, head.entry
                )
            })?;
            entries.remove(head.entry.as_str()).ok_or_else(|| unlisted(&head.entry))?;
            check_classes(&format!("task {}", head.task), &head.classes)?;
            check_codes(head)?;
            check_zero_shot(head)?;
            self.check_calibration(head, modules)?;
        }
        Ok(tasks)
    }

    /// A calibration is about the network of the task's own module, which must be there and, in a
    /// fusion, alone.
    fn check_calibration(
        &self,
        head: &Head,
        modules: &BTreeMap<&str, &Module>,
    ) -> Result<(), Error> {
        let Some(Calibration { temperature, error, threshold, least_probability, n }) =
            &head.calibration
        else {
            return Ok(());
        };
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        let share = |value: &f64| (0.0..=1.0).contains(value);
        check_count("the images of a calibration", *n)?;
        require(TEMPERATURES.contains(temperature), || {
            let (least, most) = (TEMPERATURES.start(), TEMPERATURES.end());
            format!(
                "the temperature of {} is {temperature}, not between {least} and {most}",
                head.task
            )
        })?;
        require(*n > 0 && positive(threshold) && share(error) && share(least_probability), || {
            format!("the calibration of {} has a number out of range", head.task)
        })?;
        let own = |part: &WeightedModule| {
            modules.get(part.module.as_str()).is_some_and(|module| module.task == head.task)
        };
        let fits = |composition: &Composition| match composition.mode {
            Mode::Fusion => {
                matches!(&composition.parts[..], [part] if own(part) && part.weight == 1.0)
            }
            Mode::Mixture | Mode::Routed => composition.parts.iter().any(own),
        };
        require(self.compositions.iter().any(|c| c.task == head.task && fits(c)), || {
            format!(
                "task {} has a calibration, and its composition is not of its own module",
                head.task
            )
        })
    }
}

/// Lengths are those of the value representations SH and LO (DICOM PS3.5, table 6.2-1), which have
/// no backslash.
fn check_codes(head: &Head) -> Result<(), Error> {
    require(head.codes.is_empty() || head.codes.len() == head.classes.len(), || {
        format!(
            "task {} has {} classes and {} codes",
            head.task,
            head.classes.len(),
            head.codes.len()
        )
    })?;
    for code in &head.codes {
        for (what, value, most) in [
            ("scheme", &code.scheme, 16),
            ("value", &code.value, 16),
            ("meaning", &code.meaning, 64),
        ] {
            text(&format!("code.{what}"), value, most)?;
            require(!value.contains('\\'), || format!("code.{what} {value:?} has a backslash"))?;
        }
    }
    Ok(())
}

/// Classes without training are some of the head's, each named once, in the head's order.
fn check_zero_shot(head: &Head) -> Result<(), Error> {
    let mut classes = head.classes.iter();
    let known = head.zero_shot.iter().all(|class| classes.any(|other| other == class));
    require(known && head.zero_shot.len() < head.classes.len(), || {
        format!("zero_shot of task {} is not some of its classes in their order", head.task)
    })
}
