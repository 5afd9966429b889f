//! Layouts of timm's tensors become one form.

use super::*;
use crate::base::vit_config::{Interpolation, Pooling};

type Tensors = BTreeMap<String, Tensor>;

/// Values that differ from each other.
fn values(shape: &[usize]) -> Tensor {
    let data = (0..shape.iter().product()).map(|i: usize| (i as f32 * 0.7).sin()).collect();
    Tensor::f32(shape.to_vec(), data)
}

fn put(name: &str, shape: &[usize]) -> impl Fn(&mut Tensors) {
    move |tensors| drop(tensors.insert(name.to_owned(), values(shape)))
}

#[test]
fn a_table_of_patches_alone_gets_zeros_for_the_class_token() {
    let read = changed("timm/vit", |_| (), put("pos_embed", &[1, 4, 8])).unwrap();
    let table = &read.tensors["embed.positions"].read();
    assert_eq!(table.shape, [5, 8]);
    assert!(table.data[..8].iter().all(|value| *value == 0.0));
    assert_eq!(table.data[8..], values(&[4, 8]).data);
    assert_eq!(read.config.interpolation, Interpolation::Antialias);
}

/// Nine rows beside a class token and four registers may be five and four, or nine patches.
#[test]
fn rows_of_registers_are_added_to_these() {
    let tensors = |tensors: &mut Tensors| {
        put("reg_token", &[1, 4, 8])(tensors);
        put("pos_embed", &[1, 9, 8])(tensors);
    };
    let read = changed("timm/vit", |_| (), tensors).unwrap();
    assert_eq!((read.config.registers, read.config.image_size), (4, 8));
    let (token, row) = (values(&[1, 4, 8]).data, values(&[1, 9, 8]).data);
    let sum: Vec<f32> = token.iter().zip(&row[8..40]).map(|(token, row)| token + row).collect();
    assert_eq!(read.tensors["embed.registers"].read().data, sum);
    let table = &read.tensors["embed.positions"].read();
    assert_eq!(table.data[..8], row[..8]);
    assert_eq!(table.data[8..], row[40..]);
}

#[test]
fn the_size_of_images_tells_what_rows_are() {
    let tensors = |tensors: &mut Tensors| {
        put("reg_token", &[1, 4, 8])(tensors);
        put("pos_embed", &[1, 9, 8])(tensors);
    };
    let config = |c: &mut Value| {
        c["model_args"]["img_size"] = json!(12);
        c["pretrained_cfg"]["input_size"] = json!([3, 12, 12]);
    };
    let read = changed("timm/vit", config, tensors).unwrap();
    assert_eq!(read.config.image_size, 12);
    assert!(read.tensors["embed.positions"].read().data[..8].iter().all(|value| *value == 0.0));
    assert_eq!(read.tensors["embed.registers"].read().data, values(&[4, 8]).data);
}

#[test]
fn a_packed_gate_is_the_first_half() {
    let tensors = |tensors: &mut Tensors| {
        for block in ["blocks.0", "blocks.1"] {
            put(&format!("{block}.mlp.fc1.weight"), &[32, 8])(tensors);
            put(&format!("{block}.mlp.fc1.bias"), &[32])(tensors);
        }
    };
    let read = changed("timm/vit", |_| (), tensors).unwrap();
    let config = &read.config;
    assert_eq!((config.mlp, config.gated, config.activation), (16, true, Activation::Silu));
    let packed = values(&[32, 8]).data;
    assert_eq!(read.tensors["blocks.1.mlp.gate.weight"].read().data, packed[..128]);
    assert_eq!(read.tensors["blocks.1.mlp.fc1.weight"].read().data, packed[128..]);
}

#[test]
fn the_feature_is_what_the_file_pools() {
    let pool =
        |pool: &'static str| move |c: &mut Value| c["model_args"]["global_pool"] = json!(pool);
    let feature = |read: Result<Vit, String>| read.unwrap().config.pooling;
    assert_eq!(feature(changed("timm/vit", pool("avg"), |_| ())), Pooling::Mean);
    assert_eq!(feature(changed("timm/vit", pool(""), |_| ())), Pooling::Class);
    let moved = |tensors: &mut Tensors| {
        for end in ["weight", "bias"] {
            let norm = tensors.remove(&format!("norm.{end}")).unwrap();
            tensors.insert(format!("fc_norm.{end}"), norm);
        }
    };
    assert_eq!(feature(changed("timm/vit", pool("avg"), moved)), Pooling::NormOfMean);
    let said = changed("timm/vit", pool("map"), |_| ()).err().unwrap();
    assert!(said.contains("attn_pool.latent") && said.contains("missing"), "{said}");
    let chosen = |feature| {
        let choices = Choices { feature: Some(feature), ..Choices::default() };
        chosen("timm/vit", |_| (), |_| (), &choices)
    };
    assert_eq!(feature(chosen(Feature::ClassMean)), Pooling::ClassMean);
    assert_eq!(feature(chosen(Feature::NormOfMean)), Pooling::NormOfMean);
    let said = chosen(Feature::Attention).err().unwrap();
    assert!(said.contains("attention") && said.contains("class, mean"), "{said}");
}

#[test]
fn a_crop_and_a_size_may_be_chosen() {
    let read = |choices: Choices| chosen("timm/vit", |_| (), |_| (), &choices);
    let whole = read(Choices { crop_pct: Some(1.0), ..Choices::default() }).unwrap();
    assert_eq!(whole.preprocessing.resize, Resize::ShortestEdge(8));
    let half = read(Choices { crop_pct: Some(0.5), ..Choices::default() }).unwrap();
    assert_eq!(half.preprocessing.resize, Resize::ShortestEdge(16));
    for share in [0.0, -1.0, 1.5, 1e-9, f64::NAN, f64::INFINITY] {
        let said = read(Choices { crop_pct: Some(share), ..Choices::default() }).err().unwrap();
        assert!(said.contains("share"), "{said}");
    }
    let large = read(Choices { size: Some(16), ..Choices::default() }).unwrap();
    assert_eq!(large.config.image_size, 16);
    assert_eq!(large.tensors["embed.positions"].shape, [17, 8]);
    assert_eq!(large.preprocessing.output_size(), Size { height: 16, width: 16 });
    let said = read(Choices { size: Some(10), ..Choices::default() }).err().unwrap();
    assert!(said.contains("multiple"), "{said}");
}

#[test]
fn images_may_have_another_size_than_the_table() {
    let config = |c: &mut Value| c["pretrained_cfg"]["input_size"] = json!([3, 16, 16]);
    let read = changed("timm/vit", config, |_| ()).unwrap();
    assert_eq!(read.config.image_size, 8);
    assert_eq!(read.preprocessing.output_size(), Size { height: 16, width: 16 });
}
