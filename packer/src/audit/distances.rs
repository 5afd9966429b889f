//! Distances of synthetic images to the real ones that they were made from, and to as many held-out
//! ones.
//!
//! If a set copied its images, they would be nearer to training images than to held-out ones of the
//! same class.

use serde::Serialize;

use super::{Rate, median};
use crate::Error;
use crate::base::Vit;
use crate::data::{Condensed, Images};
use crate::device::Device;
use crate::eval::bootstrap::interval;
use crate::predict::Predictor;
use crate::random::{Purpose, Stream};

/// Nearest distances of the synthetic images of a set, in one space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Distances {
    /// `pixels` (root mean square over RGB in 0..1) or `features` (Euclidean, of the base).
    pub space: &'static str,
    /// The number of training images in the comparison, which is also the number of control images.
    pub real: usize,
    /// Medians over the synthetic images of the distance to the nearest image of their class.
    pub to_training: f64,
    pub to_control: f64,
    /// The smallest of all distances to a training image, and to a control image.
    pub least_to_training: f64,
    pub least_to_control: f64,
    /// Median over the control images of the distance to the nearest training image.
    pub control_to_training: f64,
    /// The fraction of synthetic images that are nearer to a training than to any control image.
    /// About one half if neither is favoured.
    pub nearer_to_training: Rate,
}

/// Resamples of the synthetic images, and of the real ones.
const RESAMPLES: u64 = 1000;

/// Compares `set` with its `training` images and with the `control` images, in pixels and in the
/// features of `vit`.
///
/// # Errors
/// Those of the device.
pub fn distances<D: Device + 'static>(
    device: &D,
    vit: &Vit,
    set: &Condensed,
    training: &Images,
    control: &Images,
    seed: u64,
) -> Result<[Distances; 2], Error> {
    let size = set.record.image_size as usize;
    let predictor = Predictor::new(device, vit, None, size);
    let features = |images: &Images| {
        predictor.features_of(images, &(0..images.len()).collect::<Vec<_>>(), |_| {})
    };
    let pixels = |images: &Images| -> Vec<Vec<f32>> {
        let scale = 1.0 / (255.0 * ((3 * size * size) as f32).sqrt());
        (0..images.len())
            .map(|i| images.pixels(i).iter().map(|v| f32::from(*v) * scale).collect())
            .collect()
    };
    let synthetic = Images::of(set);
    let all = [&synthetic, training, control];
    let labels = all.map(Images::labels);
    let chosen = equal_numbers(labels[1], labels[2], set.record.classes.len(), seed);
    let in_features = [features(all[0])?, features(all[1])?, features(all[2])?];
    Ok([
        compare("pixels", &all.map(pixels), labels, &chosen, seed),
        compare("features", &in_features, labels, &chosen, seed),
    ])
}

/// As many training images as control images of each class: the number of the smaller side.
fn equal_numbers(
    training: &[usize],
    control: &[usize],
    classes: usize,
    seed: u64,
) -> [Vec<usize>; 2] {
    let mut chosen = [vec![], vec![]];
    for class in 0..classes {
        let of = |labels: &[usize], side: u64| {
            let mut own: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
            Stream::at(seed, Purpose::Subset, class as u64, 10 + side).shuffle(&mut own);
            own
        };
        let (a, b) = (of(training, 0), of(control, 1));
        let n = a.len().min(b.len());
        chosen[0].extend(&a[..n]);
        chosen[1].extend(&b[..n]);
    }
    chosen
}

fn compare(
    space: &'static str,
    [synthetic, training, control]: &[Vec<Vec<f32>>; 3],
    [of_synthetic, of_training, of_control]: [&[usize]; 3],
    [a, b]: &[Vec<usize>; 2],
    seed: u64,
) -> Distances {
    let all_to = |rows: &[Vec<f32>], labels: &[usize], chosen: &[usize]| -> Vec<Vec<f64>> {
        let to = |(row, label): (&Vec<f32>, &usize)| {
            let of_class = chosen.iter().filter(|&&i| labels[i] == *label);
            of_class.map(|&i| distance(row, &rows[i])).collect()
        };
        synthetic.iter().zip(of_synthetic).map(to).collect()
    };
    let (to_training, to_control) =
        (all_to(training, of_training, a), all_to(control, of_control, b));
    let least = |row: &Vec<f64>| row.iter().copied().fold(f64::INFINITY, f64::min);
    let nearest = |rows: &[Vec<f64>]| rows.iter().map(least).collect::<Vec<_>>();
    let (near_training, near_control) = (nearest(&to_training), nearest(&to_control));
    let control_distances = b.iter().map(|&i| {
        let of_class = a.iter().filter(|&&j| of_training[j] == of_control[i]);
        of_class.map(|&j| distance(&control[i], &training[j])).fold(f64::INFINITY, f64::min)
    });
    let fractions = (0..RESAMPLES).map(|r| {
        // Synthetic images and real ones are resampled, the real ones by their places in each row.
        let mut stream = Stream::at(seed, Purpose::Subset, r, 12);
        let rows: Vec<usize> = synthetic.iter().map(|_| stream.below(synthetic.len())).collect();
        let widest = to_training.iter().map(Vec::len).max().unwrap_or(1).max(1);
        let mut places = || (0..widest).map(|_| stream.below(widest)).collect::<Vec<_>>();
        let (p, q) = (places(), places());
        let among = |row: &[f64], places: &[usize]| {
            places.iter().filter_map(|&p| row.get(p)).copied().fold(f64::INFINITY, f64::min)
        };
        let nearer = rows
            .iter()
            .filter(|&&i| among(&to_training[i], &p) < among(&to_control[i], &q))
            .count();
        nearer as f64 / rows.len() as f64
    });
    let (low, high) = interval(fractions.collect()).unwrap_or((f64::NAN, f64::NAN));
    let nearer = near_training.iter().zip(&near_control).filter(|(t, c)| t < c).count();
    Distances {
        space,
        real: a.len(),
        to_training: median(near_training.clone()),
        to_control: median(near_control.clone()),
        least_to_training: least(&near_training),
        least_to_control: least(&near_control),
        control_to_training: median(control_distances.collect()),
        nearer_to_training: Rate { value: nearer as f64 / synthetic.len() as f64, low, high },
    }
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}
