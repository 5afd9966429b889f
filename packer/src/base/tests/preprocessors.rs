//! How images are prepared, as the files of several versions of transformers say it.

use medforge_runtime::preprocess::{Filter, Resize, Size};

use super::*;

/// transformers 5 writes a CLIP's image processor into `processor_config.json`, and reads it there
/// before it looks elsewhere.
#[test]
fn image_settings_of_a_processors_file_are_read() {
    let vit = small(Family::Clip);
    let dir = write(&vit);
    let [own, nested] =
        ["preprocessor_config.json", "processor_config.json"].map(|name| dir.path().join(name));
    let settings: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&own).unwrap()).unwrap();
    let put = |settings: &serde_json::Value| {
        let whole =
            serde_json::json!({ "image_processor": settings, "processor_class": "CLIPProcessor" });
        std::fs::write(&nested, whole.to_string()).unwrap();
    };
    let open = || Vit::open(dir.path()).map_err(|e| e.to_string());
    std::fs::remove_file(&own).unwrap();
    let said = open().err().unwrap();
    assert!(said.contains("no preprocessor_config.json, and no processor_config.json"), "{said}");
    put(&settings);
    assert_eq!(open().unwrap().preprocessing, vit.preprocessing);
    std::fs::write(&own, settings.to_string()).unwrap();
    assert_eq!(open().unwrap().preprocessing, vit.preprocessing, "both say the same");
    let mut other = settings.clone();
    other["image_mean"] = serde_json::json!([0.1, 0.2, 0.3]);
    put(&other);
    let said = open().err().unwrap();
    assert!(said.contains("image_processor in processor_config.json differ"), "{said}");
    std::fs::write(&nested, r#"{"processor_class":"CLIPProcessor"}"#).unwrap();
    assert_eq!(
        open().unwrap().preprocessing,
        vit.preprocessing,
        "an older file says nothing of images"
    );
    other["image_processor_type"] = "EfficientNetImageProcessor".into();
    std::fs::remove_file(&own).unwrap();
    put(&other);
    let said = open().err().unwrap();
    assert!(
        said.contains("processor_config.json") && said.contains("EfficientNetImageProcessor"),
        "{said}"
    );
}

/// What is left out of a preprocessor's file, and what a bare number means, depends on its type.
#[test]
fn preprocessors_are_read_as_transformers_does() {
    let read = |processor: &str| {
        let dir = write(&small(Family::Dinov2));
        std::fs::write(dir.path().join("preprocessor_config.json"), processor).unwrap();
        Vit::open(dir.path()).map(|vit| vit.preprocessing).map_err(|e| e.to_string())
    };
    let rest = r#""image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]"#;
    let bit = read(&format!(
        r#"{{"image_processor_type":"BitImageProcessor","size":10,"crop_size":8,{rest}}}"#
    ))
    .unwrap();
    assert_eq!((bit.resize, bit.filter), (Resize::ShortestEdge(10), Filter::Bicubic));
    assert_eq!(bit.crop, Some(Size { height: 8, width: 8 }));
    let vit = read(&format!(r#"{{"image_processor_type":"ViTImageProcessor","size":8,{rest}}}"#))
        .unwrap();
    assert_eq!(
        (vit.resize, vit.filter),
        (Resize::Exact(Size { height: 8, width: 8 }), Filter::Bilinear)
    );
    let clip = read(r#"{"feature_extractor_type":"CLIPFeatureExtractor","size":10,"crop_size":8}"#)
        .unwrap();
    assert_eq!((clip.resize, clip.filter, clip.crop), (bit.resize, bit.filter, bit.crop));
    assert_eq!((clip.mean[0], clip.std[2]), (0.48145466, 0.27577711));
    let bare = read(r#"{"image_processor_type":"CLIPImageProcessorFast"}"#).unwrap();
    assert_eq!(
        (bare.resize, bare.crop),
        (Resize::ShortestEdge(224), Some(Size { height: 224, width: 224 }))
    );
    let square = |side| Resize::Exact(Size { height: side, width: side });
    let siglip =
        read(r#"{"image_processor_type":"SiglipImageProcessor","size":{"height":8,"width":8}}"#);
    let siglip = siglip.unwrap();
    assert_eq!((siglip.resize, siglip.filter, siglip.crop), (square(8), Filter::Bicubic, None));
    assert_eq!((siglip.mean, siglip.std), ([0.5; 3], [0.5; 3]));
    let dinov3 = read(r#"{"image_processor_type":"DINOv3ViTImageProcessorFast"}"#).unwrap();
    assert_eq!((dinov3.resize, dinov3.filter, dinov3.crop), (square(224), Filter::Bilinear, None));
    assert_eq!((dinov3.mean[0], dinov3.std[2]), (0.485, 0.225));
    for (processor, word) in [
        (
            format!(r#"{{"image_processor_type":"EfficientNetImageProcessor","size":8,{rest}}}"#),
            "EfficientNetImageProcessor",
        ),
        (format!(r#"{{"size":{{"longest_edge":8}},{rest}}}"#), "longest_edge"),
        (r#"{"size":8}"#.to_owned(), "image_mean"),
    ] {
        let said = read(&processor).unwrap_err();
        assert!(said.contains(word), "{said}");
    }
}
