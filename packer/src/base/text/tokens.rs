//! From a text to the numbers of its tokens, by the tokenizer of the model's folder.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokenizers::{Tokenizer, TruncationParams};

use super::super::config::TextConfig;
use crate::{Error, input};

/// What begins and ends every text of a CLIP.
const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// Splits a text into words (Radford et al. 2021, the published code's tokenizer).
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// A tokenizer that cuts what is too long.
pub struct Tokens {
    path: PathBuf,
    tokenizer: Tokenizer,
    config: TextConfig,
}

impl Tokens {
    /// Reads `tokenizer.json` of `dir`, or `vocab.json` and `merges.txt`, from which CLIP's
    /// tokenizer is made.
    pub fn open(dir: &Path, config: &TextConfig) -> Result<Self, Error> {
        let file = input::folder(dir);
        let whole = dir.join("tokenizer.json");
        let (path, bytes) = if whole.exists() {
            (whole, file("tokenizer.json")?)
        } else if dir.join("vocab.json").exists() && dir.join("merges.txt").exists() {
            let path = dir.join("vocab.json");
            let bytes = of_parts(&path, &file("vocab.json")?, &file("merges.txt")?)?;
            (path, bytes)
        } else {
            let what = "is missing, and so are vocab.json and merges.txt; copy the tokenizer from \
                        where the model comes from";
            return Err(Error::Config { path: whole, what: what.into() });
        };
        let refuse = |what: String| Error::Config { path: path.clone(), what };
        let mut tokenizer =
            Tokenizer::from_bytes(bytes).map_err(|e| refuse(format!("is not a tokenizer: {e}")))?;
        let truncation = TruncationParams { max_length: config.positions, ..Default::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|e| refuse(e.to_string()))?;
        tokenizer.with_padding(None);
        let tokens = Tokens { tokenizer, config: config.clone(), path };
        tokens.of("")?;
        Ok(tokens)
    }

    /// The numbers of `text`'s tokens, with those that begin and end it.
    pub fn of(&self, text: &str) -> Result<Vec<u32>, Error> {
        let refuse = |what: String| Error::Config { path: self.path.clone(), what };
        let encoded = self
            .tokenizer
            .encode(text, true)
            .map_err(|e| refuse(format!("cannot read {text:?}: {e}")))?;
        if !encoded.get_overflowing().is_empty() {
            log::warn!(
                "{text:?} is longer than the model's {} tokens; the rest of it does not count",
                self.config.positions
            );
        }
        let ids = encoded.get_ids();
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.config.vocabulary) {
            return Err(refuse(format!(
                "gives {text:?} the token {id}, and the model has {}",
                self.config.vocabulary
            )));
        }
        let ends = self.config.end == 2 || ids.contains(&self.config.end);
        if !ids.is_empty() && ids.len() <= self.config.positions && ends {
            Ok(ids.to_vec())
        } else {
            Err(refuse(format!(
                "does not end {text:?} with the token {}, as config.json says",
                self.config.end
            )))
        }
    }
}

/// CLIP's tokenizer from its vocabulary and its merges, in the form of tokenizer.json.
pub(super) fn of_parts(path: &Path, vocabulary: &[u8], merges: &[u8]) -> Result<Vec<u8>, Error> {
    let refuse = |path: &Path, what: String| Error::Config { path: path.to_owned(), what };
    let vocabulary: Value = serde_json::from_slice(vocabulary)
        .map_err(|e| refuse(path, format!("is not JSON: {e}")))?;
    let number = |token: &str| match vocabulary.get(token).and_then(Value::as_u64) {
        Some(number) => Ok(number),
        None => Err(refuse(path, format!("has no token {token}"))),
    };
    let (start, end) = (number(START)?, number(END)?);
    let place = path.with_file_name("merges.txt");
    let merges =
        std::str::from_utf8(merges).map_err(|e| refuse(&place, format!("is not UTF-8: {e}")))?;
    let merges = merges
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.is_empty())
        .map(|line| {
            let pair: Vec<&str> = line.split(' ').collect();
            if pair.len() == 2 {
                Ok(pair)
            } else {
                Err(refuse(&place, format!("{line:?} is not two parts to merge")))
            }
        });
    let merges: Vec<Vec<&str>> = merges.collect::<Result<_, _>>()?;
    let special = |id: u64, content: &str| {
        json!({ "id": id, "content": content,
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true })
    };
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [special(start, START), special(end, END)],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
            { "type": "Lowercase" },
        ]},
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": WORDS }, "behavior": "Removed",
                "invert": true },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                "use_regex": true },
        ]},
        "post_processor": {
            "type": "RobertaProcessing", "sep": [END, end], "cls": [START, start],
                "trim_offsets": false, "add_prefix_space": false,
        },
        "model": {
            "type": "BPE", "unk_token": END, "continuing_subword_prefix": "",
                "end_of_word_suffix": "</w>", "fuse_unk": false,
            "vocab": vocabulary, "merges": merges,
        },
    });
    Ok(tokenizer.to_string().into_bytes())
}
