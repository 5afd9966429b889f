//! A sheet of tissue before the camera: how much haematoxylin and eosin each point holds, and the
//! shapes that are painted on it.
//!
//! A side of the field of view is [`FIELD`] units long, whatever its number of pixels. IEEE
//! 754 defines every operation here exactly, and sine and cosine are libm's. So the same seed gives
//! the same bytes everywhere.

use crate::random::Stream;

/// The side of the field of view.
pub const FIELD: f64 = 80.0;

/// Stain concentrations, `side` x `side`, rows from the top.
pub struct Sheet {
    pub side: usize,
    pub haematoxylin: Vec<f64>,
    pub eosin: Vec<f64>,
}

/// What is painted at one point.
#[derive(Clone, Copy)]
pub struct Paint {
    pub haematoxylin: f64,
    pub eosin: f64,
    /// 0 leaves what was there, 1 replaces it.
    pub cover: f64,
}

impl Sheet {
    /// A sheet whose concentrations are given by `stain(x, y) -> (haematoxylin, eosin)`.
    pub fn new(side: usize, stain: impl Fn(f64, f64) -> (f64, f64)) -> Self {
        let unit = FIELD / side as f64;
        let points = (0..side * side).map(|i| {
            let (row, column) = (i / side, i % side);
            stain((column as f64 + 0.5) * unit, (row as f64 + 0.5) * unit)
        });
        let (haematoxylin, eosin) = points.unzip();
        Sheet { side, haematoxylin, eosin }
    }

    /// Paints within `reach` of a point; `paint(dx, dy)` gets each pixel's offset from it.
    pub fn paint(&mut self, [x, y]: [f64; 2], reach: f64, paint: impl Fn(f64, f64) -> Paint) {
        let unit = FIELD / self.side as f64;
        let span = |at: f64| {
            let clamp = |v: f64| (v / unit).clamp(0.0, self.side as f64) as usize;
            clamp(at - reach)..clamp(at + reach + unit)
        };
        for row in span(y) {
            for column in span(x) {
                let dx = (column as f64 + 0.5) * unit - x;
                let dy = (row as f64 + 0.5) * unit - y;
                let Paint { haematoxylin, eosin, cover } = paint(dx, dy);
                if cover > 0.0 {
                    let at = row * self.side + column;
                    self.haematoxylin[at] += cover * (haematoxylin - self.haematoxylin[at]);
                    self.eosin[at] += cover * (eosin - self.eosin[at]);
                }
            }
        }
    }

    /// How far a pixel reaches into a shape whose edge is `depth` away (positive inside), 0 to 1.
    pub fn edge(&self) -> impl Fn(f64) -> f64 + use<> {
        let pixels = self.side as f64 / FIELD;
        move |depth| (0.5 + depth * pixels).clamp(0.0, 1.0)
    }
}

/// An ellipse with a wavy outline.
#[derive(Clone)]
pub struct Blob {
    pub centre: [f64; 2],
    /// Half axes.
    pub axes: [f64; 2],
    /// Cosine and sine of the first axis' direction.
    direction: [f64; 2],
    /// Amplitudes of the waves with 2, 3, 4, 5 periods, as cosine and sine parts.
    waves: [[f64; 2]; 4],
}

impl Blob {
    /// `waviness` is the standard deviation of the outline's relative radius.
    pub fn new(
        stream: &mut Stream,
        centre: [f64; 2],
        axes: [f64; 2],
        angle: f64,
        waviness: f64,
    ) -> Self {
        let amplitude = waviness / 2.0;
        let waves = [(); 4].map(|()| {
            [amplitude * stream.normal(), amplitude * stream.normal()].map(|a| a.clamp(-0.2, 0.2))
        });
        Blob { centre, axes, direction: [libm::cos(angle), libm::sin(angle)], waves }
    }

    /// 0 at the centre, 1 on the outline, above 1 outside.
    pub fn level(&self, dx: f64, dy: f64) -> f64 {
        let [c, s] = self.direction;
        let (u, v) = ((c * dx + s * dy) / self.axes[0], (c * dy - s * dx) / self.axes[1]);
        let radius = (u * u + v * v).sqrt();
        if radius > 1e-9 { radius / self.outline([u / radius, v / radius]) } else { 0.0 }
    }

    /// The point at `level` in the direction of `angle`, and that direction in the field.
    pub fn point(&self, angle: f64, level: f64) -> [f64; 2] {
        let unit = [libm::cos(angle), libm::sin(angle)];
        let radius = level * self.outline(unit);
        let (u, v) = (radius * unit[0] * self.axes[0], radius * unit[1] * self.axes[1]);
        let [c, s] = self.direction;
        [self.centre[0] + c * u - s * v, self.centre[1] + s * u + c * v]
    }

    /// No point of the outline is farther from the centre.
    pub fn reach(&self) -> f64 {
        let waves: f64 = self.waves.iter().map(|w| w[0].abs() + w[1].abs()).sum();
        self.axes[0].max(self.axes[1]) * (1.0 + waves)
    }

    /// Mean half axis.
    pub fn radius(&self) -> f64 {
        (self.axes[0] * self.axes[1]).sqrt()
    }

    /// The outline's relative radius in the direction of a unit vector, whose powers have the
    /// multiples of its angle.
    fn outline(&self, [c, s]: [f64; 2]) -> f64 {
        let (mut re, mut im, mut radius) = (c, s, 1.0);
        for [a, b] in self.waves {
            (re, im) = (re * c - im * s, re * s + im * c);
            radius += a * re + b * im;
        }
        radius.max(0.35)
    }
}

/// Smooth random values over the plane, about -1 to 1.
pub struct Noise {
    lattice: Vec<f64>,
}

const LATTICE: usize = 32;

impl Noise {
    pub fn new(stream: &mut Stream) -> Self {
        Noise { lattice: (0..LATTICE * LATTICE).map(|_| stream.range(-1.0, 1.0)).collect() }
    }

    /// The value at a point; it changes over a distance of about 1.
    pub fn at(&self, x: f64, y: f64) -> f64 {
        let (left, top) = (x.floor(), y.floor());
        let ease = |t: f64| t * t * (3.0 - 2.0 * t);
        let (u, v) = (ease(x - left), ease(y - top));
        let wrap = |i: f64| (i as i64).rem_euclid(LATTICE as i64) as usize;
        let value = |i: usize, j: usize| self.lattice[(j % LATTICE) * LATTICE + i % LATTICE];
        let (i, j) = (wrap(left), wrap(top));
        let upper = value(i, j) + u * (value(i + 1, j) - value(i, j));
        let lower = value(i, j + 1) + u * (value(i + 1, j + 1) - value(i, j + 1));
        upper + v * (lower - upper)
    }
}
