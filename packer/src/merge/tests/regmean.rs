//! RegMean beside its definition.

use super::values::{SITE, exactly};
use super::*;

/// As in contributions, a module has Gram matrices of its own sites only. If one module does not
/// have a site, the other's change stays.
#[test]
fn regmean_of_unequal_sites() {
    let (x, y) = (random(1, 2, 4.0, "q,v", None), random(2, 3, 3.0, "q,fc1", None));
    let (gx, gy) = (grams(&[&x], 1), grams(&[&y], 2));
    let found = merge(&[&x, &y], &Options::new(Method::RegMean), &[&gx, &gy]).unwrap();
    let mut alone: BTreeMap<_, _> = deltas(&x, 1.0).into_iter().chain(deltas(&y, 1.0)).collect();
    assert_eq!(alone.keys().collect::<Vec<_>>(), found.sites.keys().collect::<Vec<_>>());
    alone.retain(|site, _| !site.ends_with(".q"));
    assert!(alone.len() == 4);
    let of_one = Merged {
        sites: found
            .sites
            .iter()
            .filter(|(s, _)| alone.contains_key(*s))
            .map(|(s, f)| (s.clone(), f.clone()))
            .collect(),
        ..found
    };
    assert_near(&alone, &of_one, 1e-4, "sites of one module");
}

/// The merge minimises the squared error over both modules' inputs. So the gradient sum_i (D - d_i)
/// G_i is zero, where G_i has softened off-diagonals.
#[test]
fn regmean_solves_its_regression() {
    let (x, y) = (random(1, 2, 4.0, "q,v", None), random(2, 3, 3.0, "v", None));
    let all = [&x, &y];
    let inputs_of: Vec<Grams> = (0..2).map(|i| grams(&all, i)).collect();
    for off_diagonal in [1.0, 0.9, 0.0] {
        let options = Options { off_diagonal, ..Options::new(Method::RegMean) };
        let found = merge(&all, &options, &[&inputs_of[0], &inputs_of[1]]).unwrap();
        for (site, factors) in &found.sites {
            let inputs = factors.a.shape[1];
            let delta = product(factors, 1.0);
            let (mut gradient, mut size) = (vec![0.0; delta.len()], 0.0);
            for (module, grams) in all.iter().zip(&inputs_of) {
                let own = module
                    .sites
                    .get(site)
                    .map_or(vec![0.0; delta.len()], |f| product(f, module.scale()));
                let gram = |i: usize, j: usize| {
                    f64::from(grams.sites[site].data[i * inputs + j])
                        * if i == j { 1.0 } else { off_diagonal }
                };
                for (n, gradient) in gradient.iter_mut().enumerate() {
                    let row = n / inputs * inputs;
                    let step: f64 = (0..inputs)
                        .map(|i| (delta[row + i] - own[row + i]) * gram(i, n % inputs))
                        .sum();
                    *gradient += step;
                    size += step * step;
                }
            }
            let left: f64 = gradient.iter().map(|g| g * g).sum();
            assert!(left < 1e-10 * size, "{site}, {off_diagonal}: {left:e} of {size:e}");
        }
    }
    // Inputs that only one module has are mapped as that module maps them.
    let (x, y) = (exactly(2, &[1.0, 2.0, 3.0, 4.0]), exactly(2, &[50.0, 60.0, 70.0, 80.0]));
    let only = |i: usize| {
        let gram = (0..4).map(|n| f32::from(u8::from(n == 3 * i))).collect();
        Grams { sites: BTreeMap::from([(SITE.to_owned(), Tensor::f32(vec![2, 2], gram))]) }
    };
    let found = merge(&[&x, &y], &Options::new(Method::RegMean), &[&only(0), &only(1)]).unwrap();
    let found = product(&found.sites[SITE], 1.0);
    let expected = [1.0, 60.0, 3.0, 80.0];
    assert!(found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-4), "{found:?}");
}
