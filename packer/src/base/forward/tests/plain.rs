//! A vision transformer in plain loops, a row of values after the other, in f64.

use medforge_runtime::vit::{Layer, Pooling, Shape, Site};

use super::super::super::positions;
use super::super::super::vit_config::{Positions, VitConfig};
use super::Named;
use crate::device::Activation;

type Rows = Vec<Vec<f64>>;

struct Plain<'a> {
    config: &'a VitConfig,
    shape: Shape,
    weights: &'a Named,
}

/// The feature of one image [3, size, size].
pub fn feature(config: &VitConfig, size: usize, weights: &Named, image: &[f32]) -> Vec<f64> {
    let net = Plain { config, shape: config.shape(size), weights };
    let mut x = net.tokens(size, image);
    for n in 0..config.layers {
        x = net.block(n, x);
    }
    net.pooled(&x)
}

impl Plain<'_> {
    fn rows(&self, name: &str) -> Option<Rows> {
        let (_, columns, values) = self.weights.get(name)?;
        let row = |row: &[f32]| row.iter().map(|v| f64::from(*v)).collect();
        Some(values.chunks_exact(*columns).map(row).collect())
    }

    fn row(&self, name: &str) -> Vec<f64> {
        self.rows(name).unwrap_or_else(|| panic!("no {name}")).concat()
    }

    fn linear(&self, x: &[f64], site: &str) -> Vec<f64> {
        let weight = self.rows(&format!("{site}.weight")).unwrap();
        let bias = self.rows(&format!("{site}.bias")).map(|b| b.concat());
        let of = |(i, w): (usize, &Vec<f64>)| {
            w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias.as_ref().map_or(0.0, |b| b[i])
        };
        weight.iter().enumerate().map(of).collect()
    }

    fn norm(&self, x: &[f64], name: &str) -> Vec<f64> {
        let (gain, bias) = (self.row(&format!("{name}.weight")), self.row(&format!("{name}.bias")));
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let scale = 1.0 / (variance + self.config.eps).sqrt();
        (0..x.len()).map(|i| (x[i] - mean) * scale * gain[i] + bias[i]).collect()
    }

    fn tokens(&self, size: usize, image: &[f32]) -> Rows {
        let (patch, grid) = (self.config.patch, self.shape.grid);
        let mut x = self.rows("embed.cls").unwrap_or_default();
        let class = x.len();
        let mut patches = Vec::new();
        for place in 0..grid * grid {
            let (top, left) = (place / grid * patch, place % grid * patch);
            let mut values = Vec::new();
            for channel in 0..3 {
                for (i, j) in (0..patch).flat_map(|i| (0..patch).map(move |j| (i, j))) {
                    let at = (channel * size + top + i) * size + left + j;
                    values.push(f64::from(image[at]));
                }
            }
            patches.push(self.linear(&values, "embed.patch"));
        }
        if let Some((_, columns, table)) = self.weights.get("embed.positions") {
            let table = positions::interpolate(self.config, table, size);
            for (row, place) in x.iter_mut().chain(&mut patches).zip(table.chunks_exact(*columns)) {
                row.iter_mut().zip(place).for_each(|(x, p)| *x += f64::from(*p));
            }
            assert_eq!(table.len() / columns, class + patches.len());
        }
        x.extend(self.rows("embed.registers").unwrap_or_default());
        x.extend(patches);
        x
    }

    fn block(&self, n: usize, x: Rows) -> Rows {
        let name = |part: &str| format!("blocks.{n}.{part}");
        let norm1: Rows = x.iter().map(|x| self.norm(x, &name("norm1"))).collect();
        let of = |site: &str| norm1.iter().map(|y| self.linear(y, &name(site))).collect::<Rows>();
        let q = self.placed(of("attn.q"), &name("attn.q_norm"));
        let k = self.placed(of("attn.k"), &name("attn.k_norm"));
        let y = attention(&q, &k, &of("attn.v"), self.config.heads);
        let scaled = |y: Vec<f64>, part: &str| match self.rows(&name(part)) {
            Some(scale) => y.iter().zip(scale.concat()).map(|(y, s)| y * s).collect(),
            None => y,
        };
        let each = |(x, y): (&Vec<f64>, &Vec<f64>)| {
            let x = sum(x, &scaled(self.linear(y, &name("attn.o")), "scale1"));
            let y = self.mlp(&self.norm(&x, &name("norm2")), |layer| Site::Block(n, layer));
            sum(&x, &scaled(y, "scale2"))
        };
        x.iter().zip(&y).map(each).collect()
    }

    /// Queries or keys with their heads normalised and rotated, where that is done.
    fn placed(&self, x: Rows, norm: &str) -> Rows {
        let width = self.shape.head_width();
        let first = self.shape.patches().start;
        let row = |(token, x): (usize, Vec<f64>)| {
            let head = |x: &[f64]| {
                let x = if self.config.qk_norm { self.norm(x, norm) } else { x.to_vec() };
                match (self.config.positions, token.checked_sub(first)) {
                    (Positions::Rotary { theta }, Some(patch)) => self.turned(&x, patch, theta),
                    _ => x,
                }
            };
            x.chunks_exact(width).flat_map(head).collect()
        };
        x.into_iter().enumerate().map(row).collect()
    }

    /// A head of values as DINOv3 rotates it at a patch.
    fn turned(&self, x: &[f64], patch: usize, theta: f64) -> Vec<f64> {
        let (grid, width) = (self.shape.grid, x.len());
        let place =
            [patch / grid, patch % grid].map(|i| (i as f64 + 0.5) / grid as f64 * 2.0 - 1.0);
        let turn = |j: usize| {
            let (axis, m) = (j % (width / 2) / (width / 4), j % (width / 4));
            let period = theta.powf(m as f64 * 4.0 / width as f64);
            let angle = 2.0 * std::f64::consts::PI * place[axis] / period;
            let other = if j < width / 2 { -x[j + width / 2] } else { x[j - width / 2] };
            x[j] * angle.cos() + other * angle.sin()
        };
        (0..width).map(turn).collect()
    }

    fn mlp(&self, x: &[f64], site: impl Fn(Layer) -> Site) -> Vec<f64> {
        let of = |layer| site(layer).to_string();
        let mut inner = self.linear(x, &of(Layer::Fc1));
        if self.config.gated && matches!(site(Layer::Fc1), Site::Block(..)) {
            let gate = self.linear(x, &of(Layer::Gate));
            inner.iter_mut().zip(gate).for_each(|(x, g)| *x *= self.activation(g));
        } else {
            inner.iter_mut().for_each(|x| *x = self.activation(*x));
        }
        self.linear(&inner, &of(Layer::Fc2))
    }

    fn activation(&self, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match self.config.activation {
            Activation::Gelu => x * 0.5 * (1.0 + libm::erf(x / 2f64.sqrt())),
            Activation::QuickGelu => x * sigmoid(1.702 * x),
            Activation::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + inner.tanh())
            }
            Activation::Silu => x * sigmoid(x),
        }
    }

    fn pooled(&self, x: &Rows) -> Vec<f64> {
        let patches = self.shape.patches();
        let norm = |x: &Vec<f64>| self.norm(x, "norm");
        let mean = |rows: &[Vec<f64>]| {
            let sums = rows.iter().fold(vec![0.0; self.config.hidden], |all, x| sum(&all, x));
            sums.into_iter().map(|v| v / rows.len() as f64).collect::<Vec<_>>()
        };
        let last: Rows = x.iter().map(norm).collect();
        let feature = match self.shape.pooling {
            Pooling::Class => last[0].clone(),
            Pooling::Mean => mean(&last[patches]),
            Pooling::NormOfMean => norm(&mean(&x[patches])),
            Pooling::ClassMean => [last[0].clone(), mean(&last[patches])].concat(),
            Pooling::Attention { heads, .. } => {
                let of = |layer: &str| {
                    last.iter().map(|x| self.linear(x, &format!("pool.{layer}"))).collect::<Rows>()
                };
                let q = self.linear(&self.row("pool.probe"), "pool.attn.q");
                let y = attention(&vec![q], &of("attn.k"), &of("attn.v"), heads).concat();
                let y = self.linear(&y, "pool.attn.o");
                sum(&y, &self.mlp(&self.norm(&y, "pool.norm"), Site::Pool))
            }
        };
        match self.config.projection {
            Some(_) => self.linear(&feature, "projection"),
            None => feature,
        }
    }
}

fn sum(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

fn attention(q: &Rows, k: &Rows, v: &Rows, heads: usize) -> Rows {
    let width = q[0].len() / heads;
    let of_query = |q: &Vec<f64>| {
        let head = |h: usize| {
            let range = h * width..(h + 1) * width;
            let score = |k: &Vec<f64>| {
                let pairs = q[range.clone()].iter().zip(&k[range.clone()]);
                (pairs.map(|(q, k)| q * k).sum::<f64>() / (width as f64).sqrt()).exp()
            };
            let scores: Vec<f64> = k.iter().map(score).collect();
            let total: f64 = scores.iter().sum();
            let value =
                |j: usize| v.iter().zip(&scores).map(|(v, s)| v[j] * s / total).sum::<f64>();
            range.clone().map(value).collect::<Vec<f64>>()
        };
        (0..heads).flat_map(head).collect()
    };
    q.iter().map(of_query).collect()
}
