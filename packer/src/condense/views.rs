//! The views of a bank, and the order in which iterations look through them.

use crate::random::{Purpose, Stream};

use super::settings::CondenseSettings;
use super::view::View;

/// Views that only mirror, the plain one among them: what a head will see and what trainings draw.
const MIRRORED: usize = 4;

/// The views of the settings: the plain one first, then mirrored ones, then drawn ones.
pub struct Views(Vec<View>);

impl Views {
    pub fn of(settings: &CondenseSettings) -> Views {
        let view = |v: usize| match v {
            _ if v == 0 || !settings.augment => View::plain(),
            v if v < MIRRORED => View::mirrored(v),
            v => View::draw(settings.seed, v, settings.size),
        };
        Views((0..settings.views.max(1)).map(view).collect())
    }

    /// View number `index`.
    pub fn at(&self, index: usize) -> &View {
        &self.0[index]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of iteration `t`'s view: in turns a mirrored and a drawn one, each kind once in
    /// each round of a random order.
    pub fn order(&self, seed: u64, t: usize) -> usize {
        let mirrored = MIRRORED.min(self.len());
        let drawn = self.len() - mirrored;
        let (kind, n, turn) = match drawn {
            0 => (0, mirrored, t),
            _ if t % 2 == 1 => (mirrored, drawn, t / 2),
            _ => (0, mirrored, t / 2),
        };
        let mut order: Vec<usize> = (kind..kind + n).collect();
        Stream::at(seed, Purpose::Subset, (turn / n) as u64, kind as u64).shuffle(&mut order);
        order[turn % n]
    }
}
