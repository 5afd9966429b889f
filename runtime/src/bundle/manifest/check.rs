//! What a manifest may say: every reference resolves, every value is in range, nothing is there without a use.

use std::collections::{BTreeMap, BTreeSet};

use super::{FORMAT, Manifest, Mode, Module, PROTOTYPES, REQUIRED, VERSION};
use crate::Error;
use crate::bundle::frame;
use crate::preprocess::Size;

/// The largest integer that every JSON reader keeps (RFC 8785, appendix D).
const MAX_COUNT: u64 = (1 << 53) - 1;
/// Longest name of a person, class or bundle, in bytes; longer ones are mistakes or attacks on a display.
const MAX_NAME: usize = 256;
/// Longest intended use, in bytes; more belongs in the model card.
const MAX_TEXT: usize = 16 << 10;
/// Above the rank of any full matrix in a base that is read here.
const MAX_RANK: u32 = 4096;

impl Manifest {
    /// Whether the manifest agrees with itself: entries sorted and complete, digests well formed, every module, head
    /// and composition tied to an entry and a task, numbers finite, the preprocessing made for the base.
    ///
    /// # Errors
    /// [`Error::Manifest`] or [`Error::BundleName`] saying what is wrong, [`Error::BundleEntryMissing`].
    pub fn check(&self) -> Result<(), Error> {
        if self.format != FORMAT || self.version != VERSION {
            return Err(Error::ManifestVersion { found: format!("{:?} version {}", self.format, self.version) });
        }
        name("name", &self.name)?;
        require(self.counter <= MAX_COUNT, || format!("counter {} is over {MAX_COUNT}", self.counter))?;
        require(is_utc_second(&self.created), || {
            format!("created {:?} is not like 2026-01-31T23:59:59Z", self.created)
        })?;
        if let Some(id) = &self.predecessor {
            digest("predecessor", id)?;
        }
        text("intended_use", &self.intended_use.replace('\n', " "), MAX_TEXT)?;
        name("tool.name", &self.tool.name)?;
        name("tool.version", &self.tool.version)?;
        self.check_base()?;
        let mut entries = self.check_entries()?;
        for required in REQUIRED {
            entries.remove(required).ok_or_else(|| Error::BundleEntryMissing { entry: required.into() })?;
        }
        let modules = self.check_modules(&mut entries)?;
        let tasks = self.check_heads(&mut entries)?;
        self.check_routing(&mut entries)?;
        if let Some(name) = entries.keys().next() {
            return Err(Error::Manifest { what: format!("entry {name} belongs to no module, no head and no routing") });
        }
        self.check_compositions(&modules, &tasks)?;
        self.check_metrics(&tasks)
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
        self.preprocessing.check().map_err(|error| Error::Manifest { what: error.to_string() })?;
        let Size { height, width } = self.preprocessing.output_size();
        require(base.image_size == [height, width], || {
            format!("preprocessing makes {height} x {width} and base.image_size is {:?}", base.image_size)
        })
    }

    /// Name -> digest of every entry.
    fn check_entries(&self) -> Result<BTreeMap<&str, &str>, Error> {
        for pair in self.entries.windows(2) {
            require(pair[0].name < pair[1].name, || {
                format!("entries {} and {} are out of order", pair[0].name, pair[1].name)
            })?;
        }
        for entry in &self.entries {
            frame::check_name(&entry.name)?;
            digest(&entry.name, &entry.sha256)?;
            require(entry.length <= MAX_COUNT, || format!("entry {} is too long", entry.name))?;
        }
        Ok(self.entries.iter().map(|entry| (entry.name.as_str(), entry.sha256.as_str())).collect())
    }

