//! What each fuzz target does with its input: read it, and if it is taken, write it and demand the
//! same again. The tests run these over the files of `tests/corpus`.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_packer::base::weight_files::WeightMap;
use medforge_runtime::bundle::{Description, Manifest, State, Trust, frame, open_unverified};
use medforge_runtime::{image, jpeg, tensors};

pub const ALL: [fn(&[u8]); 6] = [reader, manifest, module, trust, picture, checkpoint];

/// An archive, and what a bundle's verification makes of it.
pub fn reader(data: &[u8]) {
    if let Ok(entries) = frame::parse(data) {
        let parts: Vec<_> =
            entries.iter().map(|(name, range)| (name.as_str(), &data[range.clone()])).collect();
        assert_eq!(frame::write(&parts).expect("what is read can be written"), data);
    }
    let _ = open_unverified::<Manifest>(data.to_vec());
}

/// `manifest.json`.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::from_canonical(data) {
        assert_eq!(manifest.to_canonical().expect("what is read can be written"), data);
    }
}

/// A tensor file.
pub fn module(data: &[u8]) {
    if let Ok(all) = tensors::read(data, "input") {
        let written = tensors::write(
            all.iter().map(|(name, tensor)| (name.as_str(), tensor)),
            &BTreeMap::new(),
        );
        assert_eq!(
            tensors::read(&written.expect("what is read can be written"), "output")
                .expect("and read"),
            all
        );
    }
}

/// Trust files, public keys and state files.
pub fn trust(data: &[u8]) {
    let _ = Trust::read(data);
    if let Ok(state) = State::from_bytes(data) {
        assert_eq!(state.to_bytes().expect("what is read can be written"), data);
    }
}

/// PNG and JPEG files, lossless JPEGs of DICOM files among them. A picture has the size that its
/// head says.
pub fn picture(data: &[u8]) {
    let _ = image::decode(data, "input");
    if let Ok(head) = jpeg::head(data)
        && let Ok(decoded) = jpeg::lossless::decode(&head)
    {
        let pixels = usize::from(head.rows) * usize::from(head.columns);
        assert_eq!(decoded.samples.len(), pixels * head.components.len());
    }
}

/// A checkpoint of PyTorch. A tensor that is read can be written, and is the same again.
pub fn checkpoint(data: &[u8]) {
    let Ok(weights) = WeightMap::parse(data.to_vec(), Path::new("input.pth")) else { return };
    for tensor in weights.tensors.values().filter_map(|view| view.read().ok()) {
        let written = tensors::write([("tensor", &tensor)], &BTreeMap::new());
        let read = tensors::read(&written.expect("what is read can be written"), "output");
        assert_eq!(read.expect("and read")["tensor"], tensor);
    }
}
