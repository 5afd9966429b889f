//! Texts: their tokens and features against those of transformers (`tests/parity/golden.py`), and
//! the folders that are refused.

use std::fs;

use medforge_runtime::tensors;

use super::*;
use crate::parity::{distance, folder, golden};

fn lines() -> Vec<String> {
    serde_json::from_slice(&fs::read(folder("clip").join("texts.json")).unwrap()).unwrap()
}

/// The golden CLIP in a folder of its own, without `left_out`.
fn copied(left_out: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors", "vocab.json", "merges.txt"] {
        if !left_out.contains(&name) {
            fs::copy(folder("clip").join(name), dir.path().join(name)).unwrap();
        }
    }
    dir
}

fn refusal(dir: &Path) -> String {
    TextTower::open(dir).err().expect("the folder is refused").to_string()
}

#[test]
fn texts_have_the_features_that_transformers_gives_them() {
    let tower = TextTower::open(&folder("clip")).unwrap();
    let expected = &golden("clip")["text.feature"];
    for (text, expected) in lines().iter().zip(expected.data.chunks_exact(tower.features())) {
        let ours = tower.feature(text).unwrap();
        let error = distance(&ours, expected);
        assert!(error < 1e-5, "{text}: {error:e}");
    }
    // The parameter is 2.6592, kept in f16.
    assert_eq!(tower.logit_scale, half::f16::from_f32(2.6592).to_f32().exp());
}

#[test]
fn a_thousand_random_texts_have_the_tokens_that_transformers_gives_them() {
    let tower = TextTower::open(&folder("clip")).unwrap();
    let path = folder("clip").join("tokens.safetensors");
    let golden = tensors::read(&fs::read(path).unwrap(), "tokens.safetensors").unwrap();
    let (lengths, mut rest) = (&golden["lengths"].data, &golden["ids"].data[..]);
    assert_eq!(lengths.len(), 1000);
    let mut draw = Draw(1);
    for length in lengths {
        let text = draw.text();
        let (own, more) = rest.split_at(*length as usize);
        let ours: Vec<f32> =
            tower.tokens.of(&text).unwrap().into_iter().map(|id| id as f32).collect();
        assert_eq!(ours, own, "{text:?}");
        rest = more;
    }
    assert!(rest.is_empty());
}

/// The texts of `tests/parity/golden.py`: pieces drawn by a linear congruential generator (Knuth's
/// MMIX).
struct Draw(u64);

const PIECES: [&str; 48] = [
    "a",
    "tissue",
    "the",
    "colon",
    "X-ray",
    "HISTOLOGY",
    " ",
    "  ",
    "\t",
    "\n",
    "\u{a0}",
    "\u{3000}",
    "\u{2003}",
    "'s",
    "don't",
    "we'll",
    "I'M",
    "42",
    "3.5",
    "%",
    "!?",
    "...",
    "é",
    "e\u{301}",
    "É",
    "ß",
    "ẞ",
    "İ",
    "ΑΣ",
    "ﬁ",
    "Å",
    "中文",
    "한",
    "か\u{3099}",
    "🙂",
    "👩\u{200d}⚕",
    "\u{200b}",
    "\u{ad}",
    "½",
    "Ⅳ",
    "٣",
    "_",
    "-",
    "<|endoftext|>",
    "<|startoftext|>",
    "</w>",
    "µm",
    "\u{feff}",
];

impl Draw {
    fn next(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn text(&mut self) -> String {
        let pieces = 1 + self.next(6);
        (0..pieces).map(|_| PIECES[self.next(PIECES.len())]).collect()
    }
}

#[test]
fn descriptions_of_a_class_are_averaged_as_unit_vectors() {
    let tower = TextTower::open(&folder("clip")).unwrap();
    let lines = lines();
    let one = tower.direction(&lines[..1]).unwrap();
    assert!(distance(&one, &unit(&tower.feature(&lines[0]).unwrap())) < 1e-6);
    let two = tower.direction(&lines[1..3]).unwrap();
    let units = [&lines[1], &lines[2]].map(|text| unit(&tower.feature(text).unwrap()));
    let mean: Vec<f32> = units[0].iter().zip(&units[1]).map(|(a, b)| (a + b) / 2.0).collect();
    assert!(distance(&two, &unit(&mean)) < 1e-6);
}

#[test]
fn a_tokenizer_json_is_read_as_well() {
    let dir = copied(&["vocab.json", "merges.txt"]);
    let [vocabulary, merges] =
        ["vocab.json", "merges.txt"].map(|name| fs::read(folder("clip").join(name)).unwrap());
    let whole = tokens::of_parts(&folder("clip").join("vocab.json"), &vocabulary, &merges).unwrap();
    fs::write(dir.path().join("tokenizer.json"), whole).unwrap();
    let (ours, other) =
        (TextTower::open(dir.path()).unwrap(), TextTower::open(&folder("clip")).unwrap());
    assert_eq!(ours.feature("the colon").unwrap(), other.feature("the colon").unwrap());
}

#[test]
fn folders_without_a_whole_text_tower_are_refused() {
    let said = refusal(copied(&["merges.txt"]).path());
    assert!(said.contains("tokenizer.json: is missing") && said.contains("merges.txt"), "{said}");
    let said = refusal(&folder("vit"));
    assert!(said.contains("no text tower"), "{said}");
    let dir = copied(&[]);
    fs::write(dir.path().join("merges.txt"), "#version: 0.2\nth e re\n").unwrap();
    assert!(refusal(dir.path()).contains("\"th e re\" is not two parts"));
    fs::write(dir.path().join("vocab.json"), "{\"a\": 0}").unwrap();
    assert!(refusal(dir.path()).contains("has no token <|startoftext|>"));
    let dir = copied(&[]);
    let path = dir.path().join("config.json");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("\"vocab_size\": 529", "\"vocab_size\": 528")).unwrap();
    let said = refusal(dir.path());
    assert!(said.contains("the model has 528"), "{said}");
    fs::write(&path, config.replace("\"eos_token_id\": 528", "\"eos_token_id\": 3")).unwrap();
    let said = refusal(dir.path());
    assert!(said.contains("does not end"), "{said}");
}
