//! The bank: the statistics of the real images under every view and its network, measured once; and the goals made from it.
//!
//! A private bank keeps no image's statistics: per class the released mean, in units of what random pictures of no patient give.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Weights;
use crate::data::{Images, Labels};
use crate::device::Device;
use crate::predict::Predictor;
use crate::random::{Purpose, Stream};
use crate::{Error, interrupt};

use super::canvas::{Canvas, Palette};
use super::cluster::{distance, k_means, mean};
use super::ensemble::Ensemble;
use super::objective::{Goal, Real};
use super::privacy::{Budget, Contribution, Release, release};
use super::statistics::{Layout, Network};
use super::view::View;
use super::{Observer, Settings, Source, Target};

/// Statistics of real images, or what was released of them.
pub struct Bank {
    layout: Layout,
    views: Vec<View>,
    palette: Palette,
    /// Indices of the real images, and their classes and groups; none in a private bank.
    images: Vec<usize>,
    labels: Vec<usize>,
    groups: Vec<usize>,
    /// By view: [images, width].
    rows: Vec<Vec<f32>>,
    /// The module's plain features, by image, for soft labels.
    adapted: Vec<Vec<f32>>,
    private: Option<Private>,
}

/// What a private bank holds: the release, and by view the mean and deviation that it is given in.
struct Private {
    release: Release,
    reference: Vec<[Vec<f32>; 2]>,
}

/// What each synthetic image is for.
pub struct Plan {
    /// By view.
    pub goals: Vec<Goal>,
    /// The target of each synthetic image.
    pub of: Vec<usize>,
    /// The real image (index into the bank) nearest to what each synthetic image stands for; empty if private.
    pub nearest: Vec<usize>,
    /// The target that each real image (index into the bank) belongs to.
    pub clusters: BTreeMap<usize, usize>,
}

/// A target is never made from the images of fewer groups: the mean of one patient's images is that patient.
const LEAST_GROUPS: usize = 2;
/// Random pictures that a private release is measured against.
const REFERENCE: usize = 64;
/// The largest norm of a group's row, in units of what random pictures have on average.
const CLIP: f64 = 2.0;

