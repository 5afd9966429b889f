//! Calls: rows of images and selections in, classifications out, all under one active set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::active::{Active, Task};
use super::base::finite;
use super::composed::Composed;
use super::map::{self, Map};
use super::result::{Classification, Participant, Times};
use super::selection::{Cancel, Selection};
use crate::bundle::manifest::Mode;
use crate::image::RgbView;
use crate::vit::Output;
use crate::{Error, memory};

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
        for (index, row) in rows.iter().enumerate() {
            let missing = || Error::Selection { what: format!("there is no image {}", row.image) };
            let known = if row.image < images.len() { Ok(()) } else { Err(missing()) };
            let checked = known.and_then(|()| self.check(row.task, &row.selection));
            checked.map_err(in_row(index))?;
        }
        let prepared = images.iter().enumerate().map(|(index, image)| self.prepared(index, image));
        let (pixels, times): (Vec<_>, Vec<_>) =
            prepared.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let start = Instant::now();
        let frozen = self.frozen_features(&pixels, rows, cancel)?;
        let mut resolved = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let task = self.task_of(row, frozen.get(&row.image)).map_err(in_row(index))?;
            let composed = self.composed(task, &row.selection).map_err(in_row(index))?;
            resolved.push(Resolved { task, composed });
        }
        let networks = rows.iter().zip(&resolved).flat_map(|(row, found)| {
            found.composed.networks.iter().map(|network| (row.image, &**network))
        });
        let networks: Vec<_> = networks.collect();
        let outputs = finite(self.base.run(&pixels, &networks, maps, &|| cancel.asked())?)?;
        let (base, mut outputs) = (start.elapsed(), outputs.into_iter());
        let finish = |(row, found): (&Row, &Resolved)| {
            let own = outputs.by_ref().take(found.composed.networks.len()).collect();
            let times = Times { preprocessing: times[row.image], base };
            let image = &images[row.image];
            let seen = || self.preprocessing.seen(image.width(), image.height());
            let place = || (self.base.shape().grid, seen());
            found.classified(own, frozen.get(&row.image), times, place)
        };
        rows.iter().zip(&resolved).map(finish).collect()
    }

    /// An image's pixels as the base takes them, and how long that took.
    fn prepared(&self, index: usize, image: &RgbView) -> Result<(Vec<f32>, Duration), Error> {
        let start = Instant::now();
        let [height, width] = self.base.signature.image;
        let mut pixels =
            memory::floats(3 * height * width, "an image's pixels").map_err(in_row(index))?;
        self.preprocessing.apply(image, &mut pixels).map_err(in_row(index))?;
        Ok((pixels, start.elapsed()))
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
    fn frozen_features(
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
        let outputs = finite(self.base.run(pixels, &asked, false, &|| cancel.asked())?)?;
        Ok(images.into_iter().zip(outputs.into_iter().map(|output| output.feature)).collect())
    }

    /// The task of a row: the one that it names, or the likeliest of the image, given the frozen
    /// base's feature.
    fn task_of(&self, row: &Row, frozen: Option<&Vec<f32>>) -> Result<&Task, Error> {
        let named = self.task(row.task);
        let (Err(Error::TaskNeeded { .. }), Some(routing), Some(frozen)) =
            (&named, self.routing(), frozen)
        else {
            return named;
        };
        let likelier = |a: &(&str, f64), b: &(&str, f64)| a.1.total_cmp(&b.1).then(b.0.cmp(a.0));
        let likeliest = routing.shares(frozen).into_iter().max_by(likelier);
        self.task(likeliest.map(|(name, _)| name))
    }
}

impl Resolved<'_> {
    /// The answer, from what the base made of the row under each network: `frozen` is the frozen
    /// base's feature where it was asked, `place` says how many patches a side a map has, and which
    /// part of the image was seen.
    fn classified(
        &self,
        outputs: Vec<Output>,
        frozen: Option<&Vec<f32>>,
        times: Times,
        place: impl FnOnce() -> (usize, [f64; 4]),
    ) -> Result<(Classification, Option<Map>), Error> {
        let Resolved { task, composed } = self;
        let (features, maps): (Vec<_>, Vec<_>) =
            outputs.into_iter().map(|output| (output.feature, output.map)).unzip();
        let routed = task.routing.as_ref().zip(frozen);
        let shares = routed.map(|(routing, frozen)| routing.shares(frozen));
        let weights = composed.weights(shares.as_ref());
        let participants = composed.modules().zip(&weights);
        let participants =
            participants.map(|(m, &weight)| Participant { id: m.id.clone(), weight });
        let probabilities = composed.probabilities(&task.head, &features, &weights)?;
        let maps = maps.into_iter().collect::<Option<Vec<_>>>();
        let map = maps.map(|maps| {
            let (grid, seen) = place();
            map::of(&maps, &weights, grid, seen)
        });
        let classification = Classification {
            assessment: composed.assessment(&task.head, &features, &probabilities),
            task: task.head.task.clone(),
            classes: task.head.classes.clone(),
            probabilities,
            codes: task.head.codes.clone(),
            bundle: task.bundle.clone(),
            signers: task.signers.clone(),
            composition: composed.id.clone(),
            modules: participants.collect(),
            times,
        };
        Ok((classification, map))
    }
}

fn in_row(index: usize) -> impl Fn(Error) -> Error {
    move |source| Error::InBatch { index, source: Box::new(source) }
}
