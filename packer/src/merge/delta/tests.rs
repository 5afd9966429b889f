//! Decompositions that give the matrix back, and approximations of a rank.

use super::*;
use crate::random::{Purpose, Stream};

fn random(rows: usize, columns: usize, seed: u64) -> Mat<f64> {
    let mut stream = Stream::at(seed, Purpose::Merge, 0, 0);
    Mat::from_fn(rows, columns, |_, _| stream.normal())
}

fn apart(x: &Mat<f64>, y: &Mat<f64>) -> f64 {
    (x - y).norm_l2() / x.norm_l2().max(f64::MIN_POSITIVE)
}

fn back(svd: &Svd) -> Mat<f64> {
    Mat::from_fn(svd.u.nrows(), svd.s.len(), |i, j| svd.u[(i, j)] * svd.s[j]) * svd.v.transpose()
}

/// Ranks that are full, deficient by construction or by repetition, and zero, at scales from
/// tiny to huge.
#[test]
fn decompositions_give_the_matrix_back_and_find_its_rank() {
    for (seed, (rows, columns, rank)) in [
        (7, 5, 3),
        (41, 46, 4),
        (41, 15, 5),
        (58, 5, 5),
        (60, 60, 1),
        (30, 20, 20),
        (13, 39, 0),
        (1, 1, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let seed = seed as u64;
        let (b, a) = (random(rows, rank, seed), random(rank, columns, seed + 100));
        for scale in [1.0, 1e-30, 1e30] {
            let matrix = faer::Scale(scale) * (&b * &a);
            let found = svd(&matrix).unwrap();
            assert_eq!(found.s.len(), rank, "{rows}x{columns}");
            assert!(apart(&matrix, &back(&found)) < 1e-12, "{rows}x{columns}");
        }
        let doubled = (
            beside(rows, &[&b, &b]),
            beside(columns, &[&a.transpose().to_owned(), &a.transpose().to_owned()]),
        );
        let found = product_svd(&doubled.0, &doubled.1.transpose().to_owned()).unwrap();
        assert_eq!(found.s.len(), rank);
        assert!(apart(&(faer::Scale(2.0) * (&b * &a)), &back(&found)) < 1e-12);
    }
}

#[test]
fn the_best_approximation_loses_the_smallest_singular_values() {
    let (u, v) = (qr(&random(9, 3, 1)).0, qr(&random(6, 3, 2)).0);
    let delta = || Delta::Directions(Svd { u: u.clone(), s: vec![3.0, 2.0, 1.0], v: v.clone() });
    let kept = delta().keep(Rank::AtMost(2)).unwrap();
    assert_eq!(
        (kept.factors.a.shape.clone(), kept.factors.b.shape.clone()),
        (vec![2, 6], vec![9, 2])
    );
    assert!((kept.kept / kept.total - 13.0 / 14.0).abs() < 1e-12);
    let dense = Delta::Dense(back(&delta().svd().unwrap())).keep(Rank::AtMost(2)).unwrap();
    let product = |k: &Kept| {
        let wide = |t: &Tensor| t.data.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        matrix(&wide(&k.factors.b), 2) * matrix(&wide(&k.factors.a), 6)
    };
    assert!(apart(&product(&kept), &product(&dense)) < 1e-6);
    let zero = Delta::Dense(Mat::zeros(4, 3)).keep(Rank::Exact).unwrap();
    assert_eq!((zero.factors.b.data, zero.factors.a.data), (vec![0.0; 4], vec![0.0; 3]));
}
