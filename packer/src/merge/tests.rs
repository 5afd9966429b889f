//! What every method promises. Values worked out by hand are in `values` and `regmean`, and
//! refusals in `refusals`.

use std::collections::BTreeMap;

use medforge_runtime::tensors::Tensor;

use super::*;
use crate::Error;
use crate::base::Family;
use crate::base::tests::small;
use crate::lora::tests::module;
use crate::lora::{Factors, Module};
use crate::random::{Purpose, Stream};

mod ranks;
mod refusals;
mod regmean;
mod values;

/// A module with random factors, of a rank, alpha and sites of its own.
fn random(seed: u64, rank: usize, alpha: f64, targets: &str, last: Option<usize>) -> Module {
    let mut module = module(&small(Family::Dinov2), targets, last);
    let mut stream = Stream::at(seed, Purpose::Merge, 1, 2);
    let mut tensor = |shape: Vec<usize>| {
        let data = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
        Tensor::f32(shape, data)
    };
    for factors in module.sites.values_mut() {
        let (inputs, outputs) = (factors.a.shape[1], factors.b.shape[0]);
        *factors = Factors::plain(tensor(vec![rank, inputs]), tensor(vec![outputs, rank]));
    }
    (module.rank, module.alpha, module.card.task) = (rank, alpha, format!("task-{seed}"));
    module
}

/// Three modules of unequal rank, alpha and sites.
fn three() -> [Module; 3] {
    [
        random(1, 2, 4.0, "q,v", None),
        random(2, 3, 3.0, "q,fc1", None),
        random(3, 1, 0.5, "q,v,fc2", Some(1)),
    ]
}

/// Gram matrices of random inputs for every site of `modules`.
fn grams(modules: &[&Module], seed: u64) -> Grams {
    let mut stream = Stream::at(seed, Purpose::Merge, 3, 4);
    let mut sites = BTreeMap::new();
    for (site, factors) in modules.iter().flat_map(|m| &m.sites) {
        let inputs = factors.a.shape[1];
        let rows: Vec<f64> = (0..40 * inputs).map(|_| stream.normal()).collect();
        let at = |i: usize| {
            rows.chunks_exact(inputs).map(|x| x[i / inputs] * x[i % inputs]).sum::<f64>() / 40.0
        };
        let gram = (0..inputs * inputs).map(|i| at(i) as f32).collect();
        sites.insert(site.clone(), Tensor::f32(vec![inputs, inputs], gram));
    }
    Grams { sites }
}

/// Merges with Gram matrices made for the modules.
fn merged(modules: &[&Module], options: &Options) -> Merged {
    let grams: Vec<Grams> = (0..modules.len()).map(|i| grams(modules, i as u64)).collect();
    merge(modules, options, &grams.iter().collect::<Vec<_>>()).unwrap()
}

/// A method that prunes nothing, with these weights.
fn whole(method: Method, weights: &[f64]) -> Options {
    Options { density: 1.0, weights: weights.to_vec(), ..Options::new(method) }
}

/// scale * B * A, row by row, in f64, from the definition.
fn product(factors: &Factors, scale: f64) -> Vec<f64> {
    let (rank, inputs, outputs) = (factors.a.shape[0], factors.a.shape[1], factors.b.shape[0]);
    let (a, b) = (&factors.a.data, &factors.b.data);
    let at = |o: usize, i: usize| -> f64 {
        (0..rank).map(|r| scale * f64::from(b[o * rank + r]) * f64::from(a[r * inputs + i])).sum()
    };
    (0..outputs * inputs).map(|n| at(n / inputs, n % inputs)).collect()
}

/// Asserts that at each site the norm of the difference, relative to the expected norm, is small.
fn assert_near(expected: &BTreeMap<String, Vec<f64>>, found: &Merged, tolerance: f64, what: &str) {
    assert_eq!(
        expected.keys().collect::<Vec<_>>(),
        found.sites.keys().collect::<Vec<_>>(),
        "{what}"
    );
    for (site, expected) in expected {
        let found = product(&found.sites[site], 1.0);
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let apart = norm(&mut expected.iter().zip(&found).map(|(x, y)| x - y))
            / norm(&mut expected.iter().copied()).max(1e-30);
        assert!(apart < tolerance, "{what}, {site}: {apart:e}");
    }
}

fn deltas(module: &Module, weight: f64) -> BTreeMap<String, Vec<f64>> {
    module
        .sites
        .iter()
        .map(|(site, f)| (site.clone(), product(f, weight * module.scale())))
        .collect()
}

fn of(merged: &Merged) -> BTreeMap<String, Vec<f64>> {
    merged.sites.iter().map(|(site, f)| (site.clone(), product(f, 1.0))).collect()
}

