//! What timm's code makes of names, and what a name does not tell.

use super::*;
use crate::base::timm::architecture::Architecture;

/// A row of tests/golden/timm/architectures.txt, which tests/parity/architectures.py writes of
/// timm's own registry.
fn row(line: &str) -> (&str, Option<Architecture>) {
    let cells: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| cells[at].parse().unwrap();
    let expected = Architecture {
        size: [number(1), number(2), number(3)],
        eps: cells[4].parse().unwrap(),
        activation: match cells[5] {
            "gelu_tanh" => Some(Activation::GeluTanh),
            "quick_gelu" => Some(Activation::QuickGelu),
            _ => None,
        },
        feature: match cells[6] {
            "avg" => Feature::Mean,
            "map" => Feature::Attention,
            _ => Feature::Class,
        },
        theta: cells[7].parse().ok(),
        patches_alone: cells[8] == "1",
    };
    (cells[0], (cells[9] == "ok").then_some(expected))
}

#[test]
fn every_name_of_timms_registry_is_read_as_its_code_says_or_refused() {
    let text = fs::read_to_string(folder("timm/architectures.txt")).unwrap();
    let mut read = 0;
    for (name, expected) in text.lines().map(row) {
        assert_eq!(architecture::named(name), expected, "{name}");
        read += usize::from(expected.is_some());
    }
    assert!(read > 150, "{read}");
}

fn heads_of(name: &str, arguments: Value, shape: [usize; 2]) -> Result<usize, String> {
    let file = config(json!({ "architecture": name, "model_args": arguments }));
    let named = architecture(&file).unwrap();
    heads(&file, &named, shape, &Choices::default()).map_err(|e| e.to_string())
}

#[test]
fn heads_are_the_architectures_where_width_and_depth_are() {
    let name = "vit_small_patch16_224";
    let silent = || json!({ "num_heads": null });
    assert_eq!(heads_of(name, silent(), [384, 12]), Ok(6));
    for other in [[384, 13], [768, 12]] {
        let said = heads_of(name, silent(), other).unwrap_err();
        for words in ["config.json", name, "not in the files", "\"model_args\": {\"num_heads\": N}"]
        {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    // TransPath's card says so in code: with the file's help it is 12, and not the name's 6.
    assert_eq!(heads_of(name, json!({ "num_heads": 12 }), [384, 12]), Ok(12));
    assert_eq!(heads_of(name, json!({ "num_heads": 12 }), [64, 2]), Ok(12));
}

/// UNI2-h has this name, another width and 24 heads, which its users pass in code.
#[test]
fn a_name_that_another_network_was_given_tells_no_heads() {
    let said = heads_of("vit_giant_patch14_224", json!({}), [1536, 24]).unwrap_err();
    assert!(
        said.contains("1408 wide with 40 blocks") && said.contains("1536 wide with 24"),
        "{said}"
    );
    let silent = |c: &mut Value| drop(c["model_args"].as_object_mut().unwrap().remove("num_heads"));
    let said = changed("timm/vit", silent, |_| ()).err().unwrap();
    assert!(said.contains("192 wide with 12 blocks") && said.contains("8 wide with 2"), "{said}");
}

#[test]
fn heads_may_be_chosen_where_no_file_gives_them() {
    let silent = |c: &mut Value| drop(c["model_args"].as_object_mut().unwrap().remove("num_heads"));
    let choices = Choices { heads: Some(2), ..Choices::default() };
    let plain = Vit::open(&folder("timm/vit")).unwrap().digest();
    assert_eq!(chosen("timm/vit", silent, |_| (), &choices).unwrap().digest(), plain);
    // What the file gives stays.
    let choices = Choices { heads: Some(4), ..Choices::default() };
    let said = chosen("timm/vit", |_| (), |_| (), &choices).err().unwrap();
    assert!(said.contains("4") && said.contains("2"), "{said}");
    let choices = Choices { heads: Some(3), ..Choices::default() };
    let said = chosen("timm/vit", silent, |_| (), &choices).err().unwrap();
    assert!(said.contains("no multiple of 3 heads"), "{said}");
}

#[test]
fn other_architectures_are_refused_by_name() {
    for name in [
        "vit_base_patch16_xp_224",
        "vit_small_patch16_18x2_224",
        "vit_base_patch16_rope_224",
        "deit_tiny_distilled_patch16_224",
        "eva02_base_patch14_224",
        "vit_base_r50_s16_224",
        "vit_base_patch_224",
        "vit_base_patch16_clip_quickgelu_words",
        "vit_intern300m_patch14_448",
        "resnet50",
        "",
    ] {
        let file = config(json!({ "architecture": name }));
        let said = architecture(&file).unwrap_err().to_string();
        assert!(
            said.contains("config.json") && said.contains(name) && said.contains("not read"),
            "{said}"
        );
    }
}
