//! How similar modules are to each other and to their merge: norms and cosines of their deltas,
//! site by site, from the factors alone.

use std::collections::BTreeMap;

use faer::Mat;
use serde::Serialize;

use super::Sites;
use super::site::widened;
use crate::lora::Module;

/// The deltas of one site, each module's times its weight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteOverlap {
    pub site: String,
    /// Frobenius norm of the merged delta.
    pub merged: f64,
    /// One for each module.
    pub modules: Vec<ModuleOverlap>,
}

/// A module's delta at one site.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ModuleOverlap {
    /// Frobenius norm; 0 where the module has no such site.
    pub norm: f64,
    /// Cosine of the angle to the merged delta; none if one of them is zero.
    pub cosine: Option<f64>,
}

/// Norms and cosines at every site of `merged`. `weights` are the factors of the modules' deltas.
pub fn overlaps(modules: &[&Module], weights: &[f64], merged: &Sites) -> Vec<SiteOverlap> {
    let of_site = |(name, factors): (&String, &crate::lora::Factors)| {
        let whole = (widened(&factors.b), widened(&factors.a));
        let square = inner(&whole, &whole).max(0.0);
        let own = modules.iter().zip(weights).map(|(module, weight)| {
            let Some(factors) = module.sites.get(name) else {
                return ModuleOverlap { norm: 0.0, cosine: None };
            };
            let (part, scale) =
                ((widened(&factors.b), widened(&factors.a)), weight * module.scale());
            let norm = scale.abs() * inner(&part, &part).max(0.0).sqrt();
            ModuleOverlap {
                norm,
                cosine: cosine(scale * inner(&part, &whole), norm, square.sqrt()),
            }
        });
        SiteOverlap { site: name.clone(), merged: square.sqrt(), modules: own.collect() }
    };
    merged.iter().map(of_site).collect()
}

/// The cosines between the deltas of modules, over all sites together: `[modules, modules]`. None
/// if one of the two is zero.
pub fn between(modules: &[&Module]) -> Vec<Vec<Option<f64>>> {
    let widen = |module: &&Module| -> BTreeMap<String, (Mat<f64>, Mat<f64>)> {
        module
            .sites
            .iter()
            .map(|(name, f)| (name.clone(), (widened(&f.b), widened(&f.a))))
            .collect()
    };
    let all: Vec<_> = modules.iter().map(widen).collect();
    let product = |i: usize, j: usize| -> f64 {
        let shared = all[i].iter().filter_map(|(name, one)| Some(inner(one, all[j].get(name)?)));
        modules[i].scale() * modules[j].scale() * shared.sum::<f64>()
    };
    let norm = |i: usize| product(i, i).max(0.0).sqrt();
    (0..all.len())
        .map(|i| (0..all.len()).map(|j| cosine(product(i, j), norm(i), norm(j))).collect())
        .collect()
}

/// The sum of the products of the values of two matrices B A: the trace of (B1^T B2) (A2 A1^T).
fn inner((b1, a1): &(Mat<f64>, Mat<f64>), (b2, a2): &(Mat<f64>, Mat<f64>)) -> f64 {
    let (left, right) = (b1.transpose() * b2, a1 * a2.transpose());
    (0..left.nrows())
        .map(|i| (0..left.ncols()).map(|j| left[(i, j)] * right[(i, j)]).sum::<f64>())
        .sum()
}

fn cosine(product: f64, one: f64, other: f64) -> Option<f64> {
    (one > 0.0 && other > 0.0).then(|| (product / (one * other)).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Family;
    use crate::base::tests::small;
    use crate::lora::tests::module;
    use crate::merge::{Method, Options, merge};

    /// The delta multiplied out.
    fn dense(module: &Module, site: &str) -> Vec<f64> {
        let Some(f) = module.sites.get(site) else { return vec![] };
        let delta = widened(&f.b) * widened(&f.a);
        let scale = module.scale();
        (0..delta.nrows())
            .flat_map(|i| (0..delta.ncols()).map(move |j| (i, j)))
            .map(|p| scale * delta[p])
            .collect()
    }

    #[test]
    fn norms_and_cosines_are_those_of_the_deltas_multiplied_out() {
        let vit = small(Family::Dinov2);
        let (one, mut two) = (module(&vit, "q,v,fc1", None), module(&vit, "q,fc2", None));
        two.alpha = -1.5;
        two.sites.values_mut().for_each(|f| {
            f.a.data.iter_mut().enumerate().for_each(|(i, v)| *v += (i % 5) as f32 * 0.3)
        });
        let weights = vec![0.5, 2.0];
        let options = Options { weights: weights.clone(), ..Options::new(Method::TaskArithmetic) };
        let merged = merge(&[&one, &two], &options, &[]).unwrap();
        let found = overlaps(&[&one, &two], &weights, &merged.sites);
        assert_eq!(found.len(), 8);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        for site in &found {
            let parts = [&one, &two].map(|m| dense(m, &site.site));
            let length = parts.iter().map(Vec::len).max().unwrap();
            let sum: Vec<f64> = (0..length)
                .map(|i| {
                    parts
                        .iter()
                        .zip(&weights)
                        .map(|(p, w)| w * p.get(i).copied().unwrap_or(0.0))
                        .sum()
                })
                .collect();
            let norm = dot(&sum, &sum).sqrt();
            assert!((site.merged - norm).abs() < 1e-5 * norm, "{}", site.site);
            for ((own, part), weight) in site.modules.iter().zip(&parts).zip(&weights) {
                let expected = weight * dot(part, part).sqrt();
                assert!((own.norm - expected).abs() < 1e-5 * norm, "{}", site.site);
                match own.cosine {
                    Some(cosine) => assert!(
                        (cosine - weight * dot(part, &sum) / (expected * norm)).abs() < 1e-5
                    ),
                    None => assert!(part.is_empty()),
                }
            }
        }
        let both = between(&[&one, &two]);
        let whole = |a: &Module, b: &Module| {
            one.sites
                .keys()
                .chain(two.sites.keys())
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .map(|s| dot(&dense(a, s), &dense(b, s)))
                .sum::<f64>()
        };
        let expected = whole(&one, &two) / (whole(&one, &one) * whole(&two, &two)).sqrt();
        assert!((both[0][1].unwrap() - expected).abs() < 1e-9 && both[0][1] == both[1][0]);
        assert!((both[0][0].unwrap() - 1.0).abs() < 1e-12);
    }
}