fn same_bytes(x: &Merged, y: &Merged) -> bool {
    let bytes = |m: &Merged| {
        m.sites.iter().map(|(s, f)| (s.clone(), f.a.clone(), f.b.clone())).collect::<Vec<_>>()
    };
    bytes(x) == bytes(y) && x.kept == y.kept
}

/// Iso-C evens the spectrum by design, so its own result is merged once more.
#[test]
fn one_module_with_weight_1_comes_back() {
    for own in three() {
        for method in Method::ALL {
            let found = merged(&[&own], &whole(method, &[1.0]));
            assert_eq!(found.kept, 1.0, "{method}");
            if method != Method::IsoC {
                assert_near(&deltas(&own, 1.0), &found, 1e-6, method.name());
                continue;
            }
            let again = found.clone().into_module(own.head.clone(), own.card.clone()).unwrap();
            assert_near(&of(&found), &merged(&[&again], &whole(method, &[1.0])), 1e-5, "iso-c");
        }
    }
}

/// Methods that sum take half of each copy, and means a whole one. Iso-C sums.
#[test]
fn two_copies_come_back() {
    let own = random(1, 3, 6.0, "q,fc1", None);
    for method in Method::ALL {
        let weight = match method {
            Method::Average | Method::TaskArithmetic | Method::Svd | Method::IsoC => 0.5,
            Method::DareLinear | Method::Breadcrumbs => 0.5,
            _ => 1.0,
        };
        let expected = of(&merged(&[&own], &whole(method, &[1.0])));
        assert_near(
            &expected,
            &merged(&[&own, &own], &whole(method, &[weight; 2])),
            1e-6,
            method.name(),
        );
    }
    assert_near(
        &deltas(&own, 1.0),
        &merged(&[&own, &own], &Options::new(Method::Average)),
        1e-6,
        "its own weights",
    );
}

/// Each method is tried with its own density and with a density of 1.
#[test]
fn weight_minus_1_negates() {
    let modules = three();
    for method in Method::ALL {
        for options in [Options::new(method), whole(method, &[])] {
            for count in [1, 3] {
                let modules: Vec<&Module> = modules.iter().take(count).collect();
                let with = |weight: f64| {
                    merged(&modules, &Options { weights: vec![weight; count], ..options.clone() })
                };
                let negated: BTreeMap<_, Vec<f64>> = of(&with(1.0))
                    .into_iter()
                    .map(|(s, v)| (s, v.iter().map(|v| -v).collect()))
                    .collect();
                assert_near(&negated, &with(-1.0), 1e-5, method.name());
            }
        }
    }
}

/// The bytes are the same for all methods, also for those that draw random numbers.
#[test]
fn the_order_of_modules_does_not_matter() {
    let [x, y, z] = three();
    let all = [&x, &y, &z];
    let grams: Vec<Grams> = (0..3).map(|i| grams(&all, i)).collect();
    for method in Method::ALL {
        let in_order = |order: [usize; 3]| {
            let options = Options {
                weights: order.map(|i| [0.5, 1.5, -1.0][i]).to_vec(),
                seed: 7,
                ..Options::new(method)
            };
            merge(&order.map(|i| all[i]), &options, &order.map(|i| &grams[i])).unwrap()
        };
        assert!(same_bytes(&in_order([0, 1, 2]), &in_order([2, 0, 1])), "{method}");
    }
}

#[test]
fn only_the_seed_decides_what_is_dropped() {
    let modules = three();
    let modules: Vec<&Module> = modules.iter().collect();
    for method in Method::ALL {
        let with = |seed: u64| merged(&modules, &Options { seed, ..Options::new(method) });
        assert!(same_bytes(&with(1), &with(1)), "{method}");
        let random = matches!(method, Method::DareLinear | Method::DareTies | Method::Della);
        assert_eq!(same_bytes(&with(1), &with(2)), !random, "{method}");
    }
}

/// A site that a module does not have counts as a zero delta.
#[test]
fn linear_methods_are_exact_delta_arithmetic() {
    let modules = three();
    let all: Vec<&Module> = modules.iter().collect();
    let weights = [0.7, -1.3, 2.0];
    for method in [
        Method::TaskArithmetic,
        Method::Svd,
        Method::Average,
        Method::DareLinear,
        Method::Breadcrumbs,
    ] {
        let mut expected: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (module, weight) in modules.iter().zip(weights) {
            for (site, delta) in deltas(module, weight) {
                let sum = expected.entry(site).or_insert_with(|| vec![0.0; delta.len()]);
                sum.iter_mut().zip(delta).for_each(|(sum, delta)| *sum += delta);
            }
        }
        assert_near(&expected, &merged(&all, &whole(method, &weights)), 1e-6, method.name());
    }
    let stacked = merged(&all, &whole(Method::TaskArithmetic, &weights));
    assert_eq!(stacked.sites["blocks.1.attn.q"].a.shape[0], 6);
    assert_eq!(stacked.sites["blocks.0.mlp.fc1"].a.shape[0], 3);
}