impl Bank {
    /// Measures the training images of `source` under every view.
    pub fn measure<D: Device + 'static>(
        device: &D,
        source: Source,
        settings: &Settings,
        observer: &mut dyn Observer,
    ) -> Result<Bank, Error> {
        let Source { vit, classes, images, module } = source;
        let chosen = choose(images, classes.len(), settings);
        let palette = Palette::of(chosen.iter().map(|&i| images.pixels(i)));
        let mut bank = Bank::empty(source, settings, palette);
        let frozen = Weights::frozen(device, vit, settings.size);
        let ensemble = Ensemble::new(vit, module, settings.perturbation, settings.seed);
        for (v, view) in bank.views.iter().enumerate() {
            let network = Network { weights: &frozen, sites: ensemble.sites(device, v) };
            bank.rows.push(network.rows_of(device, images, &chosen, view, &bank.layout)?);
            observer.step("views of the real images", v + 1, bank.views.len(), None);
        }
        if let (Some(module), Labels::Soft) = (module, settings.labels) {
            let predictor = Predictor::new(device, vit, Some(module), settings.size);
            bank.adapted = predictor.features_of(images, &chosen, |_| {})?;
        }
        bank.labels = chosen.iter().map(|&i| images.labels()[i]).collect();
        bank.groups = chosen.iter().map(|&i| images.groups()[i]).collect();
        bank.images = chosen;
        bank.check_spread(classes)?;
        Ok(bank)
    }

    /// Releases the classes' means within `budget`, or takes up what a run before has `released`. Every image's row is its mean
    /// over the views, each view in units of random pictures.
    pub fn released<D: Device + 'static>(
        device: &D,
        source: Source,
        settings: &Settings,
        budget: Budget,
        released: Option<Release>,
        observer: &mut dyn Observer,
    ) -> Result<Bank, Error> {
        let Source { vit, classes, images, .. } = source;
        let mut bank = Bank::empty(source, settings, Palette::neutral(vit.preprocessing.mean));
        let (layout, views) = (bank.layout.clone(), bank.views.len());
        let width = layout.width();
        let frozen = Weights::frozen(device, vit, settings.size);
        let ensemble = Ensemble::new(vit, None, settings.perturbation, settings.seed);
        let canvas = Canvas::new(settings.size, bank.palette.clone());
        let all: Vec<usize> = (0..images.len()).collect();
        let mut sums = vec![0f32; if released.is_none() { images.len() * width } else { 0 }];
        let mut reference = Vec::with_capacity(views);
        for (v, view) in bank.views.iter().enumerate() {
            interrupt::check()?;
            let network = Network { weights: &frozen, sites: ensemble.sites(device, v) };
            let pictures: Vec<f32> = (0..REFERENCE).flat_map(|i| canvas.noise(REFERENCE_SEED, i)).collect();
            let normalised = super::normalised(vit, &canvas.paint(&pictures), settings.size);
            let rows = network.rows(device, &normalised, view, &layout)?;
            let [centre, deviation] = moments(&rows, width);
            if released.is_none() {
                let rows = network.rows_of(device, images, &all, view, &layout)?;
                for (sum, row) in sums.chunks_exact_mut(width).zip(rows.chunks_exact(width)) {
                    for j in 0..width {
                        sum[j] += (row[j] - centre[j]) / deviation[j] / views as f32;
                    }
                }
            }
            reference.push([centre, deviation]);
            observer.step("views of the real images", v + 1, views, None);
        }
        let release = match released {
            Some(release) => release,
            None => {
                let rows = sums.chunks_exact(width).enumerate();
                let contributions: Vec<Contribution> = rows
                    .map(|(i, row)| Contribution { class: images.labels()[i], group: images.groups()[i], row })
                    .collect();
                release(&contributions, classes, CLIP * (width as f64).sqrt(), budget)?
            }
        };
        bank.private = Some(Private { release, reference });
        Ok(bank)
    }

    fn empty(Source { vit, .. }: Source, settings: &Settings, palette: Palette) -> Bank {
        // The first view is the plain one, under the base itself.
        let drawn = (1..settings.views).map(|v| View::draw(settings.seed, v, settings.size));
        let plain = (1..settings.views).map(|_| View::plain());
        let others: Vec<View> = if settings.augment { drawn.collect() } else { plain.collect() };
        Bank {
            layout: settings.layout(vit),
            views: [View::plain()].into_iter().chain(others).collect(),
            palette,
            images: vec![],
            labels: vec![],
            groups: vec![],
            rows: vec![],
            adapted: vec![],
            private: None,
        }
    }

    /// Refuses a class whose images are all the same to the base.
    fn check_spread(&self, classes: &[String]) -> Result<(), Error> {
        for (class, name) in classes.iter().enumerate() {
            let members: Vec<usize> = (0..self.labels.len()).filter(|&m| self.labels[m] == class).collect();
            let first = self.feature(members[0]);
            if members.iter().all(|&m| distance(self.feature(m), first) == 0.0) {
                let what = format!("the {} images of class {name} are all the same picture", members.len());
                return Err(Error::Condense { what });
            }
        }
        Ok(())
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn view(&self, view: usize) -> &View {
        &self.views[view]
    }

    pub(super) fn palette(&self) -> &Palette {
        &self.palette
    }

    pub(super) fn release(&self) -> Option<&Release> {
        self.private.as_ref().map(|p| &p.release)
    }

    /// The view of iteration `t`: every view once in each round of a random order.
    pub(super) fn order(&self, seed: u64, t: usize) -> usize {
        let n = self.views.len();
        let mut order: Vec<usize> = (0..n).collect();
        Stream::at(seed, Purpose::Subset, (t / n) as u64, 0).shuffle(&mut order);
        order[t % n]
    }

    /// The real images, as indices into what they were measured from; empty if private.
    pub fn images(&self) -> &[usize] {
        &self.images
    }

    /// The class of each real image; empty if private.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The group of each real image; empty if private.
    pub fn groups(&self) -> &[usize] {
        &self.groups
    }

    /// The base's feature of a real image, as it is.
    pub fn feature(&self, member: usize) -> &[f32] {
        &self.rows[0][member * self.layout.width()..][..self.layout.hidden]
    }

    /// The module's feature of a real image.
    pub(super) fn adapted(&self, member: usize) -> &[f32] {
        &self.adapted[member]
    }

    /// Targets and goals for the real images `members`.
    pub(super) fn plan(&self, settings: &Settings, members: &[usize], classes: &[String]) -> Result<Plan, Error> {
        let mut of = Vec::new();
        if let Some(private) = &self.private {
            of.extend((0..classes.len()).flat_map(|class| vec![class; settings.per_class]));
            let goals = private.reference.iter().map(|[centre, deviation]| {
                let row = |mean: &Vec<f32>| (0..mean.len()).map(|j| centre[j] + deviation[j] * mean[j]).collect();
                let targets = private.release.means.iter().map(row).collect();
                Goal { targets, precision: deviation.iter().map(|d| 1.0 / d).collect(), real: None }
            });
            return Ok(Plan { goals: goals.collect(), of, nearest: vec![], clusters: BTreeMap::new() });
        }
        let (mut clusters, mut nearest, mut targets) = (BTreeMap::new(), Vec::new(), 0);
        for (class, name) in classes.iter().enumerate() {
            let own: Vec<usize> = members.iter().copied().filter(|&m| self.labels[m] == class).collect();
            if own.len() < 2 {
                return Err(Error::Condense { what: format!("class {name} has {} image to match", own.len()) });
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
                let centre = mean(rows.iter().zip(&found).filter(|(_, c)| **c == cluster).map(|(r, _)| *r));
                let centre = centre.expect("a cluster has a member");
                // Several images of one target start from different real ones.
                let mut by_distance: Vec<usize> = (0..own.len()).filter(|&m| found[m] == cluster).collect();
                by_distance.sort_by(|&a, &b| distance(rows[a], &centre).total_cmp(&distance(rows[b], &centre)));
                nearest.push(own[by_distance[i / count % by_distance.len()]]);
            }
            clusters.extend(own.iter().zip(&found).map(|(m, cluster)| (*m, targets + cluster)));
            targets += count;
        }
        let goals = (0..self.views.len()).map(|v| self.goal(v, &clusters, targets, settings.ridge > 0.0)).collect();
        Ok(Plan { goals, of, nearest, clusters })
    }

    /// The clusters of one class, none of them with fewer groups than [`LEAST_GROUPS`].
    fn clusters(&self, own: &[usize], settings: &Settings) -> Vec<usize> {
        let rows: Vec<&[f32]> = own.iter().map(|&m| self.feature(m)).collect();
        let mut most = settings.per_class.min(own.len() / 2);
        loop {
            let found = k_means(&rows, most.max(1), settings.seed);
            let mut groups: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
            for (m, c) in own.iter().zip(&found) {
                groups.entry(*c).or_default().insert(self.groups[*m]);
            }
            let good: Vec<usize> = groups.iter().filter(|(_, g)| g.len() >= LEAST_GROUPS).map(|(c, _)| *c).collect();
            if good.len() == groups.len() || most <= 1 {
                return found;
            }
            if good.is_empty() {
                most = 1;
                continue;
            }
            // What lies in a small cluster goes to the nearest one that is large enough.
            let centre = |c: usize| mean(rows.iter().zip(&found).filter(|(_, f)| **f == c).map(|(r, _)| *r));
            let centres: Vec<Vec<f32>> = good.iter().map(|&c| centre(c).expect("a cluster has a member")).collect();
            let nearest = |row: &[f32]| {
                let by = |a: &usize, b: &usize| distance(row, &centres[*a]).total_cmp(&distance(row, &centres[*b]));
                (0..centres.len()).min_by(by).expect("there is a cluster")
            };
            let moved = |(row, c): (&&[f32], &usize)| good.binary_search(c).unwrap_or_else(|_| nearest(row));
            return rows.iter().zip(&found).map(moved).collect();
        }
    }

    fn goal(&self, view: usize, clusters: &BTreeMap<usize, usize>, targets: usize, ridge: bool) -> Goal {
        let width = self.layout.width();
        let row = |m: usize| &self.rows[view][m * width..][..width];
        let mean_of = |wanted: &dyn Fn(usize, usize) -> bool| {
            mean(clusters.iter().filter(|(m, t)| wanted(**m, **t)).map(|(m, _)| row(*m)))
                .expect("a target has a member")
        };
        let rows = (0..targets).map(|target| mean_of(&|_, t| t == target)).collect();
        let mut square = vec![0f64; width];
        for class in clusters.keys().map(|m| self.labels[*m]).collect::<BTreeSet<_>>() {
            let centre = mean_of(&|m, _| self.labels[m] == class);
            for m in clusters.keys().filter(|m| self.labels[**m] == class) {
                square
                    .iter_mut()
                    .zip(row(*m).iter().zip(&centre))
                    .for_each(|(s, (v, c))| *s += f64::from(v - c).powi(2));
            }
        }
        let real = ridge.then(|| Real {
            features: clusters.keys().flat_map(|m| &row(*m)[..self.layout.hidden]).copied().collect(),
            labels: clusters.keys().map(|m| self.labels[*m]).collect(),
        });
        Goal { targets: rows, precision: precision(&square, clusters.len()), real }
    }
}

