//! Which file of a folder is read, weights in parts, and files that are larger than memory.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use medforge_runtime::tensors::{self, Tensor};

use super::*;
use crate::base::Vit;
use crate::parity::folder;

/// A safetensors file of one tensor a name, of one value each.
fn file(names: &[&str], value: f32) -> Vec<u8> {
    let tensor = Tensor::f32(vec![1], vec![value]);
    tensors::write(names.iter().map(|name| (*name, &tensor)), &BTreeMap::new()).unwrap()
}

/// A folder with these files.
fn with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(dir.path().join(name), bytes).unwrap());
    dir
}

fn refusal(files: &[(&str, &[u8])]) -> String {
    let said = WeightMap::open(with(files).path()).unwrap_err().to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}

fn checkpoint(name: &str) -> Vec<u8> {
    fs::read(folder("checkpoints").join(name)).unwrap()
}

#[test]
fn the_first_of_the_known_names_is_read_and_else_the_only_file() {
    let (safe, torch) = (file(&["a"], 1.0), checkpoint("layouts.pth"));
    let (safe, torch) = (safe.as_slice(), torch.as_slice());
    let index = br#"{"weight_map": {"a": "part.safetensors"}}"#;
    let mut there: Vec<(&str, &[u8])> = vec![
        ("open_clip_pytorch_model.bin", torch),
        ("pytorch_model.bin.index.json", br#"{"weight_map": {"a": "part.bin"}}"#),
        ("pytorch_model.bin", torch),
        ("open_clip_model.safetensors", safe),
        ("model.safetensors.index.json", index),
        ("model.safetensors", safe),
    ];
    let beside: [(&str, &[u8]); 3] =
        [("part.safetensors", safe), ("optimizer.pt", b"x"), ("config.json", b"{}")];
    while let Some((name, _)) = there.last() {
        let dir = with(&[&there[..], &beside[..]].concat());
        match WeightMap::open(dir.path()) {
            Ok(found) => assert!(found.path.ends_with(name), "{name}: {:?}", found.path),
            Err(error) => assert!(error.to_string().contains("part.bin"), "{name}: {error}"),
        }
        there.pop();
    }
    for name in ["weights.pth", "weights.pt", "weights.bin"] {
        let found = WeightMap::open(with(&[(name, torch), beside[1]]).path()).unwrap();
        assert_eq!(found.tensors["f32"].shape, [2, 3, 4], "{name}");
    }
    let two = refusal(&[("a.pth", torch), ("b.safetensors", safe)]);
    assert!(two.contains("a.pth and b.safetensors"), "{two}");
    let none = refusal(&[beside[1], beside[2]]);
    assert!(none.contains("holds no weights") && none.contains("model.safetensors"), "{none}");
}

/// The length of its header comes first, and may look like the first bytes of a pickle.
#[test]
fn a_safetensors_file_may_begin_as_a_pickle_does() {
    for begin in [[0x80, 0], [0x80, 2]] {
        let named = |length| file(&[&"n".repeat(length)], 1.0);
        let bytes = (1..800).map(named).find(|bytes| bytes.starts_with(&begin)).unwrap();
        let dir = with(&[("model.safetensors", &bytes)]);
        assert_eq!(WeightMap::open(dir.path()).unwrap().tensors.len(), 1, "{begin:?}");
    }
}

#[test]
fn a_file_that_is_no_weights_is_refused_by_what_it_is() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\n";
    assert!(refusal(&[("pytorch_model.bin", pointer)]).contains("no checkpoint of PyTorch"));
    assert!(refusal(&[("model.safetensors", pointer)]).contains("not a whole safetensors file"));
    assert!(refusal(&[("x.pth", &file(&["a"], 1.0))]).contains("name it .safetensors"));
    assert!(refusal(&[("x.pth", b"")]).contains("no checkpoint of PyTorch"));
}

#[test]
fn weights_in_parts_are_the_same_base() {
    let whole = Vit::open(&folder("vit")).unwrap();
    let all = tensors::read(&fs::read(folder("vit").join("model.safetensors")).unwrap(), "x");
    let all = all.unwrap();
    let (mut map, mut files) = (BTreeMap::new(), Vec::new());
    for (number, name) in ["one.safetensors", "two.safetensors"].into_iter().enumerate() {
        let part = all.iter().skip(number).step_by(2);
        map.extend(part.clone().map(|(tensor, _)| (tensor.clone(), name)));
        let part = part.map(|(name, tensor)| (name.as_str(), tensor));
        files.push((name, tensors::write(part, &BTreeMap::new()).unwrap()));
    }
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string();
    let mut files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    files.push(("model.safetensors.index.json", index.as_bytes()));
    let dir = with(&files);
    for name in ["config.json", "preprocessor_config.json"] {
        fs::copy(folder("vit").join(name), dir.path().join(name)).unwrap();
    }
    assert_eq!(Vit::open(dir.path()).unwrap().digest(), whole.digest());
}

