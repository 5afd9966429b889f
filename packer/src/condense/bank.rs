//! The bank: the statistics of the real images under every view and its network, measured once.
//!
//! A private bank shows goals only the released class means, in units of what random pictures of no
//! patient give.

use crate::Error;
use crate::data::{Images, Labels};
use crate::device::Device;
use crate::predict::Predictor;
use crate::random::{Purpose, Stream};
use crate::train::Observer;

use super::cluster::distance;
use super::privacy::{Budget, Release};
use super::private_rows::PrivateRows;
use super::settings::CondenseSettings;
use super::source::Source;
use super::statistics::Layout;
use super::view::View;
use super::viewer::Viewer;
use super::views::Views;

/// Statistics of real images, or what was released of them.
pub struct Bank {
    layout: Layout,
    views: Views,
    /// Indices of the real images, and their classes and groups.
    images: Vec<usize>,
    labels: Vec<usize>,
    groups: Vec<usize>,
    /// By view: [images, width]. None in a private bank.
    rows: Vec<Vec<f32>>,
    /// The module's plain features, by image, for soft labels.
    adapted: Vec<Vec<f32>>,
    private: Option<PrivateRows>,
}

impl Bank {
    /// Measures the training images of `source` under every view.
    ///
    /// # Errors
    /// [`Error::Condense`]: a class whose images are all the same picture. An interruption; what
    /// the device reports.
    pub fn measure<D: Device + 'static>(
        device: &D,
        source: Source,
        settings: &CondenseSettings,
        observer: &mut dyn Observer,
    ) -> Result<Bank, Error> {
        let Source { vit, classes, images, module } = source;
        let chosen = choose(images, classes.len(), settings);
        let mut bank = Bank::empty(source, settings, chosen);
        let viewer = Viewer::new(device, source, settings, &bank.layout, &bank.views);
        for view in 0..bank.views.len() {
            bank.rows.push(viewer.rows_of(images, &bank.images, view)?);
            observer.step(&viewer.step(view + 1, bank.images.len()));
        }
        if let (Some(module), Labels::Soft) = (module, settings.labels) {
            let predictor = Predictor::new(device, vit, Some(module), settings.size);
            bank.adapted = predictor.features_of(images, &bank.images, |_| {})?;
        }
        bank.check_spread(classes)?;
        Ok(bank)
    }

    /// Measures what [`Bank::release`] will release: every image's row is its mean over the views,
    /// each view in units of random pictures. Where a release was made before, no patient is read
    /// again.
    ///
    /// # Errors
    /// An interruption; what the device reports.
    pub fn private<D: Device + 'static>(
        device: &D,
        source: Source,
        settings: &CondenseSettings,
        released: Option<Release>,
        observer: &mut dyn Observer,
    ) -> Result<Bank, Error> {
        let mut bank = Bank::empty(source, settings, (0..source.images.len()).collect());
        let source = Source { module: None, ..source };
        let viewer = Viewer::new(device, source, settings, &bank.layout, &bank.views);
        let private = PrivateRows::measure(&viewer, source, settings.size, released, observer)?;
        bank.private = Some(private);
        Ok(bank)
    }

    /// Releases the class means of the images `members` within `budget`, once: this is what spends
    /// it.
    ///
    /// # Errors
    /// What [`release`](fn@super::privacy::release) refuses; a bank that was not measured for a
    /// release, or that took one up.
    pub fn release(
        &mut self,
        members: &[usize],
        classes: &[String],
        budget: Budget,
    ) -> Result<(), Error> {
        let Some(private) = &mut self.private else {
            let what = "the bank was not measured for a release".into();
            return Err(Error::Condense { what });
        };
        private.release(members, [&self.labels, &self.groups], classes, budget)
    }

    fn empty(
        Source { vit, images, .. }: Source,
        settings: &CondenseSettings,
        chosen: Vec<usize>,
    ) -> Bank {
        Bank {
            layout: settings.layout(vit),
            views: Views::of(settings),
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
        self.views.at(view)
    }

    pub(super) fn view_count(&self) -> usize {
        self.views.len()
    }

    /// What was released; none where the bank is not private.
    pub(super) fn released(&self) -> Option<&Release> {
        self.private
            .as_ref()
            .map(|p| p.release.as_ref().expect("a private bank is used after its release"))
    }

    /// By view, the mean and deviation of random pictures: the units of a release. None where the
    /// bank is not private.
    pub(super) fn reference(&self) -> Option<&[[Vec<f32>; 2]]> {
        self.private.as_ref().map(|p| p.reference.as_slice())
    }

    /// The statistics of a real image under a view.
    pub(super) fn row(&self, view: usize, member: usize) -> &[f32] {
        let width = self.layout.width();
        &self.rows[view][member * width..][..width]
    }

    /// The view of iteration `t`.
    pub(super) fn order(&self, seed: u64, t: usize) -> usize {
        self.views.order(seed, t)
    }

    /// The real images, as indices into the source's images.
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
