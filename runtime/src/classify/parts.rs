//! The bundle's small parts as the classifier needs them: modules, heads, golden vectors, and
//! modules fused.
//!
//! Refused: tensors that are missing, misshapen or left over, all of them named at once: none is
//! ever ignored.

use std::collections::BTreeMap;

use super::base::Factors;
use super::graph::{Site, misfit};
use crate::bundle::manifest;
use crate::image::RgbImage8;
use crate::tensors::Tensor;
use crate::{Class, Error};

/// The tensors of one entry, each taken once by name and shape; what goes wrong is gathered.
struct Take {
    entry: String,
    tensors: BTreeMap<String, Tensor>,
    wrong: Vec<String>,
    /// Of the first thing that is wrong.
    class: Option<Class>,
}

/// The factors of a module by site, after checking that they are what the manifest says and fit
/// `sites`.
pub(super) fn module(
    stated: &manifest::Module,
    tensors: BTreeMap<String, Tensor>,
    sites: &BTreeMap<String, Site>,
) -> Result<BTreeMap<String, Factors>, Error> {
    let mut take = Take { entry: stated.entry.clone(), tensors, wrong: Vec::new(), class: None };
    let mut by_site = BTreeMap::new();
    for name in &stated.sites {
        let Some(site) = sites.get(name) else {
            take.refuse(Class::ModuleUnknownSite, format!("site {name} is not in the base"));
            continue;
        };
        let (lora_a, lora_b) = (format!("{name}.lora_a"), format!("{name}.lora_b"));
        let rank =
            take.tensors.get(&lora_a).and_then(|tensor| tensor.shape.last()).copied().unwrap_or(0);
        let a = take.tensor(&lora_a, &[site.inputs, rank]);
        let b = take.tensor(&lora_b, &[rank, site.outputs]);
        let lora_scale = format!("{name}.lora_scale");
        let scale = match (take.tensors.contains_key(&lora_scale), site.scaled) {
            (false, _) => None,
            (true, true) => Some(take.tensor(&lora_scale, &[site.outputs])),
            (true, false) => {
                take.tensors.remove(&lora_scale);
                take.refuse(
                    Class::TensorsMisfit,
                    format!("{lora_scale} is there, and the base's graph takes none"),
                );
                None
            }
        };
        by_site.insert(name.clone(), Factors { rank, a, b, scale });
    }
    let rank = by_site.values().map(|factors| factors.rank).max().unwrap_or(0);
    if rank != stated.rank as usize {
        take.refuse(
            Class::ModuleWrongShape,
            format!("the largest rank is {rank} and the manifest says {}", stated.rank),
        );
    }
    take.finish(by_site)
}

/// From a feature to logits.
pub(super) struct Logits {
    /// `[classes, feature]`
    pub weight: Vec<f32>,
    /// `[classes]`
    pub bias: Vec<f32>,
    /// The length that a feature is brought to first, where the rows are features of texts.
    pub logit_scale: Option<f64>,
    /// What the task's images look like, where the head is calibrated.
    pub familiar: Option<Familiar>,
}

/// Gaussians around the classes of a task, with one covariance for all (Lee et al. 2018, section
/// 2.1).
pub(super) struct Familiar {
    /// `[feature, feature]`: R of the covariance's inverse R^T R.
    whitening: Vec<f32>,
    /// `[classes, feature]`: R times each class's mean.
    means: Vec<f32>,
}

impl Familiar {
    /// Mahalanobis' distance of `feature` from the nearest class, divided by the root of the
    /// feature's width.
    pub fn score(&self, feature: &[f32]) -> f64 {
        let width = feature.len();
        let product = |row: &[f32]| {
            row.iter().zip(feature).map(|(r, f)| f64::from(*r) * f64::from(*f)).sum::<f64>()
        };
        let whitened: Vec<f64> = self.whitening.chunks_exact(width).map(product).collect();
        let to = |mean: &[f32]| {
            whitened.iter().zip(mean).map(|(w, m)| (w - f64::from(*m)).powi(2)).sum::<f64>()
        };
        let nearest = self.means.chunks_exact(width).map(to).fold(f64::INFINITY, f64::min);
        (nearest / width as f64).sqrt()
    }
}

