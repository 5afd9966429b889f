//! Files of torch.save (`tests/parity/checkpoints.py`) against what they hold, and checkpoints made
//! by hand that are refused.

use std::fs;
use std::path::Path;

use medforge_runtime::tensors::Tensor;

use super::super::WeightMap;
use super::*;
use crate::base::Vit;
use crate::parity::folder;
use made::{archive, global, tensor, text};

mod made;
mod refused;

fn golden(name: &str) -> Vec<u8> {
    fs::read(folder("checkpoints").join(name)).unwrap()
}

fn open(bytes: &[u8]) -> Result<WeightMap, Error> {
    WeightMap::parse(bytes.to_vec(), Path::new("x.pth"))
}

/// What refuses `bytes`: one sentence that names the file.
#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    let said = open(bytes).unwrap_err().to_string();
    assert!(said.starts_with("x.pth: ") && !said.contains('\n'), "{said}");
    said
}

#[test]
fn every_type_and_layout_is_read_as_torch_reads_it() {
    let path = folder("checkpoints").join("layouts.safetensors");
    let expected = WeightMap::parse(fs::read(&path).unwrap(), &path).unwrap();
    for name in ["layouts.pth", "layouts.legacy.pth", "layouts.protocol4.pth"] {
        let found = open(&golden(name)).unwrap();
        assert!(found.tensors.keys().eq(expected.tensors.keys()), "{name}");
        for (tensor, view) in &expected.tensors {
            let own = &found.tensors[tensor];
            assert_eq!((&own.shape, own.dtype), (&view.shape, view.dtype), "{name}: {tensor}");
            match (own.read(), view.read()) {
                (Ok(own), Ok(view)) => assert!(own == view, "{name}: {tensor}"),
                (Err(own), Err(_)) => assert!(own.to_string().contains("is not read"), "{own}"),
                _ => panic!("{name}: {tensor} is read by one alone"),
            }
        }
    }
}

#[test]
fn checkpoints_of_trainings_are_the_base_that_they_were_made_of() {
    let whole = Vit::open(&folder("vit")).unwrap();
    for name in ["vit.training.pth", "vit.distilled.legacy.pth"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pytorch_model.bin"), golden(name)).unwrap();
        for name in ["config.json", "preprocessor_config.json"] {
            fs::copy(folder("vit").join(name), dir.path().join(name)).unwrap();
        }
        let vit = Vit::open(dir.path()).unwrap();
        assert_eq!(vit.digest(), whole.digest(), "{name}");
        let [_, _, (weights, bytes)] = &vit.files().unwrap()[..] else { panic!("three files") };
        assert_eq!(*weights, "model.safetensors");
        assert!(*bytes == whole.files().unwrap()[2].1, "{name} is written as the same file");
    }
}

#[test]
fn models_programs_and_tensors_that_are_not_plain_are_refused_by_name() {
    for (name, word) in [
        ("vit.model.pth", "torch.nn.modules.linear.Linear"),
        ("vit.program.pt", "TorchScript"),
        ("quantised.pth", "quantised"),
        ("sparse.pth", "sparse"),
    ] {
        let said = refusal(&golden(name));
        assert!(said.contains(word), "{name}: {said}");
    }
}

#[test]
fn a_checkpoint_cut_off_anywhere_is_refused() {
    for name in ["layouts.pth", "layouts.legacy.pth"] {
        let bytes = golden(name);
        for length in 0..bytes.len() {
            refusal(&bytes[..length]);
        }
    }
}

#[test]
fn a_checkpoint_changed_anywhere_ends_in_a_result() {
    for name in ["layouts.pth", "layouts.legacy.pth", "layouts.protocol4.pth"] {
        let bytes = golden(name);
        let mut refused = 0;
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            match open(&bytes) {
                Ok(found) => found.tensors.values().for_each(|view| drop(view.read())),
                Err(error) => {
                    assert!(!error.to_string().contains('\n'), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 100, "{name}: {refused}");
    }
}

#[test]
fn archives_of_large_files_are_read() {
    let pickle =
        [b"\x80\x02}".as_slice(), &text("w"), &tensor("0", 2, 1, &[1], &[1]), b"s."].concat();
    let values: Vec<u8> = [1.0f32, 2.5].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (large, folder) in [(false, "a/"), (true, "a/"), (false, "")] {
        let bytes = archive(&pickle, &[("0", &values)], folder, large);
        let found = open(&bytes).unwrap();
        assert!(found.tensors["w"].read().unwrap() == Tensor::f32(vec![1], vec![2.5]));
    }
}

/// Python 2 wrote its dictionaries as lists of pairs.
#[test]
fn dictionaries_of_python_2_are_read() {
    let pair = [b"]".as_slice(), &text("w"), b"a", &tensor("0", 1, 0, &[], &[]), b"a"].concat();
    let pickle =
        [b"\x80\x02".as_slice(), &global("collections", "OrderedDict"), b"]", &pair, b"a\x85R."]
            .concat();
    let found = open(&archive(&pickle, &[("0", &[0; 4])], "a/", false)).unwrap();
    assert!(found.tensors["w"].shape.is_empty());
}
