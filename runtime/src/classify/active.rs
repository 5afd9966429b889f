//! The active set: one base, the modules and tasks of one bundle or several, and what each task
//! runs by default. It never changes; swapping is going on with another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::base::{Adapter, Base, finite};
use super::composed::{Composed, Module};
use super::head::Head;
use super::map::{self, Map};
use super::parts::Prototypes;
use super::result::{Classification, Participant, Times};
use super::selection::{Cancel, Selection};
use crate::Error;
use crate::bundle::manifest::{Code, Mode};
use crate::image::RgbView;
use crate::memory;
use crate::preprocess::Preprocessing;

/// Everything that a call runs with. See [`Classifier::active`](super::Classifier::active).
#[derive(Clone)]
pub struct Active {
    pub(super) base: Arc<Base>,
    /// SHA-256 of `base.onnx` and of `base.safetensors`.
    pub(super) base_id: [String; 2],
    /// The digest of the base's weights, which manifests name it by.
    pub(super) digest: String,
    pub(super) preprocessing: Preprocessing,
    pub(super) frozen: Arc<Adapter>,
    pub(super) modules: BTreeMap<String, Arc<Module>>,
    /// By bundle id.
    pub(super) bundles: BTreeMap<Arc<str>, Brought>,
    pub(super) tasks: BTreeMap<String, Task>,
}

/// What came with a bundle.
#[derive(Clone)]
pub(super) struct Brought {
    /// The modules' ids.
    pub modules: BTreeSet<String>,
    /// As canonical JSON.
    pub manifest: Arc<str>,
    /// What it takes of memory beside the base, as counted.
    pub bytes: u128,
}

/// A task that can be asked for.
#[derive(Clone)]
pub(super) struct Task {
    pub head: Arc<Head>,
    pub default: Arc<Composed>,
    /// The bundle that it came with, and who signed that.
    pub bundle: Arc<str>,
    pub signers: Arc<[String]>,
    pub routing: Option<Arc<Prototypes>>,
}

/// One row of [`Active::classify_rows`].
#[derive(Debug, Clone, Default)]
pub struct Row<'a> {
    /// Which of the images; the first is 0.
    pub image: usize,
    /// May be left out as in [`Classifier::classify`](super::Classifier::classify).
    pub task: Option<&'a str>,
    /// What it runs with.
    pub selection: Selection,
}

/// What a row came to: its task, and what it runs with.
struct Resolved<'a> {
    task: &'a Task,
    composed: Arc<Composed>,
}

impl Active {
    /// Classifies rows, each an image under a selection. Rows of the same image share what their
    /// modules have in common.
    ///
    /// # Errors
    /// [`Error::InBatch`] with the row and one of [`Error::UnknownTask`], [`Error::TaskNeeded`],
    /// [`Error::UnknownModule`], [`Error::Selection`], [`Error::Pixels`]; [`Error::Device`] and
    /// [`Error::Cancelled`] for all together. None is classified by halves.
    pub fn classify_rows(
        &self,
        images: &[RgbView],
        rows: &[Row],
        cancel: &Cancel,
    ) -> Result<Vec<Classification>, Error> {
        let found = self.rows(images, rows, false, cancel)?;
        Ok(found.into_iter().map(|(classification, _)| classification).collect())
    }

    /// [`classify_rows`](Self::classify_rows), to the same bits, and where in its image each answer
    /// comes from.
    ///
    /// # Errors
    /// As [`classify_rows`](Self::classify_rows).
    pub fn explain_rows(
        &self,
        images: &[RgbView],
        rows: &[Row],
        cancel: &Cancel,
    ) -> Result<Vec<(Classification, Map)>, Error> {
        let lost = || Error::Device { what: "no map".into() };
        let found = self.rows(images, rows, true, cancel)?.into_iter();
        found.map(|(classification, map)| Ok((classification, map.ok_or_else(lost)?))).collect()
    }