/// A head's `weight` `[classes, feature]` and `bias` `[classes]`, or `weight` and `logit_scale`
/// `[1]`; of a calibrated one also `ood_means` `[classes, feature]` and `ood_whitening` `[feature,
/// feature]`.
pub(super) fn head(
    stated: &manifest::Head,
    tensors: BTreeMap<String, Tensor>,
    feature: usize,
) -> Result<Logits, Error> {
    let mut take = Take { entry: stated.entry.clone(), tensors, wrong: Vec::new(), class: None };
    let classes = stated.classes.len();
    let weight = take.tensor("weight", &[classes, feature]);
    let of_texts = take.tensors.contains_key("logit_scale");
    let logit_scale = of_texts
        .then(|| take.tensor("logit_scale", &[1]).first().map_or(1.0, |scale| f64::from(*scale)));
    let bias = if of_texts { vec![0.0; classes] } else { take.tensor("bias", &[classes]) };
    if !of_texts && !stated.zero_shot.is_empty() {
        take.refuse(
            Class::TensorsMisfit,
            "logit_scale is missing, and the manifest has classes without training".into(),
        );
    }
    let familiar = stated.calibration.as_ref().map(|_| Familiar {
        means: take.tensor("ood_means", &[classes, feature]),
        whitening: take.tensor("ood_whitening", &[feature, feature]),
    });
    take.finish(Logits { weight, bias, logit_scale, familiar })
}

/// What tasks look like to the frozen base.
pub(super) struct Prototypes {
    /// By task, [prototypes, feature + 1].
    by_task: BTreeMap<String, Vec<f32>>,
}

impl Prototypes {
    /// The share of each task in an image with this feature of the frozen base; they sum to one.
    pub fn shares(&self, feature: &[f32]) -> BTreeMap<&str, f64> {
        let nearness = |row: &[f32]| {
            let product: f64 =
                row.iter().zip(feature).map(|(p, f)| f64::from(*p) * f64::from(*f)).sum();
            product + f64::from(row[feature.len()])
        };
        let of = |rows: &Vec<f32>| {
            let all: Vec<f64> = rows.chunks_exact(feature.len() + 1).map(nearness).collect();
            let top = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            top + (all.iter().map(|v| (v - top).exp()).sum::<f64>() / all.len() as f64).ln()
        };
        let logs: BTreeMap<&str, f64> =
            self.by_task.iter().map(|(task, rows)| (task.as_str(), of(rows))).collect();
        let top = logs.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logs.values().map(|v| (v - top).exp()).sum();
        logs.into_iter().map(|(task, v)| (task, (v - top).exp() / total)).collect()
    }
}

/// The prototypes of every head's task.
pub(super) fn prototypes(
    routing: &manifest::Routing,
    heads: &[manifest::Head],
    tensors: BTreeMap<String, Tensor>,
    feature: usize,
) -> Result<Prototypes, Error> {
    let mut take = Take { entry: routing.entry.clone(), tensors, wrong: Vec::new(), class: None };
    let by_task = heads.iter().map(|head| {
        let rows = take
            .tensors
            .get(&head.task)
            .and_then(|tensor| tensor.shape.first())
            .copied()
            .unwrap_or(1);
        (head.task.clone(), take.tensor(&head.task, &[rows, feature + 1]))
    });
    let by_task = by_task.collect();
    take.finish(Prototypes { by_task })
}

/// What the packer computed: the input, and for every task the features under its networks and the
/// probabilities.
pub(super) struct Golden {
    /// What the input was made of; bundles of the first packers have none.
    pub image: Option<RgbImage8>,
    pub pixels: Vec<f32>,
    pub by_task: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
    /// The same in eight bits, if the bundle runs so.
    pub int8: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
}

