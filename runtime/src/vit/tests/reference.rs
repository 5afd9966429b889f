//! A network as its formulas say it, in f64: every token through every block, no kernels, no tables
//! of angles, nothing left out.

use std::f64::consts::{FRAC_2_SQRT_PI, PI, SQRT_2, TAU};

use super::made::{BySite, THETA, Weights, place};
use crate::vit::{Activation, Layer, Pooling, Positions, Shape, Site};

type Rows = Vec<Vec<f64>>;

/// A network under factors.
pub struct Reference<'a> {
    pub shape: &'a Shape,
    pub weights: &'a Weights,
    pub factors: &'a BySite,
}

/// What an attention gives: rows, and how much each query attended to each token, the mean over
/// heads.
struct Attended {
    rows: Rows,
    weights: Rows,
}

impl Reference<'_> {
    /// The feature of an image, and where it comes from.
    pub fn run(&self, image: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let shape = self.shape;
        let mut x = self.embed(image);
        let mut attention = Vec::new();
        for block in 0..shape.blocks {
            attention.push(self.block(&mut x, block));
        }
        let (mut feature, mut from) = self.pool(&x);
        if shape.projection.is_some() {
            feature = self.linear(&[feature], Site::Projection).remove(0);
        }
        for weights in attention.iter().rev().take(3) {
            let through = |token: usize| {
                let mixed: f64 =
                    from.iter().zip(weights).map(|(part, weights)| part * weights[token]).sum();
                (from[token] + mixed) / 2.0
            };
            from = (0..from.len()).map(through).collect();
        }
        let patches = &from[shape.patches()];
        let total: f64 = patches.iter().sum();
        (feature, patches.iter().map(|part| part / total).collect())
    }

    fn values(&self, name: &str) -> Vec<f64> {
        self.weights[name].data.iter().map(|value| f64::from(*value)).collect()
    }

    fn embed(&self, image: &[f32]) -> Rows {
        let Shape { patch, grid, hidden, .. } = *self.shape;
        let (side, weight) = (self.shape.side(), self.values("embed.patch.weight"));
        let mut patches: Rows = Vec::new();
        for index in 0..grid * grid {
            let mut row = vec![0.0; hidden];
            if self.shape.patch_bias {
                row = self.values("embed.patch.bias");
            }
            for at in 0..self.shape.patch_values() {
                let (channel, y, x) = (at / (patch * patch), at / patch % patch, at % patch);
                let (y, x) = (index / grid * patch + y, index % grid * patch + x);
                let pixel = f64::from(image[(channel * side + y) * side + x]);
                (0..hidden).for_each(|column| row[column] += pixel * weight[at * hidden + column]);
            }
            patches.push(row);
        }
        let rows = |name: &str| -> Rows {
            self.values(name).chunks(hidden).map(<[f64]>::to_vec).collect()
        };
        let mut tokens = if self.shape.class_token { rows("embed.cls") } else { Vec::new() };
        let class = tokens.len();
        tokens.extend(patches);
        if self.shape.positions == Positions::Learned {
            let table = rows("embed.positions");
            assert_eq!(table.len(), tokens.len());
            tokens.iter_mut().zip(table).for_each(|(token, row)| *token = added(token, &row));
        }
        if self.shape.registers > 0 {
            tokens.splice(class..class, rows("embed.registers"));
        }
        if self.shape.norms.first { self.norm(&tokens, "embed.norm") } else { tokens }
    }

    fn block(&self, x: &mut [Vec<f64>], block: usize) -> Rows {
        let name = |part: &str| format!("blocks.{block}.{part}");
        let site = |layer| Site::Block(block, layer);
        let scaled = |rows: Rows, part: &str| {
            if !self.shape.norms.layer_scale {
                return rows;
            }
            rows.iter().map(|row| times(row, &self.values(&name(part)))).collect()
        };
        let y = self.norm(x, &name("norm1"));
        let (mut q, mut k) = (self.linear(&y, site(Layer::Q)), self.linear(&y, site(Layer::K)));
        let v = self.linear(&y, site(Layer::V));
        for (rows, part) in [(&mut q, "attn.q_norm"), (&mut k, "attn.k_norm")] {
            if self.shape.norms.queries_and_keys {
                self.of_heads(rows, |head, _| self.norm(&[head], &name(part)).remove(0));
            }
            if self.shape.positions == Positions::Rotary {
                self.of_heads(rows, |head, token| self.rotated(head, token));
            }
        }
        let attended = attention(&q, &k, &v, self.shape.heads);
        let y = scaled(self.linear(&attended.rows, site(Layer::O)), "scale1");
        x.iter_mut().zip(&y).for_each(|(x, y)| *x = added(x, y));
        let y = self.norm(x, &name("norm2"));
        let inner = self.linear(&y, site(Layer::Fc1));
        let inner = if self.shape.mlp.gated {
            let gate = self.activated(self.linear(&y, site(Layer::Gate)));
            gate.iter().zip(&inner).map(|(gate, value)| times(gate, value)).collect()
        } else {
            self.activated(inner)
        };
        let y = scaled(self.linear(&inner, site(Layer::Fc2)), "scale2");
        x.iter_mut().zip(&y).for_each(|(x, y)| *x = added(x, y));
        attended.weights
    }

    /// Changes each head of each row.
    fn of_heads(&self, rows: &mut [Vec<f64>], change: impl Fn(Vec<f64>, usize) -> Vec<f64>) {
        let width = self.shape.head_width();
        for (token, row) in rows.iter_mut().enumerate() {
            *row = row.chunks(width).flat_map(|head| change(head.to_vec(), token)).collect();
        }
    }

    /// Pairs of values, half a head apart, turned as points of a plane: by where the patch is from
    /// the top, then by where it is from the left.
    fn rotated(&self, head: Vec<f64>, token: usize) -> Vec<f64> {
        let patches = self.shape.patches();
        if !patches.contains(&token) {
            return head;
        }
        let (half, quarter) = (head.len() / 2, head.len() / 4);
        let place = place(self.shape, token - patches.start);
        let mut turned = head.clone();
        for pair in 0..half {
            let fall = THETA.powf(-((pair % quarter) as f64) / quarter as f64);
            let (sin, cos) = (TAU * place[pair / quarter] * fall).sin_cos();
            turned[pair] = head[pair] * cos - head[pair + half] * sin;
            turned[pair + half] = head[pair + half] * cos + head[pair] * sin;
        }
        turned
    }

    /// The row that is pooled, and what of each token it is.
    fn pool(&self, x: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
        let (patches, mut from) = (self.shape.patches(), vec![0.0; x.len()]);
        let even = 1.0 / patches.len() as f64;
        let mean = |rows: &[Vec<f64>]| {
            let sum =
                rows[patches.clone()].iter().fold(vec![0.0; rows[0].len()], |s, r| added(&s, r));
            sum.iter().map(|value| value * even).collect::<Vec<_>>()
        };
        let normed = self.norm(x, "norm");
        let feature = match self.shape.pooling {
            Pooling::Class => {
                from[0] = 1.0;
                normed[0].clone()
            }
            Pooling::Mean => {
                from[patches.clone()].fill(even);
                mean(&normed)
            }
            Pooling::NormOfMean => {
                from[patches.clone()].fill(even);
                self.norm(&[mean(x)], "norm").remove(0)
            }
            Pooling::ClassMean => {
                from[patches.clone()].fill(even / 2.0);
                from[0] = 0.5;
                [normed[0].clone(), mean(&normed)].concat()
            }
            Pooling::Attention { heads, .. } => {
                let site = Site::Pool;
                let q = self.linear(&[self.values("pool.probe")], site(Layer::Q));
                let k = self.linear(&normed, site(Layer::K));
                let v = self.linear(&normed, site(Layer::V));
                let mut attended = attention(&q, &k, &v, heads);
                from = attended.weights.remove(0);
                let y = self.linear(&attended.rows, site(Layer::O));
                let z = self.linear(&self.norm(&y, "pool.norm"), site(Layer::Fc1));
                let z = self.linear(&self.activated(z), site(Layer::Fc2));
                added(&y[0], &z[0])
            }
        };
        (feature, from)
    }

    fn norm(&self, rows: &[Vec<f64>], name: &str) -> Rows {
        let [weight, bias] = ["weight", "bias"].map(|part| self.values(&format!("{name}.{part}")));
        let one = |row: &Vec<f64>| {
            let count = row.len() as f64;
            let mean = row.iter().sum::<f64>() / count;
            let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            let by = 1.0 / (variance + self.shape.norms.epsilon).sqrt();
            let at = |i: usize| (row[i] - mean) * by * weight[i] + bias[i];
            (0..row.len()).map(at).collect()
        };
        rows.iter().map(one).collect()
    }

    fn linear(&self, rows: &[Vec<f64>], site: Site) -> Rows {
        let mut out = product(rows, &self.values(&site.weight()));
        if let Some(factors) = self.factors.get(&site.to_string()) {
            let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            let low = product(&product(rows, &wide(&factors.a)), &wide(&factors.b));
            out.iter_mut().zip(&low).for_each(|(row, low)| *row = added(row, low));
            if let Some(scale) = &factors.magnitude_scale {
                out.iter_mut().for_each(|row| *row = times(row, &wide(scale)));
            }
        }
        if self.shape.biased(site) {
            let bias = self.values(&site.bias());
            out.iter_mut().for_each(|row| *row = added(row, &bias));
        }
        out
    }

    fn activated(&self, rows: Rows) -> Rows {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let one = |x: f64| match self.shape.mlp.activation {
            Activation::Gelu => x * (1.0 + erf(x / SQRT_2)) / 2.0,
            Activation::QuickGelu => x * sigmoid(1.702 * x),
            Activation::GeluTanh => {
                x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()) / 2.0
            }
            Activation::Silu => x * sigmoid(x),
        };
        rows.into_iter().map(|row| row.into_iter().map(one).collect()).collect()
    }
}

