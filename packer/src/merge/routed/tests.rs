//! Prototypes computed by hand, and the tasks that they give.

use super::*;

fn prototypes() -> Prototypes {
    // Task a around (0, 0) and (4, 0), task b around (0, 6).
    let a = [-1.0, 0.0, 1.0, 0.0, 4.0, 1.0, 4.0, -1.0];
    let b = [0.0, 6.0, 0.0, 8.0, 0.0, 7.0, 1.0, 7.0];
    Prototypes::new(&[
        TaskFeatures { task: "a", classes: 2, features: &a, labels: &[0, 0, 1, 1] },
        TaskFeatures { task: "b", classes: 2, features: &b, labels: &[0, 0, 1, 1] },
    ])
    .unwrap()
}

/// The covariance by hand, shrunk: squares around the means, 2 + 0 and 0 + 0.5 along x, 0 + 2
/// and 2 + 0 along y, over two less one image in each of four classes; products are zero.
fn covariance() -> [f64; 3] {
    let [xx, xy, yy] = [2.5 / 4.0, 0.0, 1.0];
    let mean = (xx + yy) / 2.0;
    [0.95 * xx + 0.05 * mean, 0.95 * xy, 0.95 * yy + 0.05 * mean]
}

#[test]
fn prototypes_are_class_means_through_the_covariance() {
    let p = prototypes();
    let [xx, _, yy] = covariance();
    let row = |x: f64, y: f64| [x / xx, y / yy, -0.5 * (x * x / xx + y * y / yy)];
    for (task, means) in [("a", [(0.0, 0.0), (4.0, 0.0)]), ("b", [(0.0, 7.0), (0.5, 7.0)])] {
        for (found, (x, y)) in p.tasks[task].data.chunks(3).zip(means) {
            let near = found.iter().zip(row(x, y)).all(|(f, e)| (f64::from(*f) - e).abs() < 1e-5);
            assert!(near, "{task}: {found:?} {:?}", row(x, y));
        }
    }
}

#[test]
fn an_image_goes_to_the_nearest_task() {
    let p = prototypes();
    assert!(p.task_probabilities(&[3.5, 0.2])[0] > 0.999);
    assert!(p.task_probabilities(&[0.2, 6.5])[1] > 0.999);
    let [a, b] = p.task_probabilities(&[0.0, 3.4])[..] else { panic!() };
    assert!((a + b - 1.0).abs() < 1e-12);
    let [xx, _, yy] = covariance();
    let gauss = |x: f64, y: f64| (-0.5 * (x * x / xx + (3.4 - y) * (3.4 - y) / yy)).exp();
    let (of_a, of_b) = (gauss(0.0, 0.0) + gauss(4.0, 0.0), gauss(0.0, 7.0) + gauss(0.5, 7.0));
    assert!((a - of_a / (of_a + of_b)).abs() < 1e-5, "{a}");
    // Far from all, they are still probabilities.
    let far = p.task_probabilities(&[1e4, -1e4]);
    assert!((far.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn what_makes_no_prototype_is_refused() {
    let one = |features: &[f32], labels: &[usize]| {
        Prototypes::new(&[TaskFeatures { task: "a", classes: 2, features, labels }])
            .unwrap_err()
            .to_string()
    };
    assert!(one(&[1.0, 2.0], &[0, 0]).contains("class 1 of the condensed set of a"));
    assert!(one(&[1.0, 2.0], &[0, 1]).contains("two different condensed images"));
}