    /// Both of the above; with `maps` each row has one.
    fn rows(
        &self,
        images: &[RgbView],
        rows: &[Row],
        maps: bool,
        cancel: &Cancel,
    ) -> Result<Vec<(Classification, Option<Map>)>, Error> {
        let in_row =
            |index: usize| move |source: Error| Error::InBatch { index, source: Box::new(source) };
        for (index, row) in rows.iter().enumerate() {
            let missing = || Error::Selection { what: format!("there is no image {}", row.image) };
            let known = if row.image < images.len() { Ok(()) } else { Err(missing()) };
            let checked = known.and_then(|()| self.check(row.task, &row.selection));
            checked.map_err(in_row(index))?;
        }
        let [height, width] = self.base.signature.image;
        let mut pixels = Vec::with_capacity(images.len());
        let mut prepared = Vec::with_capacity(images.len());
        for (index, image) in images.iter().enumerate() {
            let start = Instant::now();
            let mut normalised =
                memory::floats(3 * height * width, "an image's pixels").map_err(in_row(index))?;
            self.preprocessing.apply(image, &mut normalised).map_err(in_row(index))?;
            pixels.push(normalised);
            prepared.push(start.elapsed());
        }
        let start = Instant::now();
        let seen = self.seen(&pixels, rows, cancel)?;
        let mut resolved = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let task = self.task_of(row, seen.get(&row.image)).map_err(in_row(index))?;
            let composed = self.composed(task, &row.selection).map_err(in_row(index))?;
            resolved.push(Resolved { task, composed });
        }
        let asked: Vec<_> = rows
            .iter()
            .zip(&resolved)
            .flat_map(|(row, found)| {
                found.composed.networks.iter().map(|network| (row.image, &**network))
            })
            .collect();
        let mut all =
            finite(self.base.run(&pixels, &asked, maps, &|| cancel.asked())?)?.into_iter();
        let base = start.elapsed();
        let finish = |(row, found): (&Row, &Resolved)| {
            let Resolved { task, composed } = found;
            let own = all.by_ref().take(composed.networks.len());
            let (features, maps): (Vec<_>, Vec<_>) =
                own.map(|seen| (seen.feature, seen.map)).unzip();
            let shares = task
                .routing
                .as_ref()
                .zip(seen.get(&row.image))
                .map(|(routing, seen)| routing.shares(seen));
            let weights = composed.weights(shares.as_ref());
            let participants = composed.modules().zip(&weights);
            let probabilities = composed.probabilities(&task.head, &features, &weights)?;
            let image = &images[row.image];
            let seen = || self.preprocessing.seen(image.width(), image.height());
            let map = maps
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map(|maps| map::of(&maps, &weights, seen()));
            let classification = Classification {
                assessment: composed.assessment(&task.head, &features, &probabilities),
                task: task.head.task.clone(),
                classes: task.head.classes.clone(),
                probabilities,
                codes: task.head.codes.clone(),
                bundle: task.bundle.clone(),
                signers: task.signers.clone(),
                composition: composed.id.clone(),
                modules: participants
                    .map(|(m, &weight)| Participant { id: m.id.clone(), weight })
                    .collect(),
                times: Times { preprocessing: prepared[row.image], base },
            };
            Ok((classification, map))
        };
        rows.iter().zip(&resolved).map(finish).collect()
    }

    /// The tasks that can be asked for, sorted.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.tasks.keys().map(String::as_str)
    }

    /// Class names of `task`; none if there is no such task.
    pub fn classes(&self, task: &str) -> Option<Arc<[String]>> {
        self.tasks.get(task).map(|task| task.head.classes.clone())
    }

    /// What each class of `task` is in a coding scheme: as many as classes, or none; none either if
    /// there is no such task.
    pub fn codes(&self, task: &str) -> Option<Arc<[Code]>> {
        self.tasks.get(task).map(|task| task.head.codes.clone())
    }

    /// What `task` runs with where a call says nothing else: how modules act together, their ids
    /// and weights.
    pub fn default_of(&self, task: &str) -> Option<(Mode, Vec<Participant>)> {
        let (mode, parts) = self.tasks.get(task)?.default.parts();
        Some((mode, parts.map(|(id, weight)| Participant { id: id.to_owned(), weight }).collect()))
    }

    /// The manifest of a bundle, as canonical JSON: everything that its maker says of it.
    pub fn manifest(&self, bundle: &str) -> Option<&str> {
        self.bundles.get(bundle).map(|brought| &*brought.manifest)
    }

    /// The ids of the modules, sorted.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// The ids of the bundles, sorted.
    pub fn bundles(&self) -> impl Iterator<Item = &str> {
        self.bundles.keys().map(|id| &**id)
    }

    /// What `task` runs with under `selection`; its default is laid out already.
    pub(super) fn composed(
        &self,
        task: &Task,
        selection: &Selection,
    ) -> Result<Arc<Composed>, Error> {
        let new = |mode, parts| {
            Composed::new(&self.base, &self.digest, &task.head, mode, parts, &self.modules)
                .map(Arc::new)
        };
        match selection {
            Selection::Default => Ok(task.default.clone()),
            Selection::Frozen => new(Mode::Fusion, &[]),
            Selection::Composition(Mode::Routed, _) if task.routing.is_none() => {
                let what = format!(
                    "the bundle of task {} tells no tasks by their looks, so nothing can be routed",
                    task.head.task
                );
                Err(Error::Selection { what })
            }
            Selection::Composition(mode, parts) => new(*mode, parts),
        }
    }

    pub(super) fn task(&self, name: Option<&str>) -> Result<&Task, Error> {
        let known = || self.tasks().collect::<Vec<_>>().join(", ");
        match name {
            Some(name) => self
                .tasks
                .get(name)
                .ok_or_else(|| Error::UnknownTask { task: name.to_owned(), known: known() }),
            None if self.tasks.len() == 1 => Ok(self.tasks.values().next().expect("there is one")),
            None => Err(Error::TaskNeeded { known: known() }),
        }
    }

    /// The prototypes that tell every task, if one bundle brought all tasks with them.
    fn routing(&self) -> Option<&Arc<Prototypes>> {
        let first = self.tasks.values().next()?.routing.as_ref()?;
        let same =
            |task: &Task| task.routing.as_ref().is_some_and(|routing| Arc::ptr_eq(routing, first));
        self.tasks.values().all(same).then_some(first)
    }

    /// What can be told before an image is looked at.
    fn check(&self, task: Option<&str>, selection: &Selection) -> Result<(), Error> {
        selection.check()?;
        match self.task(task) {
            Err(Error::TaskNeeded { .. }) if self.routing().is_some() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The frozen base's feature of each image that must be looked at to tell its task or to weigh
    /// modules.
    fn seen(
        &self,
        pixels: &[Vec<f32>],
        rows: &[Row],
        cancel: &Cancel,
    ) -> Result<BTreeMap<usize, Vec<f32>>, Error> {
        let routed = |row: &&Row| match (&row.selection, self.task(row.task)) {
            (_, Err(_)) | (Selection::Composition(Mode::Routed, _), _) => true,
            (Selection::Default, Ok(task)) => task.default.routed(),
            _ => false,
        };
        let images: BTreeSet<usize> = rows.iter().filter(routed).map(|row| row.image).collect();
        if images.is_empty() {
            return Ok(BTreeMap::new());
        }
        let asked: Vec<_> = images.iter().map(|&image| (image, &*self.frozen)).collect();
        let seen = finite(self.base.run(pixels, &asked, false, &|| cancel.asked())?)?;
        Ok(images.into_iter().zip(seen.into_iter().map(|seen| seen.feature)).collect())
    }

    /// The task of a row: the one that it names, or the likeliest of the image.
    fn task_of(&self, row: &Row, seen: Option<&Vec<f32>>) -> Result<&Task, Error> {
        let named = self.task(row.task);
        let (Err(Error::TaskNeeded { .. }), Some(routing), Some(seen)) =
            (&named, self.routing(), seen)
        else {
            return named;
        };
        let likelier = |a: &(&str, f64), b: &(&str, f64)| a.1.total_cmp(&b.1).then(b.0.cmp(a.0));
        let likeliest = routing.shares(seen).into_iter().max_by(likelier);
        self.task(likeliest.map(|(name, _)| name))
    }
}
