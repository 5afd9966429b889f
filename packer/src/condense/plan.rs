//! From a bank to goals: which target each synthetic image stands for, and what is asked of it
//! under every view.

use std::collections::{BTreeMap, BTreeSet};

use super::bank::Bank;
use super::cluster::{distance, k_means, mean};
use super::goal::{Goal, RealFeatures};
use super::statistics::precision;
use super::{CondenseSettings, Target};
use crate::Error;

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
    /// Targets and goals for the real images `members`.
    pub(super) fn plan(
        &self,
        settings: &CondenseSettings,
        members: &[usize],
        classes: &[String],
    ) -> Result<Plan, Error> {
        let mut of = Vec::new();
        if let (Some(release), Some(reference)) = (self.released(), self.reference()) {
            let width = self.layout().width();
            if release.means.len() != classes.len()
                || release.means.iter().any(|mean| mean.len() != width)
            {
                let what =
                    "the checkpoint is damaged: its release does not fit classes and layers".into();
                return Err(Error::Checkpoint { what });
            }
            of.extend((0..classes.len()).flat_map(|class| vec![class; settings.per_class]));
            let goals = reference.iter().map(|[centre, deviation]| {
                let row = |mean: &Vec<f32>| {
                    (0..mean.len()).map(|j| centre[j] + deviation[j] * mean[j]).collect()
                };
                let targets = release.means.iter().map(row).collect();
                Goal { targets, precision: deviation.iter().map(|d| 1.0 / d).collect(), real: None }
            });
            return Ok(Plan {
                goals: goals.collect(),
                of,
                nearest: vec![],
                clusters: BTreeMap::new(),
            });
        }
        let (mut clusters, mut nearest, mut targets) = (BTreeMap::new(), Vec::new(), 0);
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
            let rows: Vec<&[f32]> = own.iter().map(|&m| self.feature(m)).collect();
            for i in 0..settings.per_class {
                let cluster = i % count;
                of.push(targets + cluster);
                let centre =
                    mean(rows.iter().zip(&found).filter(|(_, c)| **c == cluster).map(|(r, _)| *r));
                let centre = centre.expect("a cluster has a member");
                // Several images of one target start from different real ones.
                let mut by_distance: Vec<usize> =
                    (0..own.len()).filter(|&m| found[m] == cluster).collect();
                by_distance.sort_by(|&a, &b| {
                    distance(rows[a], &centre).total_cmp(&distance(rows[b], &centre))
                });
                nearest.push(own[by_distance[i / count % by_distance.len()]]);
            }
            clusters.extend(own.iter().zip(&found).map(|(m, cluster)| (*m, targets + cluster)));
            targets += count;
        }
        let goals = (0..self.view_count())
            .map(|v| self.goal(v, &clusters, targets, settings.ridge > 0.0))
            .collect();
        Ok(Plan { goals, of, nearest, clusters })
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
