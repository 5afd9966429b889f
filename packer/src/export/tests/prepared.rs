//! Golden images: what a bundle's preprocessing makes of them on this device.

use medforge_runtime::preprocess::Filter;

use super::*;

#[test]
fn a_device_that_prepares_images_otherwise_is_refused() {
    let golden = |payload: &mut BTreeMap<String, Vec<u8>>,
                  change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        change_tensors(payload.get_mut("golden.safetensors").unwrap(), |all| change(all));
    };
    type Change<'a> = Box<dyn FnOnce(&mut BTreeMap<String, Vec<u8>>, &mut Manifest) + 'a>;
    let changes: Vec<Change> = vec![
        Box::new(|_, manifest| manifest.preprocessing.filter = Filter::Nearest),
        Box::new(|_, manifest| manifest.preprocessing.mean[0] += 0.1),
        Box::new(|_, manifest| manifest.preprocessing.std[2] *= 1.1),
        Box::new(|payload, _| golden(payload, &|all| all.get_mut("image").unwrap().data.reverse())),
        Box::new(|payload, _| {
            golden(payload, &|all| all.get_mut("pixels").unwrap().data[5] += 0.1)
        }),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let error = forged(change);
        assert!(matches!(error, RuntimeError::GoldenPixels { .. }), "{number}: {error}");
        assert_eq!(error.class(), Some(Class::GoldenMismatch));
    }
}

/// The first packers wrote no image.
#[test]
fn a_bundle_without_a_golden_image_is_taken() {
    let vit = small(Family::Vit);
    let bundle =
        verified(build_bundle(&vit, &[module(&vit, "q", None)], &options(), &[key()]).unwrap());
    let golden = bundle.tensors("golden.safetensors").unwrap();
    let [.., height, width] = golden["pixels"].shape[..] else { panic!() };
    let [rows, columns, 3] = golden["image"].shape[..] else { panic!() };
    assert!(rows != height && columns != width);
    let mut payload = payload(&bundle);
    change_tensors(payload.get_mut("golden.safetensors").unwrap(), |all| drop(all.remove("image")));
    let manifest = Manifest { entries: list(&payload), ..bundle.manifest().clone() };
    load(assemble(&manifest, &payload, &[key()]).unwrap()).unwrap();
}
