//! The stroma between the glands: its fibres, its cells and its empty space. None of it depends on
//! the grade.

use std::f64::consts::PI;

use super::super::sheet::{Blob, FIELD, Noise, Paint, Sheet};
use super::gland::Gland;
use super::nucleus::Nucleus;
use crate::random::Stream;

/// Fibres of collagen, in one main direction.
pub(super) fn fibres(side: usize, stream: &mut Stream) -> Sheet {
    let angle = stream.range(0.0, PI);
    let (c, s) = (libm::cos(angle), libm::sin(angle));
    let [warp, fibre, fine, ground] = [(); 4].map(|()| Noise::new(stream));
    Sheet::new(side, |x, y| {
        let bend = 5.0 * warp.at(x / 22.0, y / 22.0);
        let (along, across) = (c * x + s * y + bend, c * y - s * x + bend);
        let strands =
            0.6 * fibre.at(along / 16.0, across / 2.6) + 0.4 * fine.at(along / 7.0, across / 1.1);
        let thick = 0.30 + 0.06 * ground.at(x / 14.0, y / 14.0);
        (0.04, (thick + 0.15 * strands).max(0.04))
    })
}

/// The part of the field outside of all glands.
pub(super) struct Stroma<'a> {
    pub glands: &'a [Gland],
}

impl Stroma<'_> {
    /// A random point of the stroma, at least `margin` from every gland if one is found in a few
    /// trials.
    pub fn point(&self, margin: f64, stream: &mut Stream) -> [f64; 2] {
        let mut point = [0.0; 2];
        for _ in 0..12 {
            point = [(); 2].map(|()| stream.range(0.0, FIELD));
            let outside = |gland: &Gland| {
                let [dx, dy] =
                    [point[0] - gland.outline.centre[0], point[1] - gland.outline.centre[1]];
                (gland.outline.level(dx, dy) - 1.0) * gland.outline.radius() > margin
            };
            if self.glands.iter().all(outside) {
                break;
            }
        }
        point
    }
}

/// Empty space in the stroma (clefts and vacuoles). It is added until all empty space, lumens
/// included, covers a part of the field that does not depend on the grade.
pub(super) fn space(stroma: &Stroma, sheet: &mut Sheet, stream: &mut Stream) {
    let wanted = stream.range(0.06, 0.18) * FIELD * FIELD;
    let inside = |gland: &&Gland| gland.outline.centre.iter().all(|c| (0.0..FIELD).contains(c));
    let lumens = stroma
        .glands
        .iter()
        .filter(inside)
        .map(|l| PI * l.outline.axes[0] * l.outline.axes[1] * l.lumen * l.lumen);
    let mut space: f64 = lumens.sum();
    let edge_of = sheet.edge();
    for _ in 0..30 {
        if space >= wanted {
            break;
        }
        let long = stream.range(3.0, 11.0);
        let axes = [long, long * stream.range(0.2, 0.7)];
        let centre = stroma.point(axes[1], stream);
        let angle = stream.range(0.0, PI);
        let hole = Blob::new(stream, centre, axes, angle, 0.10);
        sheet.paint(centre, hole.reach() + 1.0, |dx, dy| {
            let cover = edge_of((1.0 - hole.level(dx, dy)) * hole.radius());
            Paint { haematoxylin: 0.01, eosin: 0.02, cover }
        });
        space += PI * axes[0] * axes[1];
    }
}

/// Spindle cells and lymphocytes of the stroma, the same for every grade.
pub(super) fn bystanders(stroma: &Stroma, sheet: &mut Sheet, stream: &mut Stream) {
    let chromatin = Noise::new(stream);
    let fibre = stream.range(0.0, PI);
    for _ in 0..3 + stream.below(9) {
        let axes = [stream.range(2.5, 4.5), stream.range(0.6, 1.0)];
        let centre = stroma.point(1.0, stream);
        let angle = fibre + 0.25 * stream.normal();
        let body = Blob::new(stream, centre, axes, angle, 0.05);
        Nucleus { body, rim: 0.2, mottle: 0.1, nucleolus: None }.paint(
            stream.range(0.6, 0.9),
            &chromatin,
            sheet,
        );
    }
    let focus = stroma.point(4.0, stream);
    for _ in 0..stream.below(14) {
        let centre = focus.map(|c| c + 7.0 * stream.normal());
        let axes = [stream.range(1.4, 1.8); 2];
        let body = Blob::new(stream, centre, axes, 0.0, 0.03);
        Nucleus { body, rim: 0.0, mottle: 0.15, nucleolus: None }.paint(
            stream.range(1.0, 1.4),
            &chromatin,
            sheet,
        );
    }
}
