//! The nuclei of cells.

use super::super::sheet::{Blob, Noise, Paint, Sheet};
use super::grade::blend;
use crate::random::Stream;

/// A nucleus on the sheet.
pub(super) struct Nucleus {
    pub body: Blob,
    /// How much darker the membrane is than the inside.
    pub rim: f64,
    /// How uneven the chromatin is.
    pub mottle: f64,
    /// Where the nucleolus lies, from the centre.
    pub nucleolus: Option<[f64; 2]>,
}

impl Nucleus {
    /// A nucleus of an epithelial cell. At a low grade it is small, oval and even; at a high one
    /// large, odd and mottled.
    pub fn new(g: f64, size: f64, centre: [f64; 2], angle: f64, stream: &mut Stream) -> Self {
        let spread = blend(g, 0.06, 0.26);
        let radius = size * libm::exp(spread * stream.normal().clamp(-2.0, 2.0));
        let stretch = blend(g, 1.5, 1.2) + blend(g, 0.05, 0.35) * stream.normal().abs().min(2.0);
        let axes = [radius * stretch.sqrt(), radius / stretch.sqrt()];
        let nucleolus = (stream.unit() < blend(g, 0.0, 0.7))
            .then(|| [(); 2].map(|()| 0.3 * radius * stream.normal().clamp(-1.5, 1.5)));
        let body = Blob::new(stream, centre, axes, angle, blend(g, 0.03, 0.13));
        Nucleus { body, rim: blend(g, 0.15, 0.5), mottle: blend(g, 0.10, 0.35), nucleolus }
    }

    /// Paints it; `density` is its amount of haematoxylin.
    pub fn paint(&self, density: f64, chromatin: &Noise, sheet: &mut Sheet) {
        let edge_of = sheet.edge();
        let radius = self.body.radius();
        let [x, y] = self.body.centre;
        sheet.paint(self.body.centre, self.body.reach() + 1.0, |dx, dy| {
            let depth = (1.0 - self.body.level(dx, dy)) * radius;
            let cover = 0.94 * edge_of(depth);
            if cover <= 0.0 {
                return Paint { haematoxylin: 0.0, eosin: 0.0, cover: 0.0 };
            }
            let membrane = self.rim * (edge_of(0.7 - depth) - 0.35);
            let mottle = self.mottle * chromatin.at((x + dx) / 1.1, (y + dy) / 1.1);
            let spot = self.nucleolus.map_or(0.0, |[nx, ny]| {
                let (ox, oy) = (dx - nx, dy - ny);
                0.6 * edge_of(0.75 - (ox * ox + oy * oy).sqrt())
            });
            Paint {
                haematoxylin: density * (1.0 + membrane + mottle + spot).max(0.2),
                eosin: 0.10,
                cover,
            }
        });
    }
}
