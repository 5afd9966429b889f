//! Weights, factors and images that look random and are always the same.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::sync::Arc;

use crate::kernel::Level;
use crate::tensors::{Tensor, views, write};
use crate::vit::{Adapter, Precision, Shape, SiteFactors, Spread, Vit};

/// Weights by name, as the graph has them.
pub type Weights = BTreeMap<String, Tensor>;

/// The factors of one site.
pub struct Factors {
    pub rank: usize,
    pub a: Vec<f32>,
    pub b: Vec<f32>,
    pub magnitude_scale: Option<Vec<f32>>,
}

pub type BySite = BTreeMap<String, Factors>;

/// What angles fall off by, as DINOv3 has it.
pub const THETA: f64 = 100.0;

/// Numbers between -1 and 1.
pub fn numbers(seed: usize, count: usize) -> Vec<f32> {
    let mut state = (seed as u32).wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Where a patch is: from the top and from the left, each between -1 and 1.
pub fn place(shape: &Shape, patch: usize) -> [f64; 2] {
    let along = |index: usize| 2.0 * (index as f64 + 0.5) / shape.grid as f64 - 1.0;
    [along(patch / shape.grid), along(patch % shape.grid)]
}

pub fn weights(shape: &Shape) -> Weights {
    let one = |(index, (name, dims)): (usize, (String, Vec<usize>))| {
        let count = dims.iter().product();
        let small = |around: f32| numbers(index, count).into_iter().map(move |v| around + 0.3 * v);
        let data = match name.as_str() {
            "rotary.cos" => table(shape, f64::cos),
            "rotary.sin" => table(shape, f64::sin),
            name if name.contains("norm") && name.ends_with("weight") => small(1.0).collect(),
            _ => small(0.0).collect(),
        };
        (name, Tensor::f32(dims, data))
    };
    shape.weights().into_iter().enumerate().map(one).collect()
}

fn table(shape: &Shape, of: fn(f64) -> f64) -> Vec<f32> {
    let width = shape.head_width();
    let angles = shape.patches().enumerate().flat_map(|(patch, _)| {
        (0..width).map(move |at| {
            let (axis, step) = (at % (width / 2) / (width / 4), at % (width / 4));
            let fall = THETA.powf(-4.0 * step as f64 / width as f64);
            TAU * place(shape, patch)[axis] * fall
        })
    });
    angles.map(|angle| of(angle) as f32).collect()
}

/// Factors at the sites that `rank` gives a rank above zero.
pub fn factors(shape: &Shape, seed: usize, rank: impl Fn(&str) -> usize) -> BySite {
    let mut found = BySite::new();
    for (index, site) in shape.sites().enumerate() {
        let (name, (inputs, outputs)) = (site.to_string(), shape.widths(site));
        let rank = rank(&name);
        let small = |seed: usize, count: usize, by: f32| {
            numbers(seed + index, count).into_iter().map(|v| by * v).collect::<Vec<_>>()
        };
        let scale = || small(seed + 900, outputs, 0.3).into_iter().map(|v| 1.0 + v).collect();
        let magnitude_scale = (shape.magnitude_scales && index % 2 == 0).then(scale);
        let (a, b) = (small(seed, inputs * rank, 0.4), small(seed + 300, rank * outputs, 0.4));
        if rank > 0 {
            found.insert(name, Factors { rank, a, b, magnitude_scale });
        }
    }
    found
}

pub fn image(shape: &Shape, seed: usize) -> Vec<f32> {
    numbers(seed + 7000, 3 * shape.side() * shape.side())
}

pub fn vit(
    level: Level,
    shape: &Shape,
    weights: &Weights,
    precision: Precision,
    threads: Option<(usize, Spread)>,
) -> Vit {
    let named = weights.iter().map(|(name, tensor)| (name.as_str(), tensor));
    let bytes = write(named, &BTreeMap::new()).unwrap();
    let views = views(&bytes, "made").unwrap();
    let threads = threads.map(|(threads, spread)| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        (Arc::new(pool), spread)
    });
    Vit::new(level, shape.clone(), &views, precision, threads).unwrap()
}

pub fn adapter(vit: &Vit, by_site: &BySite) -> Adapter {
    let by_site = by_site.iter().map(|(site, factors)| {
        let Factors { rank, a, b, magnitude_scale } = factors;
        let magnitude_scale = magnitude_scale.as_deref();
        (site.clone(), SiteFactors { rank: *rank, a, b, magnitude_scale })
    });
    vit.adapter(&by_site.collect()).unwrap()
}
