//! From a bank to goals: which target each synthetic image stands for, and what is asked of it
//! under every view.

use std::collections::{BTreeMap, BTreeSet};

use crate::Error;

use super::bank::Bank;
use super::cluster::{distance, k_means, mean};
use super::goal::{Goal, RealFeatures};
use super::privacy::Release;
use super::settings::{CondenseSettings, Target};
use super::statistics::precision;

/// What each synthetic image is for.
pub struct Plan {
    /// By view.
    pub goals: Vec<Goal>,
    /// The target of each synthetic image.
    pub of: Vec<usize>,
    /// The real image (index into the bank) nearest to what each synthetic image stands for; empty
    /// if private.
    pub nearest: Vec<usize>,
    /// The target that each real image (index into the bank) belongs to.
    pub clusters: BTreeMap<usize, usize>,
}

/// A target is never made from the images of fewer groups: the mean of one patient's images is that
/// patient.
const LEAST_GROUPS: usize = 2;

impl Bank {
    /// Targets and goals for the real images `members`, or for what was released of them.
    pub(super) fn plan(
        &self,
        settings: &CondenseSettings,
        members: &[usize],
        classes: &[String],
    ) -> Result<Plan, Error> {
        match (self.released(), self.reference()) {
            (Some(release), Some(reference)) => {
                let of = (0..classes.len()).flat_map(|class| vec![class; settings.per_class]);
                let goals = self.released_goals(release, reference, classes.len())?;
                Ok(Plan { goals, of: of.collect(), nearest: vec![], clusters: BTreeMap::new() })
            }
            _ => self.measured_plan(settings, members, classes),
        }
    }

    /// The goals of a private bank: each class's released mean, under every view.
    fn released_goals(
        &self,
        release: &Release,
        reference: &[[Vec<f32>; 2]],
        classes: usize,
    ) -> Result<Vec<Goal>, Error> {
        let width = self.layout().width();
        if release.means.len() != classes || release.means.iter().any(|mean| mean.len() != width) {
            let what =
                "the checkpoint is damaged: its release does not fit classes and layers".into();
            return Err(Error::Checkpoint { what });
        }
        let goals = reference.iter().map(|[centre, deviation]| {
            let row = |mean: &Vec<f32>| {
                (0..mean.len()).map(|j| centre[j] + deviation[j] * mean[j]).collect()
            };
            let targets = release.means.iter().map(row).collect();
            Goal { targets, precision: deviation.iter().map(|d| 1.0 / d).collect(), real: None }
        });
        Ok(goals.collect())
    }

    fn measured_plan(
        &self,
        settings: &CondenseSettings,
        members: &[usize],
        classes: &[String],
    ) -> Result<Plan, Error> {
        let (mut of, mut nearest) = (Vec::new(), Vec::new());
        let (mut clusters, mut targets) = (BTreeMap::new(), 0);
        for (class, name) in classes.iter().enumerate() {
            let own: Vec<usize> =
                members.iter().copied().filter(|&m| self.labels()[m] == class).collect();
            if own.len() < 2 {
                return Err(Error::Condense {
                    what: format!("class {name} has {} image to match", own.len()),
                });
            }
            let found = match settings.target {
                Target::Class => vec![0; own.len()],
                Target::Cluster => self.clusters(&own, settings),
            };
            let count = found.iter().max().map_or(0, |c| c + 1);
            for i in 0..settings.per_class {
                of.push(targets + i % count);
                nearest.push(self.nearest(&own, &found, i % count, i / count));
            }
            clusters.extend(own.iter().zip(&found).map(|(m, cluster)| (*m, targets + cluster)));
            targets += count;
        }
        let goals = (0..self.view_count())
            .map(|v| self.goal(v, &clusters, targets, settings.ridge > 0.0))
            .collect();
        Ok(Plan { goals, of, nearest, clusters })
    }

