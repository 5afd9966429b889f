//! Glands: rings of epithelium around a lumen.

use std::f64::consts::{PI, TAU};

use super::super::sheet::{Blob, FIELD, Noise, Paint, Sheet};
use super::grade::{blend, nuclear_size};
use super::nucleus::Nucleus;
use crate::random::Stream;

/// A ring of epithelium around a lumen.
pub(super) struct Gland {
    pub outline: Blob,
    /// Where the lumen begins: a level of the outline.
    pub lumen: f64,
    /// Haematoxylin and eosin.
    cytoplasm: [f64; 2],
}

/// Glands that do not overlap. The higher the grade, the less of the field they cover, so that
/// nuclei cover about the same part of it at every grade.
pub(super) fn glands(g: f64, stream: &mut Stream) -> Vec<Gland> {
    let mut glands: Vec<Gland> = Vec::new();
    let target = stream.range(0.8, 1.2) * blend(g, 0.62, 0.24) * FIELD * FIELD;
    let mut area = 0.0;
    for _ in 0..60 {
        if area > target {
            break;
        }
        let size =
            blend(g, 14.0, 11.5) * (1.0 + blend(g, 0.12, 0.28) * stream.normal()).clamp(0.5, 1.5);
        let stretch = (1.0 + blend(g, 0.10, 0.30) * stream.normal().abs()).min(1.8);
        let centre = [(); 2].map(|()| stream.range(-0.05, 1.05) * FIELD);
        let axes = [size * stretch.sqrt(), size / stretch.sqrt()];
        let angle = stream.range(0.0, PI);
        let outline = Blob::new(stream, centre, axes, angle, blend(g, 0.05, 0.20));
        let clear = |other: &Gland| {
            let (dx, dy) =
                (centre[0] - other.outline.centre[0], centre[1] - other.outline.centre[1]);
            let distance = (dx * dx + dy * dy).sqrt();
            distance > 0.92 * (outline.radius() + other.outline.radius()) + 1.5
        };
        if !glands.iter().all(clear) {
            continue;
        }
        let lumen = (blend(g, 0.50, 0.22) + 0.09 * stream.normal()).clamp(0.0, 0.65);
        area += PI * axes[0] * axes[1];
        let cytoplasm = [stream.range(0.08, 0.14), stream.range(0.20, 0.30)];
        glands.push(Gland { outline, lumen, cytoplasm });
    }
    glands
}

impl Gland {
    pub fn paint(&self, sheet: &mut Sheet, stream: &mut Stream) {
        let texture = Noise::new(stream);
        let radius = self.outline.radius();
        let [h, e] = self.cytoplasm;
        let (edge_of, reach) = (sheet.edge(), self.outline.reach() + 2.0);
        let [x, y] = self.outline.centre;
        sheet.paint(self.outline.centre, reach, |dx, dy| {
            let level = self.outline.level(dx, dy);
            let outer = edge_of((1.0 - level) * radius);
            let inner = edge_of((self.lumen - level) * radius);
            let grain = 1.0 + 0.25 * texture.at((x + dx) / 2.0, (y + dy) / 2.0);
            // A bright rim parts the gland from the stroma.
            let rim = edge_of(1.2 - ((1.0 - level) * radius + 0.4).abs()) * 0.3;
            Paint {
                haematoxylin: blend(inner, h * grain, 0.01),
                eosin: blend(inner, e * grain * (1.0 - rim), 0.02),
                cover: outer,
            }
        });
    }

    /// Adds the nuclei around the lumen: one even layer at the base if the grade is low, piled up
    /// and out of line if it is high.
    pub fn nuclei(&self, g: f64, nuclei: &mut Vec<Nucleus>, stream: &mut Stream) {
        let radius = self.outline.radius();
        let size = nuclear_size(g);
        let base = (1.0 - 1.35 * size / radius).max(self.lumen);
        let layers = 1.0 + blend(g, 0.0, 0.7) * stream.range(0.6, 1.4);
        let count = (layers * TAU * radius * base / (blend(g, 1.85, 2.2) * size)).round().max(1.0);
        let start = stream.range(0.0, TAU);
        for i in 0..count as usize {
            let step = TAU / count;
            let angle = start + step * (i as f64 + blend(g, 0.08, 0.45) * stream.normal());
            let lift = blend(g, 0.03, 0.55) * stream.normal().abs();
            let level = (base - lift * (base - self.lumen)).max(self.lumen * 0.9);
            let centre = self.outline.point(angle, level);
            let [dx, dy] = [centre[0] - self.outline.centre[0], centre[1] - self.outline.centre[1]];
            let facing = libm::atan2(dy, dx) + blend(g, 0.08, 1.2) * stream.normal();
            nuclei.push(Nucleus::new(g, size, centre, facing, stream));
        }
    }
}