/// The golden vectors for `heads`, each with the number of its networks.
pub(super) fn golden(
    heads: &[(&manifest::Head, usize)],
    tensors: BTreeMap<String, Tensor>,
    image: [usize; 2],
    feature: usize,
    int8: bool,
) -> Result<Golden, Error> {
    let mut take =
        Take { entry: "golden.safetensors".into(), tensors, wrong: Vec::new(), class: None };
    let pixels = take.tensor("pixels", &[1, 3, image[0], image[1]]);
    let image = take.tensors.contains_key("image").then(|| take.image(image));
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

/// How many times larger or smaller than the base's input the golden image may be on a side.
const MOST_TIMES_THE_INPUT: usize = 4;

/// What the names of golden vectors in eight bits begin with.
pub(super) const INT8: &str = "int8.";

/// Fusion: at every site the ranks of all parts side by side, each part's weight folded into its
/// `b`, so that the branch computes the sum of `weight * (x A) B` over the parts. None of them has
/// scales, which are no sum.
pub(super) fn fused(
    parts: &[(&BTreeMap<String, Factors>, f64)],
    sites: &BTreeMap<String, Site>,
) -> BTreeMap<String, Factors> {
    let fuse = |(name, site): (&String, &Site)| {
        let parts: Vec<(&Factors, f64)> =
            parts.iter().filter_map(|(m, weight)| Some((m.get(name)?, *weight))).collect();
        let rows =
            |input: usize| parts.iter().flat_map(move |(f, _)| &f.a[input * f.rank..][..f.rank]);
        let factors = Factors {
            rank: parts.iter().map(|(factors, _)| factors.rank).sum(),
            a: (0..site.inputs).flat_map(rows).copied().collect(),
            b: parts
                .iter()
                .flat_map(|(f, weight)| f.b.iter().map(move |v| (f64::from(*v) * weight) as f32))
                .collect(),
            scale: None,
        };
        (factors.rank > 0).then(|| (name.clone(), factors))
    };
    sites.iter().filter_map(fuse).collect()
}

impl Take {
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Vec<f32> {
        match self.tensors.remove(name) {
            None => self.refuse(Class::TensorsMisfit, format!("{name} is missing")),
            Some(tensor) if tensor.shape != shape => {
                let what = format!("{name} has shape {:?}, not {shape:?}", tensor.shape);
                self.refuse(Class::ModuleWrongShape, what);
            }
            Some(tensor) => return tensor.data,
        }
        Vec::new()
    }

    /// `image`, `[rows, columns, 3]` of grey levels: no side is over [`MOST_TIMES_THE_INPUT`] times
    /// that of the base's input, or below its part.
    fn image(&mut self, [height, width]: [usize; 2]) -> Option<RgbImage8> {
        let Tensor { shape, data, .. } = self.tensors.remove("image")?;
        let fits = |side: usize, own: usize| {
            side <= own * MOST_TIMES_THE_INPUT && side * MOST_TIMES_THE_INPUT >= own
        };
        let [rows, columns, 3] = shape[..] else {
            self.refuse(
                Class::ModuleWrongShape,
                format!("image has shape {shape:?}, not [rows, columns, 3]"),
            );
            return None;
        };
        if !fits(rows, height) || !fits(columns, width) {
            let what = format!(
                "image is {rows} x {columns}, far from the {height} x {width} of the input"
            );
            self.refuse(Class::ModuleWrongShape, what);
            return None;
        }
        let level = |&value: &f32| (f32::from(value as u8) == value).then_some(value as u8);
        let levels: Option<Vec<u8>> = data.iter().map(level).collect();
        match levels {
            Some(levels) => RgbImage8::new(levels, columns as u32, rows as u32).ok(),
            None => {
                self.refuse(
                    Class::TensorsMisfit,
                    "image has values that are no grey levels from 0 to 255".into(),
                );
                None
            }
        }
    }

    fn refuse(&mut self, class: Class, what: String) {
        self.class.get_or_insert(class);
        self.wrong.push(what);
    }

    fn finish<T>(mut self, parts: T) -> Result<T, Error> {
        for name in std::mem::take(&mut self.tensors).into_keys() {
            self.refuse(Class::TensorsMisfit, format!("{name} is not in the manifest"));
        }
        match self.class {
            None => Ok(parts),
            Some(class) => Err(misfit(class, &self.entry, &self.wrong)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> BTreeMap<String, Site> {
        BTreeMap::from([("q".to_owned(), Site { inputs: 2, outputs: 3, scaled: true })])
    }

    fn stated(rank: u32) -> manifest::Module {
        manifest::Module {
            id: "0".repeat(64),
            contributor: "c".into(),
            task: "t".into(),
            rank,
            sites: vec!["q".into()],
            licence: "MIT".into(),
            base: "0".repeat(64),
            entry: "modules/m.safetensors".into(),
        }
    }

    fn tensors(parts: &[(&str, &[usize])]) -> BTreeMap<String, Tensor> {
        let fill =
            |shape: &[usize]| (1..=shape.iter().product::<usize>()).map(|v| v as f32).collect();
        parts
            .iter()
            .map(|(name, shape)| ((*name).to_owned(), Tensor::f32(shape.to_vec(), fill(shape))))
            .collect()
    }

    #[test]
    fn every_tensor_that_does_not_fit_is_named() {
        let wrong = tensors(&[("q.lora_a", &[5, 1]), ("k.lora_a", &[2, 1]), ("lora", &[1])]);
        let error = module(&stated(1), wrong, &site()).unwrap_err().to_string();
        for part in [
            "q.lora_a has shape [5, 1], not [2, 1]",
            "q.lora_b is missing",
            "k.lora_a is not",
            "lora is not",
        ] {
            assert!(error.contains(part), "{error} does not say: {part}");
        }
        let good = tensors(&[("q.lora_a", &[2, 1]), ("q.lora_b", &[1, 3])]);
        assert!(
            module(&stated(2), good.clone(), &site())
                .unwrap_err()
                .to_string()
                .contains("largest rank is 1")
        );
        let scaled = |shape: &[usize]| {
            tensors(&[("q.lora_a", &[2, 1]), ("q.lora_b", &[1, 3]), ("q.lora_scale", shape)])
        };
        assert_eq!(
            module(&stated(1), scaled(&[3]), &site()).unwrap()["q"].scale,
            Some(vec![1., 2., 3.])
        );
        let error = module(&stated(1), scaled(&[2]), &site()).unwrap_err().to_string();
        assert!(error.contains("q.lora_scale has shape [2], not [3]"), "{error}");
        let older = BTreeMap::from([("q".to_owned(), Site { scaled: false, ..site()["q"] })]);
        let error = module(&stated(1), scaled(&[3]), &older).unwrap_err().to_string();
        assert!(
            error.contains("q.lora_scale is there, and the base's graph takes none; pack"),
            "{error}"
        );
        assert!(module(&stated(1), good.clone(), &older).is_ok());
        assert!(
            module(&stated(1), good, &BTreeMap::new())
                .unwrap_err()
                .to_string()
                .contains("site q is not in the base")
        );
    }

    #[test]
    fn a_head_of_texts_has_a_scale_and_no_bias() {
        let stated = |zero_shot: &[&str]| manifest::Head {
            task: "t".into(),
            entry: "heads/t.safetensors".into(),
            classes: vec!["a".into(), "b".into()],
            zero_shot: zero_shot.iter().map(|class| (*class).to_owned()).collect(),
            codes: Vec::new(),
            calibration: None,
        };
        let texts = tensors(&[("weight", &[2, 3]), ("logit_scale", &[1])]);
        let read = head(&stated(&["b"]), texts, 3).unwrap();
        assert_eq!((read.logit_scale, read.bias), (Some(1.0), vec![0.0; 2]));
        let linear = tensors(&[("weight", &[2, 3]), ("bias", &[2])]);
        assert_eq!(head(&stated(&[]), linear.clone(), 3).unwrap().logit_scale, None);
        let refused = |stated, tensors| head(&stated, tensors, 3).err().unwrap().to_string();
        assert!(refused(stated(&["b"]), linear).contains("logit_scale is missing"));
        let both = tensors(&[("weight", &[2, 3]), ("bias", &[2]), ("logit_scale", &[1])]);
        assert!(refused(stated(&[]), both).contains("bias is not in the manifest"));
    }

    #[test]
    fn fusion_is_the_weighted_sum_of_the_deltas() {
        let one = BTreeMap::from([(
            "q".to_owned(),
            Factors { rank: 1, a: vec![1., 2.], b: vec![3., 4., 5.], scale: None },
        )]);
        let two = BTreeMap::from([(
            "q".to_owned(),
            Factors {
                rank: 2,
                a: vec![1., 0., 0., 1.],
                b: vec![1., 1., 1., 2., 2., 2.],
                scale: None,
            },
        )]);
        let fused = fused(&[(&one, 0.5), (&two, -1.0)], &site());
        let Factors { rank, a, b, .. } = &fused["q"];
        let delta =
            |i: usize, o: usize| (0..*rank).map(|r| a[i * rank + r] * b[r * 3 + o]).sum::<f32>();
        for (i, o) in (0..2).flat_map(|i| (0..3).map(move |o| (i, o))) {
            let expected = 0.5 * [1., 2.][i] * [3., 4., 5.][o] - [1., 2.][i];
            assert_eq!(delta(i, o), expected, "at {i}, {o}");
        }
    }
}
