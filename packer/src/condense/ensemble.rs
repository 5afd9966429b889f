//! The networks that a set is matched under: the base, perturbed at random for each view. Half of
//! them also have the contributor's own module, at a random strength. A set that works under all of
//! these loses less under a merge that is not known yet.

use std::collections::BTreeMap;

use medforge_runtime::tensors::Tensor;

use crate::base::Vit;
use crate::device::Device;
use crate::lora::{Factors, Module, Targets, stack};
use crate::random::{Purpose, Stream};
use crate::tape::{LowRank, Tensor as Matrix, Var};

/// Rank of a random change.
const RANK: usize = 8;

/// Makes the low-rank branches of each view's network.
pub struct Ensemble<'a> {
    vit: &'a Vit,
    module: Option<&'a Module>,
    /// The largest norm of a random change, as a share of the weight's own.
    strength: f64,
    seed: u64,
}

impl<'a> Ensemble<'a> {
    pub fn new(vit: &'a Vit, module: Option<&'a Module>, strength: f64, seed: u64) -> Self {
        Ensemble { vit, module, strength, seed }
    }

    /// The branches of the network of view `index`, on `device`. The first network is the base
    /// itself.
    pub fn sites<D: Device + 'static>(
        &self,
        device: &D,
        index: usize,
    ) -> BTreeMap<String, LowRank<D>> {
        let mut stream = Stream::at(self.seed, Purpose::Network, index as u64, 0);
        let (strength, share) = (self.strength * stream.unit(), stream.unit());
        let module = self.module.filter(|_| index % 2 == 1);
        let mut parts: BTreeMap<&str, Vec<(f64, Factors)>> = BTreeMap::new();
        if let Some(module) = module {
            for (site, factors) in &module.sites {
                let part = match factors.magnitude {
                    None => (share * module.scale(), factors.clone()),
                    Some(_) => {
                        let weight = &self.vit.tensor(&format!("{site}.weight"));
                        (share, factors.scaled(module.scale()).added(weight))
                    }
                };
                parts.entry(site).or_default().push(part);
            }
        }
        let targets = "q,v".parse::<Targets>().expect("these are targets");
        let targets = targets.sites(&self.vit.config, None).expect("every base has these");
        if index > 0 && strength > 0.0 {
            for (n, (site, _)) in targets.iter().enumerate() {
                let mut stream =
                    Stream::at(self.seed, Purpose::Network, index as u64, 1 + n as u64);
                let weight = &self.vit.tensor(&format!("{site}.weight"));
                parts.entry(site).or_default().push((1.0, random(weight, strength, &mut stream)));
            }
        }
        let upload =
            |t: &Tensor| Var::constant(Matrix::frozen(device, &t.data, t.shape[0], t.shape[1]));
        let branch = |(site, parts): (&str, Vec<(f64, Factors)>)| {
            let parts: Vec<_> = parts.iter().map(|(weight, f)| (*weight, f)).collect();
            let sum = stack(&parts);
            (site.to_owned(), LowRank::plain(upload(&sum.a), upload(&sum.b), 1.0))
        };
        parts.into_iter().map(branch).collect()
    }
}

/// A change of rank [`RANK`] in a random direction, its norm about `strength` times that of
/// `weight` [out, in].
fn random(weight: &Tensor, strength: f64, stream: &mut Stream) -> Factors {
    let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
    let norm = weight.data.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    // The squared norm of B A is about out * in * RANK * a^2 * b^2.
    let scale = strength * norm / ((outputs * inputs * RANK) as f64).sqrt();
    let mut normal =
        |n: usize, scale: f64| (0..n).map(|_| (scale * stream.normal()) as f32).collect::<Vec<_>>();
    let a = Tensor::f32(vec![RANK, inputs], normal(RANK * inputs, scale));
    Factors::plain(a, Tensor::f32(vec![outputs, RANK], normal(outputs * RANK, 1.0)))
}
