//! Golden vectors as they are stored.

use std::collections::BTreeMap;

use super::take::Take;
use crate::bundle::manifest;
use crate::image::RgbImage8;
use crate::tensors::Tensor;
use crate::{Class, Error};

/// What the packer computed: the input, and for every task the features under its networks and the
/// probabilities.
pub struct Golden {
    /// What the input was made of; bundles of the first packers have none.
    pub image: Option<RgbImage8>,
    pub pixels: Vec<f32>,
    pub by_task: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
    /// The same in eight bits, if the bundle runs so.
    pub int8: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
}

/// The golden vectors for `heads`, each with the number of its networks.
pub fn golden(
    heads: &[(&manifest::Head, usize)],
    tensors: BTreeMap<String, Tensor>,
    image: [usize; 2],
    feature: usize,
    int8: bool,
) -> Result<Golden, Error> {
    let mut take = Take::new("golden.safetensors", tensors);
    let pixels = take.tensor("pixels", &[1, 3, image[0], image[1]]);
    let image = take.tensors.contains_key("image").then(|| picture(&mut take, image));
    let mut answers = |prefix: &str| {
        let answers = heads.iter().map(|(head, networks)| {
            let expected =
                take.tensor(&format!("{prefix}feature.{}", head.task), &[*networks, feature]);
            let probabilities = take
                .tensor(&format!("{prefix}probabilities.{}", head.task), &[1, head.classes.len()]);
            (head.task.clone(), (expected, probabilities))
        });
        answers.collect::<BTreeMap<_, _>>()
    };
    let by_task = answers("");
    let int8 = if int8 { answers(INT8) } else { BTreeMap::new() };
    let image = image.flatten();
    take.finish(Golden { image, pixels, by_task, int8 })
}

/// What the names of golden vectors in eight bits begin with.
const INT8: &str = "int8.";

/// How many times larger or smaller than the base's input the golden image may be on a side.
const MOST_TIMES_THE_INPUT: usize = 4;

/// `image`, `[rows, columns, 3]` of grey levels. No side is over [`MOST_TIMES_THE_INPUT`] times
/// that of the base's input, or below its part.
fn picture(take: &mut Take, [height, width]: [usize; 2]) -> Option<RgbImage8> {
    let Tensor { shape, data, .. } = take.tensors.remove("image")?;
    let fits = |side: usize, own: usize| {
        side <= own * MOST_TIMES_THE_INPUT && side * MOST_TIMES_THE_INPUT >= own
    };
    let [rows, columns, 3] = shape[..] else {
        take.refuse(
            Class::ModuleWrongShape,
            format!("image has shape {shape:?}, not [rows, columns, 3]"),
        );
        return None;
    };
    if !fits(rows, height) || !fits(columns, width) {
        let what =
            format!("image is {rows} x {columns}, far from the {height} x {width} of the input");
        take.refuse(Class::ModuleWrongShape, what);
        return None;
    }
    let level = |&value: &f32| (f32::from(value as u8) == value).then_some(value as u8);
    let levels: Option<Vec<u8>> = data.iter().map(level).collect();
    match levels {
        Some(levels) => RgbImage8::new(levels, columns as u32, rows as u32).ok(),
        None => {
            take.refuse(
                Class::TensorsMisfit,
                "image has values that are no grey levels from 0 to 255".into(),
            );
            None
        }
    }
}
