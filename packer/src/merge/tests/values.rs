//! Small examples, worked out by hand or from the definition without the code under test.

use super::*;

pub const SITE: &str = "blocks.0.attn.q";

/// A module whose delta at one site is this matrix, row by row. It is stored as B times the
/// identity.
pub fn exactly(columns: usize, delta: &[f32]) -> Module {
    let mut own = module(&small(Family::Dinov2), "q", None);
    let unit =
        (0..columns * columns).map(|i| f32::from(u8::from(i / columns == i % columns))).collect();
    let b = Tensor::f32(vec![delta.len() / columns, columns], delta.to_vec());
    own.sites = BTreeMap::from([(
        SITE.to_owned(),
        Factors::plain(Tensor::f32(vec![columns, columns], unit), b),
    )]);
    (own.rank, own.alpha) = (columns, columns as f64);
    own
}

/// The merged delta.
fn result(modules: &[&Module], options: &Options) -> Vec<f64> {
    product(&merge(modules, options, &[]).unwrap().sites[SITE], 1.0)
}

fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    assert!(
        found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 2e-5),
        "{found:?} instead of {expected:?}"
    );
}

#[test]
fn ties_trims_elects_and_takes_the_disjoint_mean() {
    // Half of six stay. x: 6, -5, 4; y: 9, 8, -7.
    let x = exactly(3, &[6.0, 1.0, -5.0, 4.0, 2.0, 3.0]);
    let y = exactly(3, &[9.0, 1.0, 8.0, -7.0, -2.0, 0.5]);
    let options = Options { density: 0.5, ..Options::new(Method::Ties) };
    // Sums: 15, 0, 3, -3, 0, 0.
    near(&result(&[&x, &y], &options), &[7.5, 0.0, 8.0, -7.0, 0.0, 0.0]);
    // With weights 2 and 1 the votes turn at the third place (-10 + 8) and the fourth (8 - 7).
    let weighted = Options { weights: vec![2.0, 1.0], ..options };
    near(&result(&[&x, &y], &weighted), &[10.5, 0.0, -10.0, 8.0, 0.0, 0.0]);
}

