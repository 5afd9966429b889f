//! Functions whose minima are known.

use super::*;

fn search(start: Vec<f64>, evaluations: usize, seed: u64) -> Search {
    Search { start, bound: 2.0, deviation: 0.3, evaluations, seed }
}

#[test]
fn an_ill_conditioned_valley_is_found() {
    // A rotated ellipsoid of condition 1e4 around (0.7, -1.1, 0.2).
    let loss = |x: &[f64]| {
        let d: Vec<f64> = x.iter().zip([0.7, -1.1, 0.2]).map(|(a, b)| a - b).collect();
        let (u, v) = ((d[0] + d[1]) / 2f64.sqrt(), (d[0] - d[1]) / 2f64.sqrt());
        Ok(u * u + 1e4 * v * v + 30.0 * d[2] * d[2])
    };
    for seed in 0..5 {
        let tried = minimise(&search(vec![0.5; 3], 1500, seed), loss).unwrap();
        let best = best(&tried);
        assert!(best.loss < 1e-9, "seed {seed}: {} at {:?}", best.loss, best.at);
    }
}

#[test]
fn a_minimum_outside_the_box_is_met_at_its_border() {
    let tried =
        minimise(
            &search(vec![0.5; 2], 300, 0),
            |x| Ok((x[0] - 5.0).powi(2) + (x[1] + 0.5).powi(2)),
        )
        .unwrap();
    let best = best(&tried);
    assert!((best.at[0] - 2.0).abs() < 1e-3 && (best.at[1] + 0.5).abs() < 1e-2, "{:?}", best.at);
    assert!(tried.iter().all(|t| t.at.iter().all(|v| v.abs() <= 2.0)));
}

#[test]
fn evaluations_are_counted_and_the_seed_decides() {
    let run = |seed, evaluations| {
        minimise(&search(vec![0.5], evaluations, seed), |x| Ok((x[0] - 0.1).powi(2))).unwrap()
    };
    assert_eq!(run(0, 40).len(), 40);
    assert_eq!(run(0, 1).len(), 1);
    assert_eq!(run(3, 40), run(3, 40));
    assert_ne!(run(3, 40), run(4, 40));
    assert_eq!(run(3, 40)[0].at, [0.5]);
    assert!(best(&run(0, 40)).loss < 1e-3);
    let refused = minimise(&search(vec![0.5], 3, 0), |_| Ok(f64::NAN));
    assert!(refused.unwrap_err().to_string().contains("[0.5]"));
}
