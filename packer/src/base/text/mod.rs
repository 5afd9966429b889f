//! A CLIP's text tower (Radford et al. 2021): texts in, features out, on the processor. It serves
//! to make heads of class names and never goes into a bundle.
//!
//! Refused, with the file and the reason: a folder without a text tower or without a tokenizer,
//! missing or misshapen tensors, tokens that the table of embeddings does not have.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::tensors::Tensor;

use super::config::{TextConfig, text_config};
use super::weight_files::WeightMap;
use super::weights::matrix;
use crate::device::Device;
use crate::device::cpu::Cpu;
use crate::softmax::softmax;
use crate::tape::{Tape, Tensor as Matrix, Var};
use crate::{Error, input, interrupt};

mod tokens;

use tokens::Tokens;

/// A text tower with its tokenizer.
pub struct TextTower {
    config: TextConfig,
    tokens: Tokens,
    /// By the names of transformers' files, without `text_model.`.
    weights: BTreeMap<String, Var<Cpu<f32>>>,
    device: Cpu<f32>,
    /// What products of normalised features are multiplied with before the softmax.
    pub logit_scale: f32,
}

impl TextTower {
    /// Reads `config.json`, the weights ([`WeightMap::open`]) and the tokenizer (`tokenizer.json`,
    /// or `vocab.json` and `merges.txt`) of `dir`.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let file = input::folder(dir);
        let config = text_config(dir, &file("config.json")?)?;
        let tokens = Tokens::open(dir, &config)?;
        let WeightMap { path, tensors: found } = WeightMap::open(dir)?;
        let take = |name: &str, shape: Vec<usize>| -> Result<Tensor, Error> {
            let Some(view) = found.get(name) else {
                return Err(Error::TensorMissing { path: path.clone(), tensor: name.to_owned() });
            };
            if view.shape != shape {
                let (found, expected) = (view.shape.clone(), shape);
                return Err(Error::TensorShape {
                    path: path.clone(),
                    tensor: name.to_owned(),
                    found,
                    expected,
                });
            }
            view.read()
        };
        let device = Cpu::<f32>::new();
        let mut weights = BTreeMap::new();
        for (name, shape) in shapes(&config) {
            let whole = if name.starts_with("text_projection") {
                name.clone()
            } else {
                format!("text_model.{name}")
            };
            let tensor = take(&whole, shape)?;
            weights.insert(
                name,
                Var::constant(matrix(&device, &tensor.shape, &tensor.data, Matrix::frozen)),
            );
        }
        let logit_scale = take("logit_scale", Vec::new())?.data[0].exp();
        if !logit_scale.is_finite() {
            return Err(Error::Config { path, what: "logit_scale is out of range".into() });
        }
        Ok(TextTower { config, tokens, weights, device, logit_scale })
    }

    /// Width of a feature.
    pub fn features(&self) -> usize {
        self.config.projection
    }

    /// The feature of `text`, `[features]`, not normalised. What a text has beyond the tower's
    /// positions is cut, with a warning.
    pub fn feature(&self, text: &str) -> Result<Vec<f32>, Error> {
        interrupt::check()?;
        let ids = self.tokens.of(text)?;
        let (tape, n) = (Tape::new(&self.device), ids.len());
        let get = |name: &str| &self.weights[name];
        let mut x = self.embedded(&ids)?;
        for layer in 0..self.config.layers {
            let part = |name: &str| get(&format!("encoder.layers.{layer}.{name}"));
            let linear = |x: &Var<_>, name: &str| {
                tape.linear(
                    x,
                    part(&format!("{name}.weight")),
                    Some(part(&format!("{name}.bias"))),
                    None,
                )
            };
            let norm = |x: &Var<_>, name: &str| {
                tape.layer_norm(
                    x,
                    part(&format!("{name}.weight")),
                    part(&format!("{name}.bias")),
                    self.config.eps,
                )
            };
            let y = norm(&x, "layer_norm1");
            let qkv =
                ["q_proj", "k_proj", "v_proj"].map(|name| linear(&y, &format!("self_attn.{name}")));
            let y = self.attention(&qkv)?;
            x = tape.residual(&x, &linear(&y, "self_attn.out_proj"), None);
            let y = tape
                .activation(self.config.activation, &linear(&norm(&x, "layer_norm2"), "mlp.fc1"));
            x = tape.residual(&x, &linear(&y, "mlp.fc2"), None);
        }
        let x = tape.layer_norm(
            &x,
            get("final_layer_norm.weight"),
            get("final_layer_norm.bias"),
            self.config.eps,
        );
        let x = tape.linear(&x, get("text_projection.weight"), None, None);
        let (all, place) = (self.device.download(&x.value.buffer)?, self.end(&ids));
        debug_assert_eq!(all.len(), n * self.config.projection);
        Ok(all[place * self.config.projection..][..self.config.projection].to_vec())
    }

    /// The unit vector of the mean of the unit vectors of `texts`: the feature of a class with
    /// several descriptions.
    pub fn direction(&self, texts: &[String]) -> Result<Vec<f32>, Error> {
        let mut sum = vec![0.0; self.features()];
        for text in texts {
            sum.iter_mut().zip(unit(&self.feature(text)?)).for_each(|(s, v)| *s += v);
        }
        Ok(unit(&sum))
    }

    /// Each token's embedding plus that of its position, [tokens, hidden].
    fn embedded(&self, ids: &[u32]) -> Result<Var<Cpu<f32>>, Error> {
        let width = self.config.hidden;
        let [table, places] = ["token", "position"].map(|kind| {
            let name = format!("embeddings.{kind}_embedding.weight");
            self.device.download(&self.weights[&name].value.buffer)
        });
        let (table, places) = (table?, places?);
        let rows = ids.iter().zip(places.chunks_exact(width)).flat_map(|(&id, place)| {
            table[id as usize * width..][..width]
                .iter()
                .zip(place)
                .map(|(token, place)| token + place)
        });
        let rows: Vec<f32> = rows.collect();
        Ok(Var::constant(Matrix::frozen(&self.device, &rows, ids.len(), width)))
    }

    /// Attention of each token to itself and those before it.
    fn attention(&self, qkv: &[Var<Cpu<f32>>; 3]) -> Result<Var<Cpu<f32>>, Error> {
        let (hidden, heads) = (self.config.hidden, self.config.heads);
        let width = hidden / heads;
        let [q, k, v] = qkv.each_ref().map(|x| self.device.download(&x.value.buffer));
        let (q, k, v) = (q?, k?, v?);
        let n = q.len() / hidden;
        let mut out = vec![0.0f32; q.len()];
        for head in 0..heads {
            let row = |of: &[f32], token: usize| -> Vec<f32> {
                of[token * hidden + head * width..][..width].to_vec()
            };
            for token in 0..n {
                let query = row(&q, token);
                let score = |other: usize| {
                    let product: f32 = query.iter().zip(row(&k, other)).map(|(q, k)| q * k).sum();
                    product / (width as f32).sqrt()
                };
                let weights = softmax(&(0..=token).map(score).collect::<Vec<_>>());
                let to = &mut out[token * hidden + head * width..][..width];
                for (other, weight) in weights.into_iter().enumerate() {
                    to.iter_mut().zip(row(&v, other)).for_each(|(t, v)| *t += weight as f32 * v);
                }
            }
        }
        Ok(Var::constant(Matrix::frozen(&self.device, &out, n, hidden)))
    }

    /// The place of the token whose row is the text's feature: the first end token. Older
    /// configurations say 2 for it and mean the token with the highest number (transformers,
    /// CLIPTextModel).
    fn end(&self, ids: &[u32]) -> usize {
        let wanted = match self.config.end {
            2 => ids.iter().max().copied().unwrap_or(0),
            end => end,
        };
        ids.iter().position(|&id| id == wanted).unwrap_or(0)
    }
}

