//! What a manifest may say: every reference resolves, every value is in range, nothing is there
//! without a use.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Calibration, Composition, Head, MOST_PARTS, Manifest, Mode, Module, PROTOTYPES, Part, REQUIRED,
};
use crate::Class;
use crate::bundle::description::{
    check_classes, check_count, check_digest as digest, check_entries, check_length as text,
    check_task as task, check_text as name, check_time, check_version, contradiction,
    fault_of_prose, require,
};
use crate::bundle::measured::{check_bounds, check_differences, check_interval};
use crate::error::{Error, Refusal};
use crate::preprocess::Size;

/// Longest intended use, in bytes; more belongs in the model card.
const MAX_TEXT: usize = 16 << 10;
/// Above the rank of any full matrix in a base that is read here.
const MAX_RANK: u32 = 4096;
/// Between these packer looks for temperatures; beyond them nothing is left of what the head says.
const TEMPERATURES: std::ops::RangeInclusive<f64> = 0.05..=20.0;

/// Whether the bytes of an entry are text for people, where its name says so.
pub(super) fn entry(entry: &str, bytes: &[u8]) -> Result<(), Error> {
    if entry != "model_card.md" && !entry.starts_with("cards/") {
        return Ok(());
    }
    let refuse = |class, what: String| Err(Refusal::new(class, what).entry(entry).into());
    match std::str::from_utf8(bytes) {
        Err(error) => refuse(Class::NotUtf8, format!("byte {} is not UTF-8", error.valid_up_to())),
        Ok(text) => fault_of_prose(text)
            .map_or(Ok(()), |fault| refuse(Class::Contradiction, format!("it {fault}"))),
    }
}

/// Whether weights of a composition give a sum that is a number, whatever the probabilities that
/// they are multiplied with.
pub fn are_weights(parts: &[Part]) -> bool {
    parts.iter().map(|part| part.weight.abs()).sum::<f64>().is_finite()
}

impl Manifest {
    /// Whether the manifest agrees with itself: entries sorted and complete, digests well formed,
    /// every module, head and composition tied to an entry and a task, numbers finite, the
    /// preprocessing made for the base.
    ///
    /// # Errors
    /// [`Class::Contradiction`], [`Class::MissingEntry`], and the classes of names.
    pub fn check(&self) -> Result<(), Error> {
        check_version::<Manifest>(&self.format, self.version.into())?;
        name("name", &self.name)?;
        check_count("counter", self.counter)?;
        check_time("created", &self.created)?;
        if let Some(id) = &self.predecessor {
            digest("predecessor", id)?;
        }
        let prose = &self.intended_use;
        require(prose.len() <= MAX_TEXT, || {
            format!("intended_use has {} bytes, more than {MAX_TEXT}", prose.len())
        })?;
        if let Some(fault) = fault_of_prose(prose) {
            return Err(contradiction(format!("intended_use {fault}")));
        }
        name("tool.name", &self.tool.name)?;
        name("tool.version", &self.tool.version)?;
        self.check_base()?;
        let mut entries = self.check_entries()?;
        for required in REQUIRED {
            entries.remove(required).ok_or_else(|| missing(required))?;
        }
        let modules = self.check_modules(&mut entries)?;
        let tasks = self.check_heads(&modules, &mut entries)?;
        self.check_routing(&mut entries)?;
        self.check_members(&tasks, &mut entries)?;
        if let Some(name) = entries.keys().next() {
            return Err(contradiction(format!(
                "entry {name} belongs to no module, no head, no member and no routing"
            )));
        }
        self.check_compositions(&modules, &tasks)?;
        self.check_metrics(&tasks)?;
        self.check_int8(&tasks)
    }

    fn check_base(&self) -> Result<(), Error> {
        let base = &self.base;
        name("base.family", &base.family)?;
        digest("base.digest", &base.digest)?;
        if let Some(licence) = &base.licence {
            name("base.licence", licence)?;
        }
        require(base.feature_size > 0 && base.layers > 0 && base.heads != Some(0), || {
            "base.feature_size, layers and heads must be above zero".into()
        })?;
        self.preprocessing.check().map_err(|error| contradiction(error.to_string()))?;
        let Size { height, width } = self.preprocessing.output_size();
        require(base.image_size == [height, width], || {
            format!(
                "preprocessing makes {height} x {width} and base.image_size is {:?}",
                base.image_size
            )
        })
    }

