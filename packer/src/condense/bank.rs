//! The bank: the statistics of the real images under every view and its network, measured once.
//!
//! Of a private bank goals see the released class means alone, in units of what random pictures of
//! no patient give.

use crate::base::Weights;
use crate::data::{Images, Labels};
use crate::device::Device;
use crate::predict::Predictor;
use crate::random::{Purpose, Stream};
use crate::{Error, interrupt};

use super::canvas::Canvas;
use super::cluster::distance;
use super::ensemble::Ensemble;
use super::palette::Palette;
use super::pixels::normalised;
use super::privacy::{Budget, FeatureRow, Release, release};
use super::statistics::{Layout, Network, moments};
use super::view::View;
use super::{CondenseSettings, Observer, Source};

/// Statistics of real images, or what was released of them.
pub struct Bank {
    layout: Layout,
    views: Vec<View>,
    /// Indices of the real images, and their classes and groups.
    images: Vec<usize>,
    labels: Vec<usize>,
    groups: Vec<usize>,
    /// By view: [images, width]. None in a private bank.
    rows: Vec<Vec<f32>>,
    /// The module's plain features, by image, for soft labels.
    adapted: Vec<Vec<f32>>,
    private: Option<Private>,
}

/// What a private bank holds.
struct Private {
    /// By image, for a release: its mean over the views, each in units of random pictures [images,
    /// width].
    rows: Vec<f32>,
    /// By view, the mean and deviation of random pictures.
    reference: Vec<[Vec<f32>; 2]>,
    release: Option<Release>,
}

/// Views that only mirror, the plain one among them: what a head will see and what trainings draw.
const MIRRORED: usize = 4;
/// Random pictures that a private release is measured against.
const REFERENCE: usize = 64;
/// The largest norm of a group's row, in units of what random pictures have on average.
const CLIP: f64 = 2.0;