fn unit(of: &[f32]) -> Vec<f32> {
    let norm = of.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt().max(1e-12);
    of.iter().map(|v| (f64::from(*v) / norm) as f32).collect()
}

fn shapes(config: &TextConfig) -> Vec<(String, Vec<usize>)> {
    let (d, m) = (config.hidden, config.mlp);
    let mut shapes = vec![
        ("embeddings.token_embedding.weight".to_owned(), vec![config.vocabulary, d]),
        ("embeddings.position_embedding.weight".to_owned(), vec![config.positions, d]),
        ("final_layer_norm.weight".to_owned(), vec![d]),
        ("final_layer_norm.bias".to_owned(), vec![d]),
        ("text_projection.weight".to_owned(), vec![config.projection, d]),
    ];
    for layer in 0..config.layers {
        let mut add = |name: &str, shape: Vec<usize>| {
            shapes.push((format!("encoder.layers.{layer}.{name}.bias"), vec![shape[0]]));
            shapes.push((format!("encoder.layers.{layer}.{name}.weight"), shape));
        };
        for norm in ["layer_norm1", "layer_norm2"] {
            add(norm, vec![d]);
        }
        for linear in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            add(&format!("self_attn.{linear}"), vec![d, d]);
        }
        add("mlp.fc1", vec![m, d]);
        add("mlp.fc2", vec![d, m]);
    }
    shapes
}

#[cfg(test)]
mod tests;
