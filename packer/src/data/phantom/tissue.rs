//! The tissue itself: stroma, glands, nuclei. A grade from 0 to 1 sets the size and disorder of
//! glands and nuclei; the amounts of stain and of empty space are drawn apart from it, so that
//! colour alone says little about the grade.

use std::f64::consts::{PI, TAU};

use super::sheet::{Blob, FIELD, Noise, Paint, Sheet};
use crate::random::Stream;

/// A sheet of tissue of a grade, `side` pixels wide.
pub fn tissue(grade: f64, side: usize, stream: &mut Stream) -> Sheet {
    let g = grade.clamp(0.0, 1.0);
    let mut sheet = stroma(side, stream);
    let glands = glands(g, stream);
    let free = Free { glands: &glands };
    bystanders(&free, &mut sheet, stream);
    space(&free, &mut sheet, stream);
    let mut nuclei = Vec::new();
    for gland in &glands {
        gland.paint(&mut sheet, stream);
        gland.nuclei(g, &mut nuclei, stream);
    }
    detached(g, &free, &mut sheet, &mut nuclei, stream);
    let density = stream.range(0.60, 1.15);
    let chromatin = Noise::new(stream);
    for nucleus in &nuclei {
        nucleus.paint(density, &chromatin, &mut sheet);
    }
    sheet
}

/// Mean radius of the nuclei of epithelial cells.
fn nuclear_size(g: f64) -> f64 {
    blend(g, 2.15, 3.15)
}

fn blend(g: f64, low: f64, high: f64) -> f64 {
    low + g * (high - low)
}

/// Fibres of collagen, in one main direction.
fn stroma(side: usize, stream: &mut Stream) -> Sheet {
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

/// A ring of epithelium around a lumen.
struct Gland {
    outline: Blob,
    /// Where the lumen begins: a level of the outline.
    lumen: f64,
    cytoplasm: [f64; 2],
}

/// Glands that do not overlap, over the less of the field the higher the grade, so that nuclei
/// cover about the same part of it.
fn glands(g: f64, stream: &mut Stream) -> Vec<Gland> {
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
    fn paint(&self, sheet: &mut Sheet, stream: &mut Stream) {
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

    /// Nuclei around the lumen: one even layer at the base if the grade is low, piled up and out of
    /// line if it is high.
    fn nuclei(&self, g: f64, nuclei: &mut Vec<Nucleus>, stream: &mut Stream) {
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

/// Where there is stroma.
struct Free<'a> {
    glands: &'a [Gland],
}

impl Free<'_> {
    /// A random point of the stroma, at least `margin` from every gland if one is found in a few
    /// trials.
    fn point(&self, margin: f64, stream: &mut Stream) -> [f64; 2] {
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

/// Cells that have left the glands: nests without a lumen, more of them the higher the grade.
fn detached(
    g: f64,
    free: &Free,
    sheet: &mut Sheet,
    nuclei: &mut Vec<Nucleus>,
    stream: &mut Stream,
) {
    let expected = 9.0 * ((g - 0.45) / 0.55).max(0.0);
    let nests = (expected * stream.range(0.6, 1.4)).round() as usize;
    let edge_of = sheet.edge();
    for _ in 0..nests {
        let centre = free.point(3.0, stream);
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

/// Empty space in the stroma (clefts and vacuoles), until empty space as a whole has a share that
/// does not depend on the grade.
fn space(free: &Free, sheet: &mut Sheet, stream: &mut Stream) {
    let wanted = stream.range(0.06, 0.18) * FIELD * FIELD;
    let inside = |gland: &&Gland| gland.outline.centre.iter().all(|c| (0.0..FIELD).contains(c));
    let lumens = free
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
        let centre = free.point(axes[1], stream);
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
fn bystanders(free: &Free, sheet: &mut Sheet, stream: &mut Stream) {
    let chromatin = Noise::new(stream);
    let fibre = stream.range(0.0, PI);
    for _ in 0..3 + stream.below(9) {
        let axes = [stream.range(2.5, 4.5), stream.range(0.6, 1.0)];
        let centre = free.point(1.0, stream);
        let angle = fibre + 0.25 * stream.normal();
        let body = Blob::new(stream, centre, axes, angle, 0.05);
        Nucleus { body, rim: 0.2, mottle: 0.1, nucleolus: None }.paint(
            stream.range(0.6, 0.9),
            &chromatin,
            sheet,
        );
    }
    let focus = free.point(4.0, stream);
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

struct Nucleus {
    body: Blob,
    /// How much darker the membrane is than the inside.
    rim: f64,
    /// How uneven the chromatin is.
    mottle: f64,
    nucleolus: Option<[f64; 2]>,
}

impl Nucleus {
    /// A nucleus of an epithelial cell: small, oval and even at a low grade; large, odd and mottled
    /// at a high one.
    fn new(g: f64, size: f64, centre: [f64; 2], angle: f64, stream: &mut Stream) -> Self {
        let spread = blend(g, 0.06, 0.26);
        let radius = size * libm::exp(spread * stream.normal().clamp(-2.0, 2.0));
        let stretch = blend(g, 1.5, 1.2) + blend(g, 0.05, 0.35) * stream.normal().abs().min(2.0);
        let axes = [radius * stretch.sqrt(), radius / stretch.sqrt()];
        let nucleolus = (stream.unit() < blend(g, 0.0, 0.7))
            .then(|| [(); 2].map(|()| 0.3 * radius * stream.normal().clamp(-1.5, 1.5)));
        let body = Blob::new(stream, centre, axes, angle, blend(g, 0.03, 0.13));
        Nucleus { body, rim: blend(g, 0.15, 0.5), mottle: blend(g, 0.10, 0.35), nucleolus }
    }

    fn paint(&self, density: f64, chromatin: &Noise, sheet: &mut Sheet) {
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