impl Bank {
    /// Measures the training images of `source` under every view.
    pub fn measure<D: Device + 'static>(
        device: &D,
        source: Source,
        settings: &CondenseSettings,
        observer: &mut dyn Observer,
    ) -> Result<Bank, Error> {
        let Source { vit, classes, images, module } = source;
        let chosen = choose(images, classes.len(), settings);
        let mut bank = Bank::empty(source, settings, chosen);
        let frozen = Weights::frozen(device, vit, settings.size);
        let ensemble = Ensemble::new(vit, module, settings.perturbation, settings.seed);
        for (v, view) in bank.views.iter().enumerate() {
            let network = Network { weights: &frozen, sites: ensemble.sites(device, v) };
            bank.rows.push(network.rows_of(device, images, &bank.images, view, &bank.layout)?);
            observer.step("views of the real images", v + 1, bank.views.len(), None);
        }
        if let (Some(module), Labels::Soft) = (module, settings.labels) {
            let predictor = Predictor::new(device, vit, Some(module), settings.size);
            bank.adapted = predictor.features_of(images, &bank.images, |_| {})?;
        }
        bank.check_spread(classes)?;
        Ok(bank)
    }

    /// Measures what [`Bank::release`] will release: every image's row is its mean over the views,
    /// each view in units of random pictures. With a release that was made before, no patient is
    /// read again.
    pub fn private<D: Device + 'static>(
        device: &D,
        source: Source,
        settings: &CondenseSettings,
        released: Option<Release>,
        observer: &mut dyn Observer,
    ) -> Result<Bank, Error> {
        let Source { vit, images, .. } = source;
        let mut bank = Bank::empty(source, settings, (0..images.len()).collect());
        let (layout, views) = (bank.layout.clone(), bank.views.len());
        let width = layout.width();
        let frozen = Weights::frozen(device, vit, settings.size);
        let ensemble = Ensemble::new(vit, None, settings.perturbation, settings.seed);
        let canvas = Canvas::new(settings.size, Palette::neutral(vit.preprocessing.mean));
        let mut sums = vec![0f32; if released.is_none() { images.len() * width } else { 0 }];
        let mut reference = Vec::with_capacity(views);
        for (v, view) in bank.views.iter().enumerate() {
            interrupt::check()?;
            let network = Network { weights: &frozen, sites: ensemble.sites(device, v) };
            let pictures: Vec<f32> =
                (0..REFERENCE).flat_map(|i| canvas.noise(REFERENCE_SEED, i, 0)).collect();
            let normalised = normalised(vit, &canvas.paint(&pictures), settings.size);
            let rows = network.rows(device, &normalised, view, &layout)?;
            let [centre, deviation] = moments(&rows, width);
            if released.is_none() {
                let rows = network.rows_of(device, images, &bank.images, view, &layout)?;
                for (sum, row) in sums.chunks_exact_mut(width).zip(rows.chunks_exact(width)) {
                    for j in 0..width {
                        sum[j] += (row[j] - centre[j]) / deviation[j] / views as f32;
                    }
                }
            }
            reference.push([centre, deviation]);
            observer.step("views of the real images", v + 1, views, None);
        }
        bank.private = Some(Private { rows: sums, reference, release: released });
        Ok(bank)
    }

    /// Releases the class means of the images `members` within `budget`, once: this is what spends
    /// it. Panics on a bank that is not private or took up a release.
    pub fn release(
        &mut self,
        members: &[usize],
        classes: &[String],
        budget: Budget,
    ) -> Result<(), Error> {
        let width = self.layout.width();
        let private = self.private.as_mut().expect("the bank is private");
        let row = |&m: &usize| {
            let row = &private.rows[m * width..][..width];
            FeatureRow { class: self.labels[m], group: self.groups[m], row }
        };
        let rows: Vec<FeatureRow> = members.iter().map(row).collect();
        private.release = Some(release(&rows, classes, CLIP * (width as f64).sqrt(), budget)?);
        Ok(())
    }

    fn empty(
        Source { vit, images, .. }: Source,
        settings: &CondenseSettings,
        chosen: Vec<usize>,
    ) -> Bank {
        // The first view is the plain one, under the base itself.
        let drawn = (1..settings.views).map(|v| {
            if v < MIRRORED {
                View::mirrored(v)
            } else {
                View::draw(settings.seed, v, settings.size)
            }
        });
        let plain = (1..settings.views).map(|_| View::plain());
        let others: Vec<View> = if settings.augment { drawn.collect() } else { plain.collect() };
        Bank {
            layout: settings.layout(vit),
            views: [View::plain()].into_iter().chain(others).collect(),
            labels: chosen.iter().map(|&i| images.labels()[i]).collect(),
            groups: chosen.iter().map(|&i| images.groups()[i]).collect(),
            images: chosen,
            rows: vec![],
            adapted: vec![],
            private: None,
        }
    }

    /// Refuses a class whose images are all the same to the base.
    fn check_spread(&self, classes: &[String]) -> Result<(), Error> {
        for (class, name) in classes.iter().enumerate() {
            let members: Vec<usize> =
                (0..self.labels.len()).filter(|&m| self.labels[m] == class).collect();
            let first = self.feature(members[0]);
            if members.iter().all(|&m| distance(self.feature(m), first) == 0.0) {
                let what = format!(
                    "the {} images of class {name} are all the same picture",
                    members.len()
                );
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

    pub(super) fn view_count(&self) -> usize {
        self.views.len()
    }

    /// What was released; none of a bank that is not private.
    pub(super) fn released(&self) -> Option<&Release> {
        self.private
            .as_ref()
            .map(|p| p.release.as_ref().expect("a private bank is used after its release"))
    }

    /// By view, the mean and deviation of random pictures that a release is in units of; none of a
    /// bank that is not private.
    pub(super) fn reference(&self) -> Option<&[[Vec<f32>; 2]]> {
        self.private.as_ref().map(|p| p.reference.as_slice())
    }

    /// The statistics of a real image under a view.
    pub(super) fn row(&self, view: usize, member: usize) -> &[f32] {
        let width = self.layout.width();
        &self.rows[view][member * width..][..width]
    }

    /// The view of iteration `t`: in turns a mirrored and a drawn one, each kind once in each round
    /// of a random order.
    pub(super) fn order(&self, seed: u64, t: usize) -> usize {
        let mirrored = MIRRORED.min(self.views.len());
        let drawn = self.views.len() - mirrored;
        let (kind, n, turn) = match drawn {
            0 => (0, mirrored, t),
            _ if t % 2 == 1 => (mirrored, drawn, t / 2),
            _ => (0, mirrored, t / 2),
        };
        let mut order: Vec<usize> = (kind..kind + n).collect();
        Stream::at(seed, Purpose::Subset, (turn / n) as u64, kind as u64).shuffle(&mut order);
        order[turn % n]
    }

    /// The real images, as indices into what they were measured from.
    pub fn images(&self) -> &[usize] {
        &self.images
    }

    /// The class of each real image.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The group of each real image.
    pub fn groups(&self) -> &[usize] {
        &self.groups
    }

    /// The base's feature of a real image, as it is.
    pub fn feature(&self, member: usize) -> &[f32] {
        &self.row(0, member)[..self.layout.features]
    }

    /// The module's feature of a real image.
    pub(super) fn adapted(&self, member: usize) -> &[f32] {
        &self.adapted[member]
    }
}

/// The seed of the random pictures: a constant, so that a release can be used by whoever has it.
const REFERENCE_SEED: u64 = 0x6d65_6466;

/// At most `real_per_class` images of each class, chosen by the seed.
fn choose(images: &Images, classes: usize, settings: &CondenseSettings) -> Vec<usize> {
    let mut chosen = Vec::new();
    for class in 0..classes {
        let mut own: Vec<usize> =
            (0..images.len()).filter(|&i| images.labels()[i] == class).collect();
        Stream::at(settings.seed, Purpose::Subset, class as u64, 2).shuffle(&mut own);
        own.truncate(settings.real_per_class);
        chosen.extend(own);
    }
    chosen.sort_unstable();
    chosen
}