    /// Name -> digest of every entry.
    fn check_entries(&self) -> Result<BTreeMap<&str, &str>, Error> {
        check_entries(&self.entries)?;
        Ok(self.entries.iter().map(|entry| (entry.name.as_str(), entry.sha256.as_str())).collect())
    }

    fn check_modules(
        &self,
        entries: &mut BTreeMap<&str, &str>,
    ) -> Result<BTreeMap<&str, &Module>, Error> {
        let mut modules = BTreeMap::new();
        for module in &self.modules {
            digest("module", &module.id)?;
            require(modules.insert(module.id.as_str(), module).is_none(), || {
                format!("module {} is there twice", module.id)
            })?;
            require(module.entry == format!("modules/{}.safetensors", module.id), || {
                format!(
                    "module {} is in entry {:?}; it must be in modules/ID.safetensors",
                    module.id, module.entry
                )
            })?;
            let found =
                entries.remove(module.entry.as_str()).ok_or_else(|| missing(&module.entry))?;
            require(found == module.id, || {
                format!("module {} has another digest than its entry ({found})", module.id)
            })?;
            digest("module.base", &module.base)?;
            if module.base != self.base.digest {
                let what = format!(
                    "module {} is for base {}, and the bundle has {}",
                    module.id, module.base, self.base.digest
                );
                return Err(Refusal::new(Class::ModuleWrongBase, what).entry(&module.entry).into());
            }
            name("contributor", &module.contributor)?;
            name("licence", &module.licence)?;
            task(&module.task)?;
            require((1..=MAX_RANK).contains(&module.rank), || {
                format!("module {} has rank {}", module.id, module.rank)
            })?;
            require(!module.sites.is_empty() && module.sites.is_sorted_by(|a, b| a < b), || {
                format!("module {} needs sites, sorted and each once", module.id)
            })?;
            module.sites.iter().try_for_each(|site| name("site", site))?;
        }
        Ok(modules)
    }

