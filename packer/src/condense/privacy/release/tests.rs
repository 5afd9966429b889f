//! The noise is as large as stated, no group counts for more than its clip, and what is refused.

use super::*;

fn names(n: usize) -> Vec<String> {
    (0..n).map(|c| format!("c{c}")).collect()
}

fn budget(epsilon: f64, counts: Counts) -> Budget {
    Budget { epsilon, delta: 1e-5, least_groups: 2, counts }
}

/// Groups of two images each, class = group % 2, rows of norm about 1.
fn rows(groups: usize) -> Vec<(usize, usize, Vec<f32>)> {
    let row = |g: usize| (0..8).map(|j| if j == g % 2 { 0.9 } else { 0.1 }).collect();
    (0..2 * groups).map(|i| (i / 2 % 2, i / 2, row(i / 2))).collect()
}

fn feature_rows(rows: &[(usize, usize, Vec<f32>)]) -> Vec<FeatureRow<'_>> {
    rows.iter()
        .map(|(class, group, row)| FeatureRow { class: *class, group: *group, row })
        .collect()
}

/// The noise on the means has the standard deviation that the accounting states.
#[test]
fn the_noise_is_as_large_as_stated() {
    let rows = rows(40);
    let (mut square, mut n) = (0.0, 0.0);
    for counts in [Counts::Public, Counts::Noised] {
        for _ in 0..300 {
            let Release { means, accounting: a } =
                release(&feature_rows(&rows), &names(2), 2.0, budget(1.0, counts)).unwrap();
            assert_eq!(a.sigma, noise(1.0, 1e-5).unwrap() * a.sensitivity);
            for (class, mean) in means.iter().enumerate() {
                for (j, m) in mean.iter().enumerate() {
                    let exact = if j == class { 0.9 } else { 0.1 };
                    if counts == Counts::Public {
                        assert_eq!(a.groups_per_class, [20.0; 2]);
                        square += (f64::from(*m) - exact).powi(2) * (20.0 / a.sigma).powi(2);
                        n += 1.0;
                    }
                }
            }
        }
    }
    // The mean of n squares of normal numbers: five standard errors.
    assert!((square / n - 1.0).abs() < 5.0 * (2.0f64 / n).sqrt(), "{}", square / n);
}

/// Whatever one group holds, adding it moves the exact sums by the clip at most, over all
/// classes together.
#[test]
fn one_group_moves_the_sums_by_the_clip_at_most() {
    for (classes, scale) in [(1usize, 1e-3), (1, 1e6), (2, 1e6), (4, 37.0)] {
        let clip = 1.5;
        let share = 1.0 / (classes as f64).sqrt();
        let mut square = 0f64;
        for class in 0..classes {
            let mut sums = vec![0i64; 5];
            let row: Vec<f64> =
                (0..5).map(|j| scale * ((class * 5 + j) as f64 * 0.7).sin()).collect();
            add_clipped(&mut sums, &row, 1.0, clip, share);
            square += sums.iter().map(|s| (*s as f64 * clip / GRID).powi(2)).sum::<f64>();
        }
        assert!(square.sqrt() <= clip, "{}", square.sqrt());
        assert!(scale < 1.0 || square.sqrt() > clip * 0.999_999);
    }
}

/// A group's images are averaged before they are clipped: ten times the same image count as
/// one.
#[test]
fn a_group_counts_once_however_many_images_it_has() {
    let mut many = rows(40);
    for _ in 0..500 {
        many.push((0, 0, vec![5.0; 8]));
    }
    let wide = Budget { epsilon: 100.0, delta: 0.5, least_groups: 2, counts: Counts::Public };
    let means = release(&feature_rows(&many), &names(2), 0.1, wide).unwrap().means;
    assert!(means[0].iter().all(|m| m.abs() < 0.1 + 0.1), "{means:?}");
}

#[test]
fn few_groups_and_senseless_budgets_are_refused() {
    let rows = rows(40);
    let images = feature_rows(&rows);
    let few = Budget { least_groups: 21, ..budget(1.0, Counts::Public) };
    let error = release(&images, &names(2), 1.0, few).unwrap_err().to_string();
    assert!(error.contains("c0") && error.contains("20 groups") && error.contains("21"), "{error}");
    for epsilon in [0.0, -1.0, f64::NAN] {
        assert!(release(&images, &names(2), 1.0, budget(epsilon, Counts::Public)).is_err());
    }
}

#[test]
fn a_value_that_no_clip_bounds_is_refused() {
    let mut rows = rows(40);
    rows[7].2[3] = f32::NAN;
    let error = release(&feature_rows(&rows), &names(2), 1.0, budget(1.0, Counts::Public))
        .unwrap_err()
        .to_string();
    assert!(error.contains("image 7"), "{error}");
}

#[test]
fn two_releases_differ() {
    let rows = rows(40);
    let run = || {
        release(&feature_rows(&rows), &names(2), 1.0, budget(1.0, Counts::Public)).unwrap().means
    };
    assert_ne!(run(), run());
}