/// By its series, which is exact for the small values that are met here.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    FRAC_2_SQRT_PI * sum
}

fn attention(q: &[Vec<f64>], k: &[Vec<f64>], v: &[Vec<f64>], heads: usize) -> Attended {
    let width = q[0].len() / heads;
    let mut rows = vec![Vec::new(); q.len()];
    let mut weights = vec![vec![0.0; k.len()]; q.len()];
    for (query, (row, weights)) in q.iter().zip(rows.iter_mut().zip(&mut weights)) {
        for columns in (0..heads).map(|head| head * width..(head + 1) * width) {
            let score = |key: &Vec<f64>| {
                let products = columns.clone().map(|column| query[column] * key[column]);
                (products.sum::<f64>() / (width as f64).sqrt()).exp()
            };
            let scores: Vec<f64> = k.iter().map(score).collect();
            let total: f64 = scores.iter().sum();
            let part = |column: usize| {
                scores.iter().zip(v).map(|(score, value)| score / total * value[column]).sum()
            };
            row.extend(columns.clone().map(part).collect::<Vec<f64>>());
            let each = weights.iter_mut().zip(&scores);
            each.for_each(|(sum, score)| *sum += score / total / heads as f64);
        }
    }
    Attended { rows, weights }
}

/// Rows times `[inputs, outputs]`.
fn product(rows: &[Vec<f64>], weight: &[f64]) -> Rows {
    let outputs = weight.len() / rows[0].len();
    let one = |row: &Vec<f64>| {
        let column =
            |o: usize| row.iter().enumerate().map(move |(i, x)| x * weight[i * outputs + o]);
        (0..outputs).map(|output| column(output).sum()).collect()
    };
    rows.iter().map(one).collect()
}

fn added(a: &[f64], b: &[f64]) -> Vec<f64> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn times(a: &[f64], b: &[f64]) -> Vec<f64> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}
