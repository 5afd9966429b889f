//! The transformer's own kernels against tract's plan of the same graph.

use std::sync::atomic::{AtomicUsize, Ordering};

use prost::Message;
use tract_onnx::pb::{ModelProto, tensor_shape_proto::dimension::Value, type_proto};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTValue, TValue, TVec, Tensor, TypedSimplePlan,
};

use super::super::graph;
use super::super::process::Process;
use super::*;
use crate::bundle::{Trust, VerifiedBundle, verify};

mod graphs;
mod halves;
mod maps;
mod scales;

/// Two blocks, 17 tokens, six sites a block.
const BUNDLE: &[u8] = include_bytes!("../../../../tests/frozen/bundle.medforge");
const KEY: &str = include_str!("../../../../tests/frozen/k.pub");

fn bundle() -> VerifiedBundle {
    verify(BUNDLE.to_vec(), &Trust::from_pem(KEY).unwrap()).unwrap()
}

/// The same graph as tract runs it, one image at a time.
struct Oracle {
    plan: Arc<TypedSimplePlan>,
    /// The names of its inputs after `pixels`.
    inputs: Vec<String>,
}

impl Oracle {
    fn new(onnx: &[u8]) -> Self {
        let bundle = bundle();
        let weights = bundle.views("base.safetensors").unwrap();
        let mut model = ModelProto::decode(onnx).unwrap();
        let graph = model.graph.as_mut().unwrap();
        for initialiser in &mut graph.initializer {
            if let Some(view) = weights.get(&initialiser.name) {
                initialiser.data_location = None;
                initialiser.float_data = view.read().unwrap().data;
            }
        }
        for input in &mut graph.input {
            let Some(type_proto::Value::TensorType(tensor)) =
                &mut input.r#type.as_mut().unwrap().value
            else {
                panic!()
            };
            tensor.shape.as_mut().unwrap().dim[0].value = Some(Value::DimValue(1));
        }
        let inputs = graph.input[1..].iter().map(|input| input.name.clone()).collect();
        let inference = tract_onnx::onnx().model_for_proto_model(&model).unwrap();
        Oracle { plan: inference.into_optimized().unwrap().into_runnable().unwrap(), inputs }
    }

    fn feature(&self, base: &Base, image: &[f32], by_site: &BTreeMap<String, Factors>) -> Vec<f32> {
        let [height, width] = base.signature.image;
        let tensor = |shape: &[usize], values: &[f32]| {
            Tensor::from_shape(shape, values).unwrap().into_tvalue()
        };
        let none = Factors::default();
        let factor = |name: &String| {
            let (name, half) = name.rsplit_once('.').unwrap();
            let (site, factors) = (base.signature.sites[name], by_site.get(name).unwrap_or(&none));
            match half {
                "lora_a" => tensor(&[1, site.inputs, factors.rank], &factors.a),
                "lora_scale" => {
                    let ones = vec![1.0; site.outputs];
                    tensor(&[1, 1, site.outputs], factors.magnitude_scale.as_ref().unwrap_or(&ones))
                }
                _ => tensor(&[1, factors.rank, site.outputs], &factors.b),
            }
        };
        let pixels = tensor(&[1, 3, height, width], image);
        let inputs: TVec<TValue> =
            std::iter::once(pixels).chain(self.inputs.iter().map(factor)).collect();
        let outputs = self.plan.run(inputs).unwrap();
        outputs[0].to_plain_array_view::<f32>().unwrap().iter().copied().collect()
    }
}

impl Base {
    fn features(
        &self,
        images: &[Vec<f32>],
        rows: &[(usize, &Adapter)],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Vec<f32>>, Error> {
        Ok(finite(self.run(images, rows, false, cancelled)?)?
            .into_iter()
            .map(|output| output.feature)
            .collect())
    }
}

fn own(level: Level, threads: usize) -> Base {
    spread(level, threads, Spread::Layers, Precision::F32)
}

fn spread(level: Level, threads: usize, spread: Spread, precision: Precision) -> Base {
    load(bundle().entry("base.onnx").unwrap(), level, threads, spread, precision)
}

fn load(onnx: &[u8], level: Level, threads: usize, spread: Spread, precision: Precision) -> Base {
    let bundle = bundle();
    let weights = bundle.views("base.safetensors").unwrap();
    let shape = graph::read(onnx, &weights).unwrap();
    let signature = Signature::of(&shape);
    let pool = || Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    let pool = (threads > 1).then(|| (pool(), spread));
    Base {
        vit: Vit::new(level, shape, &weights, precision, pool).unwrap(),
        process: Process::this(),
        signature,
    }
}

fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1000.0 - 1.0).collect()
}

/// Factors of rank `rank(site's index)` wherever that is not zero.
fn factors(
    base: &Base,
    seed: usize,
    rank: impl Fn(usize, &str) -> usize,
) -> BTreeMap<String, Factors> {
    let one = |(index, (name, site)): (usize, (&String, &graph::SiteWidths))| {
        let rank = rank(index, name);
        let small = |values: Vec<f32>| values.iter().map(|v| v * 0.3).collect();
        let a = small(numbers(seed + index, site.inputs * rank));
        (
            name.clone(),
            Factors {
                rank,
                a,
                b: small(numbers(seed + index + 100, rank * site.outputs)),
                magnitude_scale: None,
            },
        )
    };
    base.signature
        .sites
        .iter()
        .enumerate()
        .map(one)
        .filter(|(_, factors)| factors.rank > 0)
        .collect()
}

