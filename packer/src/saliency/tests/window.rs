//! On images of which one region alone carries the class, maps lie on that region.

use super::rollout::rollout;
use super::*;
use crate::base::embedded;
use crate::data::phantom::{self, HOSPITALS, Specimen};
use crate::data::{Augment, Dataset, Split};
use crate::train::{About, Examples, Job, Method, TrainSettings, Unobserved};

const SIDE: usize = 64;
/// Side of the window in pixels: 10 % of the image.
const WINDOW: usize = 20;

/// Images of regular tissue, each with a `dark` or a `pale` window, and where that lies (top, left)
/// by the image's path.
fn data(images: usize) -> (tempfile::TempDir, Dataset, BTreeMap<String, [usize; 2]>) {
    let dir = tempfile::tempdir().unwrap();
    let mut table = String::from("path,label,group,split\n");
    let mut places = BTreeMap::new();
    let label = phantom::CLASSES.iter().position(|class| *class == "regular").unwrap();
    for image in 0..images {
        let specimen =
            Specimen { hospital: &HOSPITALS[0], label, patient: image, image, split: Split::Train };
        let mut pixels = phantom::draw(&specimen, SIDE, 5).unwrap().data().to_vec();
        let (dark, path) = (image % 2 == 0, format!("{image}.png"));
        let [top, left] = [7, 11].map(|step| image * step % (SIDE - WINDOW));
        for row in pixels.chunks_exact_mut(3 * SIDE).skip(top).take(WINDOW) {
            for value in &mut row[3 * left..3 * (left + WINDOW)] {
                *value = if dark { *value / 2 } else { 255 - (255 - *value) / 3 };
            }
        }
        let png = phantom::png(&RgbImage8::new(pixels, SIDE as u32, SIDE as u32).unwrap()).unwrap();
        std::fs::write(dir.path().join(&path), png).unwrap();
        let (class, split) =
            (if dark { "dark" } else { "pale" }, if image % 4 < 2 { "train" } else { "test" });
        table += &format!("{path},{class},{image},{split}\n");
        places.insert(path, [top, left]);
    }
    std::fs::write(dir.path().join("splits.csv"), table).unwrap();
    let data = Dataset::open(dir.path()).unwrap();
    (dir, data, places)
}

fn trained(vit: &Vit, data: &Dataset) -> Module {
    let settings = TrainSettings {
        size: SIDE,
        epochs: 5,
        batch: 16,
        learning_rate: 3e-3,
        weight_decay: 0.01,
        warm_up: 0.1,
        augment: Augment { flip_horizontal: true, flip_vertical: true, colour_jitter: 0.0 },
        seed: 0,
        method: Method::Lora {
            rank: 8,
            alpha: 8.0,
            targets: "q,v".into(),
            last_layers: None,
            dora: false,
            dropout: 0.0,
        },
    };
    let images = Images::load(
        data,
        &data.indices(Split::Train),
        &vit.preprocessing_for(SIDE as u32).unwrap(),
    )
    .unwrap();
    let training: Vec<usize> = (0..images.len()).collect();
    let examples = Examples {
        classes: &data.classes,
        images: &images,
        training: &training,
        validation: &[],
        head: None,
    };
    let trained =
        Job::new(&Cpu::<f32>::new(), vit, examples, &settings).run(&mut Unobserved).unwrap();
    let about =
        About { task: "window".into(), contributor: "tests".into(), licence: "CC0-1.0".into() };
    trained.into_module(vit, &settings, about).unwrap()
}

/// The fraction of a map's mass that lies in the window. The mass of a patch is spread evenly over
/// its pixels.
fn inside(map: &[f32], grid: usize, [top, left]: [usize; 2]) -> f64 {
    let patch = SIDE / grid;
    let overlap = |first: usize, place: usize| {
        (first + patch).min(place + WINDOW).saturating_sub(first.max(place)) as f64 / patch as f64
    };
    let of = |(i, value): (usize, &f32)| {
        f64::from(*value) * overlap(i / grid * patch, top) * overlap(i % grid * patch, left)
    };
    map.iter().enumerate().map(of).sum::<f64>() / map.iter().map(|v| f64::from(*v)).sum::<f64>()
}

/// A tenth of each image carries its class. What speaks for the dark window is in it; an even map
/// would have a tenth of its mass there. A pale window is told by what it lacks, which a gradient
/// does not show, so it is not tested.
#[test]
fn maps_lie_where_the_class_is() {
    let vit = embedded::open().unwrap();
    let (_dir, data, places) = data(160);
    let module = trained(&vit, &data);
    let indices = data.indices(Split::Test);
    let images =
        Images::load(&data, &indices, &vit.preprocessing_for(SIDE as u32).unwrap()).unwrap();
    let all: Vec<usize> = (0..images.len()).collect();
    let found = of(&Cpu::<f32>::new(), &vit, &module, &images, &all).unwrap();
    let classifier = classifier(&vit, &module);
    let (mut gradient, mut attention, mut right) = (Vec::new(), Vec::new(), 0);
    for (row, (saliency, &index)) in found.iter().zip(&indices).enumerate() {
        let item = &data.items[index];
        let place = places[item.path.to_str().unwrap()];
        right += usize::from(saliency.class == item.label);
        let most = saliency.map.iter().copied().fold(0.0, f32::max);
        assert!(
            most == 1.0 && saliency.map.iter().all(|v| (0.0..=1.0).contains(v)),
            "{:?}",
            saliency.map
        );
        if saliency.class == item.label && data.classes[item.label] == "dark" {
            gradient.push(inside(&saliency.map, saliency.grid, place));
        }
        let image = RgbImage8::new(images.pixels(row).to_vec(), SIDE as u32, SIDE as u32).unwrap();
        let map = explained(&classifier, &image, &Selection::Default);
        if row == 0 {
            let mut pixels = Vec::new();
            images.batch(&[row], None, &mut pixels).unwrap();
            let expected = rollout(&vit, Some(&module), &pixels, SIDE);
            assert!(
                map.values
                    .iter()
                    .zip(&expected)
                    .all(|(ours, other)| (f64::from(*ours) - other).abs() < 1e-4)
            );
        }
        attention.push(inside(&map.values, map.grid, place));
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let area = (WINDOW * WINDOW) as f64 / (SIDE * SIDE) as f64;
    let (gradient, attention) = (mean(&gradient), mean(&attention));
    println!(
        "area {area:.3}, gradient {gradient:.3}, rollout {attention:.3}, {right} of {} right",
        indices.len()
    );
    assert!(
        right * 10 > indices.len() * 9,
        "only {right} of {} were classified rightly",
        indices.len()
    );
    assert!(gradient > 3.0 * area, "{gradient:.3} of the gradient's mass on {area:.3} of the area");
    assert!(
        attention > 1.3 * area,
        "{attention:.3} of the rollout's mass on {area:.3} of the area"
    );
}
