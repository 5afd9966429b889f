//! The small base inside the program, so that a demonstration needs no file: `examples/base`, whose
//! README says how it was made.

use std::path::Path;

use super::vit::Vit;
use crate::Error;

/// Its three files, by the names of a Hugging Face folder.
pub const FILES: [(&str, &[u8]); 3] = [
    ("config.json", include_bytes!("../../../examples/base/config.json")),
    ("preprocessor_config.json", include_bytes!("../../../examples/base/preprocessor_config.json")),
    ("model.safetensors", include_bytes!("../../../examples/base/model.safetensors")),
];

/// The seed of the phantoms that it was trained on. Images of this seed are no test for it.
pub const PHANTOM_SEED: u64 = 1000;

/// The base, as [`Vit::open`] reads it from a folder.
pub fn open() -> Result<Vit, Error> {
    let place = Path::new("the embedded base");
    Vit::read(place, |name| {
        let found = FILES.iter().find(|(file, _)| *file == name);
        Ok(found.map(|(_, bytes)| bytes.to_vec()).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Family;

    #[test]
    fn it_opens_has_the_stated_shape_and_is_small() {
        let vit = open().unwrap();
        let c = &vit.config;
        assert_eq!((c.family, c.layers, c.hidden, c.heads, c.mlp), (Family::Vit, 6, 192, 3, 768));
        assert_eq!((c.patch, c.image_size, vit.preprocessing.output_size().height), (8, 64, 64));
        let bytes: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes < 8_000_000, "{bytes} bytes");
    }

    /// What is embedded is what `packer train --half` would write for it.
    #[test]
    fn it_is_written_back_byte_for_byte() {
        for ((name, bytes), (embedded, expected)) in
            open().unwrap().files().unwrap().into_iter().zip(FILES)
        {
            assert_eq!(name, embedded);
            assert!(bytes == expected, "{name} differs");
        }
    }
}