    /// The image of a cluster that is nearest to its mean, or with `turn` the next nearest and so
    /// on: several synthetic images of one target start from different real ones.
    fn nearest(&self, own: &[usize], found: &[usize], cluster: usize, turn: usize) -> usize {
        let members = own.iter().zip(found).filter(|(_, c)| **c == cluster).map(|(m, _)| *m);
        let mut members: Vec<usize> = members.collect();
        let centre = mean(members.iter().map(|&m| self.feature(m)));
        let centre = centre.expect("a cluster has a member");
        let from_centre = |m: usize| distance(self.feature(m), &centre);
        members.sort_by(|&a, &b| from_centre(a).total_cmp(&from_centre(b)));
        members[turn % members.len()]
    }

    /// The clusters of one class, none of them with fewer groups than [`LEAST_GROUPS`].
    fn clusters(&self, own: &[usize], settings: &CondenseSettings) -> Vec<usize> {
        let rows: Vec<&[f32]> = own.iter().map(|&m| self.feature(m)).collect();
        let mut most = settings.per_class.min(own.len() / 2);
        loop {
            let found = k_means(&rows, most.max(1), settings.seed);
            let mut groups: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
            for (m, c) in own.iter().zip(&found) {
                groups.entry(*c).or_default().insert(self.groups()[*m]);
            }
            let good: Vec<usize> =
                groups.iter().filter(|(_, g)| g.len() >= LEAST_GROUPS).map(|(c, _)| *c).collect();
            if good.len() == groups.len() || most <= 1 {
                return found;
            }
            if good.is_empty() {
                most = 1;
                continue;
            }
            // What lies in a small cluster goes to the nearest one that is large enough.
            let centre =
                |c: usize| mean(rows.iter().zip(&found).filter(|(_, f)| **f == c).map(|(r, _)| *r));
            let centres: Vec<Vec<f32>> =
                good.iter().map(|&c| centre(c).expect("a cluster has a member")).collect();
            let nearest = |row: &[f32]| {
                let by = |a: &usize, b: &usize| {
                    distance(row, &centres[*a]).total_cmp(&distance(row, &centres[*b]))
                };
                (0..centres.len()).min_by(by).expect("there is a cluster")
            };
            let moved = |(row, c): (&&[f32], &usize)| {
                good.binary_search(c).unwrap_or_else(|_| nearest(row))
            };
            return rows.iter().zip(&found).map(moved).collect();
        }
    }

    /// The goal under one view: the mean of each target, in units of the deviation within the real
    /// classes, and with `ridge` the real features.
    fn goal(
        &self,
        view: usize,
        clusters: &BTreeMap<usize, usize>,
        targets: usize,
        ridge: bool,
    ) -> Goal {
        let width = self.layout().width();
        let row = |m: usize| self.row(view, m);
        let mean_of = |wanted: &dyn Fn(usize, usize) -> bool| {
            mean(clusters.iter().filter(|(m, t)| wanted(**m, **t)).map(|(m, _)| row(*m)))
                .expect("a target has a member")
        };
        let rows = (0..targets).map(|target| mean_of(&|_, t| t == target)).collect();
        let mut square = vec![0f64; width];
        for class in clusters.keys().map(|m| self.labels()[*m]).collect::<BTreeSet<_>>() {
            let centre = mean_of(&|m, _| self.labels()[m] == class);
            for m in clusters.keys().filter(|m| self.labels()[**m] == class) {
                square
                    .iter_mut()
                    .zip(row(*m).iter().zip(&centre))
                    .for_each(|(s, (v, c))| *s += f64::from(v - c).powi(2));
            }
        }
        let real = ridge.then(|| RealFeatures {
            features: clusters
                .keys()
                .flat_map(|m| &row(*m)[..self.layout().features])
                .copied()
                .collect(),
            labels: clusters.keys().map(|m| self.labels()[*m]).collect(),
        });
        Goal { targets: rows, precision: precision(&square, clusters.len()), real }
    }
}