    /// The tasks.
    fn check_heads(
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
            entries.remove(head.entry.as_str()).ok_or_else(|| missing(&head.entry))?;
            check_classes(&format!("task {}", head.task), &head.classes)?;
            check_codes(head)?;
            check_zero_shot(head)?;
            self.check_calibration(head, modules)?;
        }
        Ok(tasks)
    }

    fn check_compositions(
        &self,
        modules: &BTreeMap<&str, &Module>,
        tasks: &BTreeSet<&str>,
    ) -> Result<(), Error> {
        let composed: BTreeSet<_> =
            self.compositions.iter().map(|composition| composition.task.as_str()).collect();
        require(composed == *tasks && composed.len() == self.compositions.len(), || {
            "every task needs exactly one composition".into()
        })?;
        for composition in &self.compositions {
            let task = &composition.task;
            require(!composition.parts.is_empty(), || {
                format!("the composition of {task} has no parts")
            })?;
            require(composition.parts.len() <= MOST_PARTS, || {
                format!(
                    "the composition of {task} has {} parts, more than {MOST_PARTS}",
                    composition.parts.len()
                )
            })?;
            let mut seen = BTreeSet::new();
            for part in &composition.parts {
                require(seen.insert(&part.module), || {
                    format!("module {} takes part in {task} twice", part.module)
                })?;
                require(part.weight.is_finite(), || {
                    format!("module {} has weight {}", part.module, part.weight)
                })?;
                let Some(module) = modules.get(part.module.as_str()) else {
                    let what = format!(
                        "the composition of {task} names module {}, which is not there",
                        part.module
                    );
                    return Err(contradiction(what));
                };
                require(
                    composition.mode != Mode::Routed || tasks.contains(module.task.as_str()),
                    || {
                        format!(
                            "the routed composition of {task} names a module for {:?}, which has \
                             no head",
                            module.task
                        )
                    },
                )?;
            }
        }
        if let Some(composition) =
            self.compositions.iter().find(|composition| !are_weights(&composition.parts))
        {
            return Err(contradiction(format!(
                "the weights of {} have no finite sum",
                composition.task
            )));
        }
        let parts = self.compositions.iter().flat_map(|composition| &composition.parts);
        let used: BTreeSet<&str> = parts.map(|part| part.module.as_str()).collect();
        match modules.keys().find(|id| !used.contains(*id)) {
            Some(id) => Err(contradiction(format!("module {id} takes part in no composition"))),
            None => Ok(()),
        }
    }

    fn check_routing(&self, entries: &mut BTreeMap<&str, &str>) -> Result<(), Error> {
        let routed = self.compositions.iter().any(|composition| composition.mode == Mode::Routed);
        let Some(routing) = &self.routing else {
            return require(!routed, || "a composition is routed, and there is no routing".into());
        };
        require(routing.entry == PROTOTYPES, || {
            format!("the prototypes are in entry {:?}; they must be in {PROTOTYPES}", routing.entry)
        })?;
        entries.remove(PROTOTYPES).ok_or_else(|| missing(PROTOTYPES))?;
        Ok(())
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
        let own = |part: &Part| {
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

    /// Several members may have one card.
    fn check_members(
        &self,
        tasks: &BTreeSet<&str>,
        entries: &mut BTreeMap<&str, &str>,
    ) -> Result<(), Error> {
        let (mut members, mut cards) = (BTreeSet::new(), BTreeSet::new());
        for member in &self.members {
            name("contributor", &member.contributor)?;
            name("licence", &member.licence)?;
            let of = format!("the member {}/{}", member.contributor, member.task);
            require(tasks.contains(member.task.as_str()), || {
                format!("{of} is for a task that has no head")
            })?;
            require(members.insert((&member.contributor, &member.task)), || {
                format!("{of} is there twice")
            })?;
            member.contribution.iter().try_for_each(|id| digest(&of, id))?;
            member.measured.iter().try_for_each(|measured| measured.check(&of))?;
            let Some(card) = &member.card else { continue };
            if let Some(found) = entries.remove(card.as_str()) {
                require(*card == format!("cards/{found}.md"), || {
                    format!("the card of {of} is in entry {card:?}; it must be in cards/SHA256.md")
                })?;
                cards.insert(card);
            }
            require(cards.contains(card), || {
                format!("the card of {of} is in entry {card:?}, which is not there")
            })?;
        }
        Ok(())
    }

    fn check_metrics(&self, tasks: &BTreeSet<&str>) -> Result<(), Error> {
        for (task, measured) in &self.measured {
            require(tasks.contains(task.as_str()), || {
                format!("measured names task {task:?}, which has no head")
            })?;
            measured.check(task)?;
        }
        for (task, metric) in &self.metrics {
            require(tasks.contains(task.as_str()), || {
                format!("metrics name task {task:?}, which has no head")
            })?;
            name("metric", &metric.name)?;
            check_count("the images of a metric", metric.n)?;
            require(metric.n > 0, || format!("the metric of {task} is of no image"))?;
            check_interval(task, &metric.name, metric.value, Some((metric.low, metric.high)))?;
            check_bounds(task, &metric.name, [metric.value, metric.low, metric.high])?;
        }
        Ok(())
    }

    fn check_int8(&self, tasks: &BTreeSet<&str>) -> Result<(), Error> {
        let measured: BTreeSet<&str> = self.int8.keys().map(String::as_str).collect();
        require(measured.is_empty() || measured == *tasks, || {
            "int8 is not about every task".into()
        })?;
        for (task, cost) in &self.int8 {
            name("int8 metric", &cost.name)?;
            check_count("the images of eight bits", cost.n)?;
            require(cost.n > 0, || format!("what eight bits cost {task} is of no image"))?;
            let of = format!("what eight bits cost {task}");
            check_interval(&of, &cost.name, cost.int8 - cost.f32, Some((cost.low, cost.high)))?;
            check_bounds(&of, &cost.name, [cost.f32, cost.int8])?;
            check_differences(&of, &cost.name, [cost.low, cost.high])?;
        }
        Ok(())
    }
}

/// The refusal of a manifest that does not list an entry that it needs.
fn missing(entry: &str) -> Refusal {
    Refusal::new(Class::MissingEntry, "the manifest does not list it").entry(entry)
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