fn compositions(base: &Base) -> Vec<BTreeMap<String, Factors>> {
    vec![
        BTreeMap::new(),
        factors(base, 1, |_, _| 4),
        factors(base, 2, |index, _| index % 4),
        factors(base, 3, |_, name| if name.starts_with("blocks.1.") { 3 } else { 0 }),
        factors(base, 4, |_, name| if name.ends_with("attn.q") { 20 } else { 0 }),
    ]
}

fn images(base: &Base) -> Vec<Vec<f32>> {
    let [height, width] = base.signature.image;
    (0..3).map(|seed| numbers(seed, 3 * height * width)).collect()
}

/// Each composition's feature of each image.
fn each(base: &Base) -> Vec<Vec<f32>> {
    let adapters: Vec<_> =
        compositions(base).iter().map(|factors| base.adapter(factors).unwrap()).collect();
    let images = images(base);
    let rows =
        adapters.iter().flat_map(|adapter| (0..images.len()).map(move |image| (image, adapter)));
    rows.map(|row| base.features(&images, &[row], &|| false).unwrap().remove(0)).collect()
}

#[test]
fn own_kernels_compute_what_tract_does_with_all_instructions() {
    let (oracle, base) = (Oracle::new(bundle().entry("base.onnx").unwrap()), own(Level::best(), 1));
    let images = images(&base);
    let feature = |factors: &BTreeMap<_, _>| {
        images.iter().map(|i| oracle.feature(&base, i, factors)).collect::<Vec<_>>()
    };
    let expected: Vec<_> = compositions(&base).iter().flat_map(feature).collect();
    for level in Level::all() {
        let ours = each(&own(level, 1));
        for (ours, expected) in ours.iter().zip(&expected) {
            let square =
                |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
            let distance = square(&mut ours.iter().zip(expected).map(|(a, b)| a - b));
            let relative = distance / square(&mut expected.iter().copied());
            assert!(relative < 1e-5, "{level:?}: {relative}");
        }
        let differ =
            ours.iter().enumerate().all(|(i, one)| ours[..i].iter().all(|other| one != other));
        assert!(differ, "images and compositions must be told apart");
    }
}

#[test]
fn eight_bits_come_near_and_are_the_same_on_any_threads_and_with_all_instructions() {
    let exact = each(&own(Level::best(), 1));
    let first = each(&spread(Level::best(), 1, Spread::Layers, Precision::Int8));
    for (ours, exact) in first.iter().zip(&exact) {
        let square =
            |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
        let relative = square(&mut ours.iter().zip(exact).map(|(a, b)| a - b))
            / square(&mut exact.iter().copied());
        assert!(relative > 1e-6 && relative < 0.05, "{relative}");
    }
    assert_eq!(each(&spread(Level::best(), 2, Spread::Layers, Precision::Int8)), first);
    for level in Level::all() {
        let ours = each(&spread(level, 1, Spread::Layers, Precision::Int8));
        for (ours, first) in ours.iter().flatten().zip(first.iter().flatten()) {
            // What is not multiplied in eight bits is rounded in another order, and a step here and
            // there goes the other way.
            assert!((ours - first).abs() < 0.05, "{level:?}: {ours} and {first}");
        }
    }
}

#[test]
fn rows_together_on_any_threads_are_each_row_alone_to_the_last_bit() {
    let expected = each(&own(Level::best(), 1));
    let all = [1, 2, 3].map(|threads| (threads, Spread::Layers));
    for (threads, how) in all.into_iter().chain([(2, Spread::Images)]) {
        let base = spread(Level::best(), threads, how, Precision::F32);
        let adapters: Vec<_> =
            compositions(&base).iter().map(|factors| base.adapter(factors).unwrap()).collect();
        let images = images(&base);
        let rows: Vec<_> =
            adapters.iter().flat_map(|a| (0..images.len()).map(move |image| (image, a))).collect();
        assert_eq!(
            base.features(&images, &rows, &|| false).unwrap(),
            expected,
            "{threads} threads, {how:?}"
        );
        // Some rows twice, and rows of one image only, which begin as one stream.
        let some = [0, 3, 6, 9, 12, 3, 0];
        let picked: Vec<_> = some.iter().map(|&row| rows[row]).collect();
        let found = base.features(&images, &picked, &|| false).unwrap();
        some.iter()
            .zip(found)
            .for_each(|(&row, feature)| assert_eq!(feature, expected[row], "row {row}"));
    }
}

#[test]
fn a_cancelled_call_says_so_and_leaves_the_base_as_it_was() {
    for base in [own(Level::best(), 1), own(Level::best(), 2)] {
        let adapter = base.adapter(&BTreeMap::new()).unwrap();
        let images = images(&base);
        let before = base.features(&images, &[(0, &adapter)], &|| false).unwrap();
        for after in 0..2 {
            let asked = AtomicUsize::new(0);
            let cancelled = || asked.fetch_add(1, Ordering::Relaxed) >= after;
            let rows = [(0, &adapter), (1, &adapter)];
            assert!(
                matches!(base.features(&images, &rows, &cancelled), Err(Error::Cancelled)),
                "after {after}"
            );
        }
        assert_eq!(base.features(&images, &[(0, &adapter)], &|| false).unwrap(), before);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let one = own(Level::best(), 1);
    let images = images(&one);
    let adapter = one.adapter(&BTreeMap::new()).unwrap();
    assert!(
        one.features(&images, &[(3, &adapter)], &|| false).is_err(),
        "an image that is not there"
    );
    assert!(
        one.features(&[vec![0.0; 5]], &[(0, &adapter)], &|| false).is_err(),
        "an image of another size"
    );
    let wrong = BTreeMap::from([(
        "blocks.0.attn.q".into(),
        Factors { rank: 2, a: vec![0.0; 3], ..Factors::default() },
    )]);
    assert!(one.adapter(&wrong).is_err(), "factors of another shape");
}
