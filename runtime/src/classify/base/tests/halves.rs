//! Bases whose weights are stored in 16 bits against the same weights stored in 32.

use super::*;
use crate::tensors::{self, Dtype};

/// The base's tensors, each value rounded to `half`, as a file of `stored`.
fn file(half: Dtype, stored: Dtype) -> Vec<u8> {
    let bundle = bundle();
    let views = bundle.views("base.safetensors").unwrap();
    let rounded = views.iter().map(|(name, view)| {
        let mut tensor = view.read().unwrap();
        tensor.dtype = half;
        let narrow = tensors::write([("x", &tensor)], &BTreeMap::new()).unwrap();
        let mut tensor = tensors::read(&narrow, "x").unwrap().remove("x").unwrap();
        tensor.dtype = stored;
        (name.as_str(), tensor)
    });
    let rounded: Vec<_> = rounded.collect();
    let tensors = rounded.iter().map(|(name, tensor)| (*name, tensor));
    tensors::write(tensors, &BTreeMap::new()).unwrap()
}

fn base(file: &[u8], level: Level, pool: Option<(usize, Spread)>, precision: Precision) -> Base {
    let weights = tensors::views(file, "base.safetensors").unwrap();
    let shape = graph::read(bundle().entry("base.onnx").unwrap(), &weights).unwrap();
    let signature = Signature::of(&shape);
    let pool = pool.map(|(threads, spread)| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        (Arc::new(pool), spread)
    });
    let vit = Vit::new(level, shape, &weights, precision, pool).unwrap();
    Base { vit, process: Process::this(), signature }
}

/// Each composition's feature of each image, all rows together.
fn together(base: &Base) -> Vec<Vec<f32>> {
    let adapters: Vec<_> =
        compositions(base).iter().map(|factors| base.adapter(factors).unwrap()).collect();
    let images = images(base);
    let rows: Vec<_> =
        adapters.iter().flat_map(|a| (0..images.len()).map(move |i| (i, a))).collect();
    base.features(&images, &rows, &|| false).unwrap()
}

#[test]
fn weights_stored_in_16_bits_give_what_they_give_stored_in_32_to_the_last_bit() {
    for half in [Dtype::F16, Dtype::BF16] {
        let (narrow, wide) = (file(half, half), file(half, Dtype::F32));
        for precision in [Precision::F32, Precision::Int8] {
            let expected = each(&base(&wide, Level::best(), None, precision));
            assert!(expected.iter().flatten().all(|value| value.is_finite()));
            for level in Level::all() {
                let [one, other] = [&narrow, &wide].map(|file| base(file, level, None, precision));
                assert_eq!(each(&one), each(&other), "{level:?} {half:?} {precision:?}");
            }
            for spread in [Spread::Layers, Spread::Images] {
                let several = base(&narrow, Level::best(), Some((3, spread)), precision);
                assert_eq!(together(&several), expected, "{spread:?} {half:?} {precision:?}");
            }
        }
    }
}

#[test]
fn callers_beside_one_another_have_room_each_and_little_of_it_stays() {
    let base = base(&file(Dtype::F16, Dtype::F16), Level::best(), None, Precision::F32);
    let expected = together(&base);
    let one = base.bytes().1;
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| assert_eq!(together(&base), expected));
        }
    });
    assert!(base.bytes().1 <= 8 * one, "{} of {one}", base.bytes().1);
}

#[test]
fn a_base_in_16_bits_takes_half_of_the_memory() {
    let bytes = |stored| {
        let file = file(Dtype::F16, stored);
        let base = base(&file, Level::best(), None, Precision::F32);
        let weights = tensors::views(&file, "base.safetensors").unwrap();
        let linear = |name: &String| weights[name].shape.len() > 1;
        let values = |name: &String| weights[name].shape.iter().product::<usize>();
        let counted = base.shape().base(Precision::F32).bytes;
        let half = |name: &str| weights[name].is_half();
        let (saved, room) = base.shape().halved(Precision::F32, half);
        let found = base.bytes().0;
        assert!(found as u128 <= counted - saved, "{found} of {counted} less {saved}");
        assert_eq!(saved > 0, stored == Dtype::F16);
        assert_eq!(room > 0, stored == Dtype::F16);
        (found, weights.keys().filter(|name| linear(name)).map(values).sum::<usize>())
    };
    let ((narrow, _), (wide, values)) = (bytes(Dtype::F16), bytes(Dtype::F32));
    // Tokens and positions keep 32 bits.
    assert!(narrow < wide - values, "{narrow} of {wide}, {values} values in matrices");
}