/// The seed of the random pictures: a constant, so that a release can be used by whoever has it.
const REFERENCE_SEED: u64 = 0x6d65_6466;

/// At most `real_per_class` images of each class, chosen by the seed.
fn choose(images: &Images, classes: usize, settings: &Settings) -> Vec<usize> {
    let mut chosen = Vec::new();
    for class in 0..classes {
        let mut own: Vec<usize> = (0..images.len()).filter(|&i| images.labels()[i] == class).collect();
        Stream::at(settings.seed, Purpose::Subset, class as u64, 2).shuffle(&mut own);
        own.truncate(settings.real_per_class);
        chosen.extend(own);
    }
    chosen.sort_unstable();
    chosen
}

/// Mean and deviation of each column, the deviation never much smaller than the average one.
fn moments(rows: &[f32], width: usize) -> [Vec<f32>; 2] {
    let centre = mean(rows.chunks_exact(width)).unwrap_or_default();
    let mut square = vec![0f64; width];
    for row in rows.chunks_exact(width) {
        square.iter_mut().zip(row.iter().zip(&centre)).for_each(|(s, (v, c))| *s += f64::from(v - c).powi(2));
    }
    let deviation = precision(&square, rows.len() / width).iter().map(|p| 1.0 / p).collect();
    [centre, deviation]
}

/// 1 / deviation from sums of squares over `n` rows; a deviation counts for at least a twentieth of the columns' average.
fn precision(square: &[f64], n: usize) -> Vec<f32> {
    let deviations: Vec<f64> = square.iter().map(|s| (s / n as f64).sqrt()).collect();
    let least = 0.05 * deviations.iter().sum::<f64>() / deviations.len() as f64;
    deviations.iter().map(|d| (1.0 / d.max(least).max(1e-9)) as f32).collect()
}
