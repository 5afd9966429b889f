//! The tissue itself: stroma, glands, nuclei.
//!
//! A grade from 0 to 1 sets the size and disorder of glands and nuclei. The amounts of stain and of
//! empty space are drawn apart from it, so that colour alone says little about the grade.

use std::f64::consts::PI;

use super::sheet::{Blob, Noise, Paint, Sheet};
use crate::random::Stream;

mod gland;
mod grade;
mod nucleus;
mod stroma;

use gland::glands;
use grade::nuclear_size;
use nucleus::Nucleus;
use stroma::{Stroma, bystanders, fibres, space};

/// A sheet of tissue of `grade`, `side` pixels wide and high.
pub fn tissue(grade: f64, side: usize, stream: &mut Stream) -> Sheet {
    let g = grade.clamp(0.0, 1.0);
    let mut sheet = fibres(side, stream);
    let glands = glands(g, stream);
    let stroma = Stroma { glands: &glands };
    bystanders(&stroma, &mut sheet, stream);
    space(&stroma, &mut sheet, stream);
    let mut nuclei = Vec::new();
    for gland in &glands {
        gland.paint(&mut sheet, stream);
        gland.nuclei(g, &mut nuclei, stream);
    }
    detached(g, &stroma, &mut sheet, &mut nuclei, stream);
    let density = stream.range(0.60, 1.15);
    let chromatin = Noise::new(stream);
    for nucleus in &nuclei {
        nucleus.paint(density, &chromatin, &mut sheet);
    }
    sheet
}

/// Cells that have left the glands: nests without a lumen, more of them the higher the grade.
fn detached(
    g: f64,
    stroma: &Stroma,
    sheet: &mut Sheet,
    nuclei: &mut Vec<Nucleus>,
    stream: &mut Stream,
) {
    let expected = 9.0 * ((g - 0.45) / 0.55).max(0.0);
    let nests = (expected * stream.range(0.6, 1.4)).round() as usize;
    let edge_of = sheet.edge();
    for _ in 0..nests {
        let centre = stroma.point(3.0, stream);
        let size = nuclear_size(g);
        let cells = 1 + stream.below(4);
        let axes = [size * (1.2 + 0.5 * cells as f64), size * (1.2 + 0.25 * cells as f64)];
        let angle = stream.range(0.0, PI);
        let body = Blob::new(stream, centre, axes, angle, 0.2);
        let [h, e] = [stream.range(0.08, 0.14), stream.range(0.20, 0.30)];
        sheet.paint(centre, body.reach() + 1.0, |dx, dy| {
            let cover = edge_of((1.0 - body.level(dx, dy)) * body.radius());
            Paint { haematoxylin: h, eosin: e, cover }
        });
        for cell in 0..cells {
            let at = (cell as f64 + 0.5) / cells as f64 * 2.0 - 1.0;
            let side = if at < 0.0 { PI } else { 0.0 };
            let centre = body.point(side + 0.3 * stream.normal(), 0.75 * at.abs());
            nuclei.push(Nucleus::new(g, size, centre, stream.range(0.0, PI), stream));
        }
    }
}