    fn check_modules(&self, entries: &mut BTreeMap<&str, &str>) -> Result<BTreeMap<&str, &Module>, Error> {
        let mut modules = BTreeMap::new();
        for module in &self.modules {
            digest("module", &module.id)?;
            require(modules.insert(module.id.as_str(), module).is_none(), || {
                format!("module {} is there twice", module.id)
            })?;
            require(module.entry == format!("modules/{}.safetensors", module.id), || {
                format!("module {} is in entry {:?}; it must be in modules/ID.safetensors", module.id, module.entry)
            })?;
            let found = entries
                .remove(module.entry.as_str())
                .ok_or_else(|| Error::BundleEntryMissing { entry: module.entry.clone() })?;
            require(found == module.id, || {
                format!("module {} has another digest than its entry ({found})", module.id)
            })?;
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
    fn check_heads(&self, entries: &mut BTreeMap<&str, &str>) -> Result<BTreeSet<&str>, Error> {
        let mut tasks = BTreeSet::new();
        require(!self.heads.is_empty(), || "there is no head, so nothing can be classified".into())?;
        for head in &self.heads {
            task(&head.task)?;
            require(tasks.insert(head.task.as_str()), || format!("task {} has two heads", head.task))?;
            require(head.entry == format!("heads/{}.safetensors", head.task), || {
                format!("the head of {} is in entry {:?}; it must be in heads/TASK.safetensors", head.task, head.entry)
            })?;
            entries
                .remove(head.entry.as_str())
                .ok_or_else(|| Error::BundleEntryMissing { entry: head.entry.clone() })?;
            let classes: BTreeSet<_> = head.classes.iter().collect();
            require(classes.len() == head.classes.len() && classes.len() >= 2, || {
                format!("task {} needs at least two classes of different names", head.task)
            })?;
            head.classes.iter().try_for_each(|class| name("class", class))?;
        }
        Ok(tasks)
    }

    fn check_compositions(&self, modules: &BTreeMap<&str, &Module>, tasks: &BTreeSet<&str>) -> Result<(), Error> {
        let composed: BTreeSet<_> = self.compositions.iter().map(|composition| composition.task.as_str()).collect();
        require(composed == *tasks && composed.len() == self.compositions.len(), || {
            "every task needs exactly one composition".into()
        })?;
        for composition in &self.compositions {
            let task = &composition.task;
            require(!composition.parts.is_empty(), || format!("the composition of {task} has no parts"))?;
            let mut seen = BTreeSet::new();
            for part in &composition.parts {
                require(seen.insert(&part.module), || format!("module {} takes part in {task} twice", part.module))?;
                require(part.weight.is_finite(), || format!("module {} has weight {}", part.module, part.weight))?;
                let Some(module) = modules.get(part.module.as_str()) else {
                    let what = format!("the composition of {task} names module {}, which is not there", part.module);
                    return Err(Error::Manifest { what });
                };
                require(composition.mode != Mode::Routed || tasks.contains(module.task.as_str()), || {
                    format!("the routed composition of {task} names a module for {:?}, which has no head", module.task)
                })?;
            }
        }
        let used = |id: &str| self.compositions.iter().flat_map(|c| &c.parts).any(|part| part.module == id);
        match modules.keys().find(|id| !used(id)) {
            Some(id) => Err(Error::Manifest { what: format!("module {id} takes part in no composition") }),
            None => Ok(()),
        }
    }

    fn check_routing(&self, entries: &mut BTreeMap<&str, &str>) -> Result<(), Error> {
        let routed = self.compositions.iter().any(|composition| composition.mode == Mode::Routed);
        let Some(routing) = &self.routing else {
            return require(!routed, || "a composition is routed, and there is no routing".into());
        };
        require(routed, || "there is routing, and no composition is routed".into())?;
        require(routing.variance.is_finite() && routing.variance > 0.0, || {
            format!("routing.variance is {}, not a number above zero", routing.variance)
        })?;
        require(routing.entry == PROTOTYPES, || {
            format!("the prototypes are in entry {:?}; they must be in {PROTOTYPES}", routing.entry)
        })?;
        entries.remove(PROTOTYPES).map(drop).ok_or_else(|| Error::BundleEntryMissing { entry: PROTOTYPES.into() })
    }

    fn check_metrics(&self, tasks: &BTreeSet<&str>) -> Result<(), Error> {
        for (task, metric) in &self.metrics {
            require(tasks.contains(task.as_str()), || format!("metrics name task {task:?}, which has no head"))?;
            name("metric", &metric.name)?;
            let finite = [metric.low, metric.value, metric.high].iter().all(|value| value.is_finite());
            require(finite && metric.low <= metric.high && metric.n <= MAX_COUNT, || {
                format!("the metric of {task} is not a number within an interval")
            })?;
        }
        Ok(())
    }
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Manifest { what: what() }) }
}

/// A short text for people.
fn name(field: &str, value: &str) -> Result<(), Error> {
    require(!value.trim().is_empty(), || format!("{field} is empty"))?;
    text(field, value, MAX_NAME)
}

/// Nothing that moves a terminal's cursor or colours it.
fn text(field: &str, value: &str, limit: usize) -> Result<(), Error> {
    require(!value.contains(char::is_control), || format!("{field} has control characters"))?;
    require(value.len() <= limit, || format!("{field} has {} bytes, more than {limit}", value.len()))
}

/// A task is part of an entry's name.
fn task(value: &str) -> Result<(), Error> {
    require(!value.contains('/'), || format!("task {value:?} has a slash"))?;
    frame::check_name(value)
}

fn digest(of: &str, value: &str) -> Result<(), Error> {
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    require(value.len() == 64 && value.as_bytes().iter().all(hex), || {
        format!("{of}: {value:?} is not a SHA-256 of 64 lower-case hex digits")
    })
}

/// RFC 3339, UTC, to the second, with a day that exists; no leap seconds.
fn is_utc_second(value: &str) -> bool {
    let shape = value.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    if !shape.eq("0000-00-00T00:00:00Z".bytes()) {
        return false;
    }
    let number = |at: usize, digits: usize| value[at..at + digits].parse::<u32>().unwrap_or(u32::MAX);
    let (year, month, day) = (number(0, 4), number(5, 2), number(8, 2));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day) && number(11, 2) < 24 && number(14, 2) < 60 && number(17, 2) < 60
}