#[test]
fn an_index_that_is_wrong_about_its_parts_is_refused() {
    let (one, two) = (file(&["a", "b"], 1.0), file(&["c"], 2.0));
    let said = |map: &str| {
        let index = format!(r#"{{"weight_map": {map}}}"#);
        let index = ("model.safetensors.index.json", index.as_bytes());
        refusal(&[index, ("1.safetensors", &one), ("2.safetensors", &two)])
    };
    let good = r#"{"a": "1.safetensors", "b": "1.safetensors", "c": "2.safetensors"}"#;
    let index = format!(r#"{{"weight_map": {good}}}"#);
    let index = ("model.safetensors.index.json", index.as_bytes());
    let dir = with(&[index, ("1.safetensors", &one), ("2.safetensors", &two)]);
    assert_eq!(WeightMap::open(dir.path()).unwrap().tensors["c"].read().unwrap().data[0], 2.0);
    let missing = said(&good.replace("\"c\"", "\"d\""));
    assert!(missing.contains("d is in 2.safetensors, which does not hold it"), "{missing}");
    let unnamed = said(r#"{"a": "1.safetensors", "c": "2.safetensors"}"#);
    assert!(unnamed.contains("does not say that b is in 1.safetensors"), "{unnamed}");
    let elsewhere = said(&good.replace("\"b\": \"1", "\"b\": \"2"));
    assert!(elsewhere.contains("index.json") && elsewhere.contains("b is in"), "{elsewhere}");
    for name in ["../1.safetensors", "/1.safetensors", "a\\1.safetensors", ".safetensors", "1.exe"]
    {
        let said = said(&good.replace("2.safetensors", &name.replace('\\', "\\\\")));
        assert!(said.contains("no file of weights beside it"), "{name}: {said}");
    }
    assert!(said("{}").contains("names 0 files"));
    assert!(said("[]").contains("not an object"));
    assert!(said(r#"{"a": 1}"#).contains("no file of weights"));
    let gone = said(&good.replace("2.safetensors", "3.safetensors"));
    assert!(gone.contains("3.safetensors"), "{gone}");
}

#[test]
fn of_a_file_larger_than_memory_only_what_is_asked_for_is_read() {
    let many = 1u64 << 30;
    let end = 4 * many;
    let entry = |name: &str, values: u64, from: u64, to: u64| {
        format!(r#""{name}":{{"dtype":"F32","shape":[{values}],"data_offsets":[{from},{to}]}}"#)
    };
    let header = format!("{{{},{}}}", entry("huge", many, 0, end), entry("small", 1, end, end + 4));
    let dir = tempfile::tempdir().unwrap();
    let mut file = fs::File::create(dir.path().join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.seek(SeekFrom::Current(4 * many as i64)).unwrap();
    file.write_all(&1.5f32.to_le_bytes()).unwrap();
    let found = WeightMap::open(dir.path()).unwrap();
    assert_eq!(found.tensors["huge"].shape, [many as usize]);
    assert_eq!(found.tensors["small"].read().unwrap().data[0], 1.5);
    file.set_len(8 + header.len() as u64 + 4 * many).unwrap();
    assert!(WeightMap::open(dir.path()).is_err(), "cut off");
    assert!(found.tensors["small"].read().is_err(), "cut off meanwhile");
}

#[test]
fn a_header_alone_tells_what_the_whole_file_does() {
    let dir = folder("vit").join("model.safetensors");
    let bytes = fs::read(&dir).unwrap();
    let map = WeightMap::parse(bytes.clone(), &dir).unwrap();
    let read: BTreeMap<_, _> =
        map.tensors.iter().map(|(name, view)| (name.clone(), view.read().unwrap())).collect();
    assert!(read == tensors::read(&bytes, "x").unwrap());
    for length in 0..bytes.len() {
        assert!(WeightMap::parse(bytes[..length].to_vec(), &dir).is_err(), "{length}");
    }
}