#[test]
fn breadcrumbs_drop_the_largest_and_the_smallest() {
    let x = exactly(5, &[10.0, -9.0, 8.0, -7.0, 6.0, -5.0, 4.0, -3.0, 2.0, -1.0]);
    let y = exactly(5, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
    let options = Options {
        density: 0.3,
        outliers: 0.2,
        weights: vec![1.0, 10.0],
        ..Options::new(Method::Breadcrumbs)
    };
    let expected = [0.0, 0.0, 8.0, -7.0, 6.0, 60.0, 70.0, 80.0, 0.0, 0.0];
    near(&result(&[&x, &y], &options), &expected);
}

/// Every value is 0 or x/density. A fifth of them stays, and the mean over seeds is x.
#[test]
fn dare_drops_and_rescales() {
    let numbers: Vec<f32> = (1..=100).map(|i| i as f32).collect();
    let x = exactly(10, &numbers);
    let (mut sum, mut stayed) = (vec![0.0; 100], 0);
    for seed in 0..400 {
        let options = Options { density: 0.2, seed, ..Options::new(Method::DareLinear) };
        for (i, value) in result(&[&x], &options).into_iter().enumerate() {
            let whole = 5.0 * (i + 1) as f64;
            assert!(value.abs() < 1e-3 || (value - whole).abs() < 1e-3, "{value} at {i}");
            stayed += usize::from(value.abs() > 1.0);
            sum[i] += value / 400.0;
        }
    }
    // Five standard deviations of a binomial share, and of the mean of one value.
    assert!((stayed as f64 / 40_000.0 - 0.2).abs() < 5.0 * (0.16f64 / 40_000.0).sqrt(), "{stayed}");
    assert!(
        sum.iter().enumerate().all(|(i, s)| (s / (i + 1) as f64 - 1.0).abs() < 5.0 * 2.0 / 20.0),
        "{sum:?}"
    );
}

/// DARE drops the same values of a module as if it were alone. Then signs are elected.
#[test]
fn dare_ties_elects_among_what_stayed() {
    let x = exactly(4, &(1..=16).map(|i| i as f32).collect::<Vec<_>>());
    let y = exactly(4, &(1..=16).map(|i| -2.0 * i as f32).collect::<Vec<_>>());
    let with = |method, modules: &[&Module]| {
        result(modules, &Options { density: 0.5, seed: 3, ..Options::new(method) })
    };
    let (dx, dy) = (with(Method::DareLinear, &[&x]), with(Method::DareLinear, &[&y]));
    let expected: Vec<f64> =
        dx.iter().zip(&dy).map(|(x, y)| if *y < -1.0 { *y } else { *x }).collect();
    near(&with(Method::DareTies, &[&x, &y]), &expected);
    let sum: Vec<f64> = dx.iter().zip(&dy).map(|(x, y)| x + y).collect();
    near(&with(Method::DareLinear, &[&x, &y]), &sum);
}

/// Row by row the value of rank r stays with probability 0.5 + 0.4 * (0.5 - r/4), and is divided by
/// it.
#[test]
fn della_drops_small_values_more_often() {
    let x = exactly(4, &[4.0, -1.0, 3.0, 2.0, 10.0, 20.0, -40.0, 30.0]);
    let ranks = [0, 3, 1, 2, 3, 2, 0, 1];
    let values = [4.0, -1.0, 3.0, 2.0, 10.0, 20.0, -40.0, 30.0];
    let stays = |rank: i32| 0.7 - 0.1 * f64::from(rank);
    let mut kept = [0.0; 8];
    for seed in 0..2000 {
        let options = Options { density: 0.5, window: 0.4, seed, ..Options::new(Method::Della) };
        for (i, found) in result(&[&x], &options).into_iter().enumerate() {
            let rescaled = values[i] / stays(ranks[i]);
            assert!(found.abs() < 1e-4 || (found / rescaled - 1.0).abs() < 1e-4, "{found} at {i}");
            kept[i] += f64::from(u8::from(found.abs() > 1e-4)) / 2000.0;
        }
    }
    let wrong = |i: &usize| (kept[*i] - stays(ranks[*i])).abs() > 5.0 * (0.25f64 / 2000.0).sqrt();
    assert_eq!((0..8).find(wrong), None, "{kept:?}");
}

/// x = [[3, 0], [0, 0]] and y = [[0, 4], [0, 2]]: U is the eigenbasis of x x^T + y y^T = [[25, 8],
/// [8, 4]].
#[test]
fn knots_merges_in_the_common_basis() {
    let (x, y) = (exactly(2, &[3.0, 0.0, 0.0, 0.0]), exactly(2, &[0.0, 4.0, 0.0, 2.0]));
    let options = |density| Options { density, ..Options::new(Method::Knots) };
    // Nothing is trimmed and no value overlaps, so the disjoint mean is the sum in any basis.
    near(&result(&[&x, &y], &options(1.0)), &[3.0, 4.0, 0.0, 2.0]);
    // Of each, one of four values stays: the larger one along (c, s), which has the larger
    // eigenvalue.
    let eigenvalue = 14.5 + (10.5f64 * 10.5 + 64.0).sqrt();
    let length = (64.0 + (eigenvalue - 25.0).powi(2)).sqrt();
    let (c, s) = (8.0 / length, (eigenvalue - 25.0) / length);
    let (along_x, along_y) = (3.0 * c, 4.0 * c + 2.0 * s);
    near(&result(&[&x, &y], &options(0.25)), &[c * along_x, c * along_y, s * along_x, s * along_y]);
}

/// x and y share the input e1 and the output e1, so their values overlap only there.
#[test]
fn core_space_merges_the_cores() {
    let one = |b: [f32; 3], a: [f32; 3]| {
        let mut own = exactly(3, &[0.0; 9]);
        let factors = Factors::plain(
            Tensor::f32(vec![1, 3], a.to_vec()),
            Tensor::f32(vec![3, 1], b.to_vec()),
        );
        (own.rank, own.alpha) = (1, 1.0);
        own.sites = BTreeMap::from([(SITE.to_owned(), factors)]);
        own
    };
    // The bases are e1 and e3 for outputs, e2 and e1 for inputs. All are along the axes, so the
    // core is a part of the delta.
    let (x, y) = (one([5.0, 0.0, 0.0], [0.0, 1.0, 0.0]), one([0.0, 0.0, 3.0], [2.0, 0.0, 0.0]));
    let z = one([1.0, 0.0, 0.0], [0.0, 3.0, 0.0]);
    let options = Options { density: 1.0, ..Options::new(Method::CoreSpace) };
    near(&result(&[&x, &y, &z], &options), &[0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0, 0.0]);
    let against = Options { weights: vec![1.0, 1.0, -1.0], ..options };
    near(&result(&[&x, &y, &z], &against), &[0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0, 0.0]);
    // Values are trimmed in the core, whose basis is (1, 1) and (1, -1) and not the axes.
    let turned =
        |scale: f32, sign: f32| one([scale, sign * scale, 0.0], [scale, sign * scale, 0.0]);
    let (x, y) = (turned(2.0, 1.0), turned(1.0, -1.0));
    let trimmed = Options { density: 0.25, ..Options::new(Method::CoreSpace) };
    near(&result(&[&x, &y], &trimmed), &[5.0, 3.0, 0.0, 3.0, 5.0, 0.0, 0.0, 0.0, 0.0]);
}

/// u1 = e1, u2 = (cos, sin) at 60 degrees: the nearest orthonormal pair is turned by 15 degrees on
/// either side.
#[test]
fn tsv_makes_the_directions_orthogonal() {
    let (cos, sin) = (0.5f32, 0.75f32.sqrt());
    let x = exactly(2, &[4.0, 0.0, 0.0, 0.0]);
    let y = exactly(2, &[0.0, 2.0 * cos, 0.0, 2.0 * sin]);
    let (c, s) = ((15f64).to_radians().cos(), (15f64).to_radians().sin());
    // u1' = (cos -15, sin -15), u2' = (cos 75, sin 75); v1 = e1, v2 = e2.
    near(&result(&[&x, &y], &Options::new(Method::Tsv)), &[4.0 * c, 2.0 * s, -4.0 * s, 2.0 * c]);
    // Each of two modules keeps one of the two directions.
    let full = exactly(2, &[5.0, 0.0, 0.0, 1.0]);
    near(&result(&[&full, &full], &Options::new(Method::Tsv)), &[5.0, 0.0, 0.0, 0.0]);
    near(&result(&[&full], &Options::new(Method::Tsv)), &[5.0, 0.0, 0.0, 1.0]);
}

#[test]
fn iso_c_evens_the_spectrum() {
    let x = exactly(3, &[5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let y = exactly(3, &[0.0, 0.0, 0.0, 0.0, 0.0, -3.0, 0.0, 0.0, 0.0]);
    let expected = [4.0, 0.0, 0.0, 0.0, 0.0, -4.0, 0.0, 0.0, 0.0];
    near(&result(&[&x, &y], &Options::new(Method::IsoC)), &expected);
    // One direction left: the stronger one.
    let one = Options { rank: Rank::AtMost(1), ..Options::new(Method::IsoC) };
    near(&result(&[&x, &y], &one), &[4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}
