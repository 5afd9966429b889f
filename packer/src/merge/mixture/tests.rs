//! Weights beside those of a fine grid, and the probabilities of mixtures.

use super::*;

const SHARES: MixtureSettings =
    MixtureSettings { per_task: false, shares: true, evaluations: 0, seed: 0 };
const FREE: MixtureSettings =
    MixtureSettings { per_task: false, shares: false, evaluations: 400, seed: 0 };

/// Images of two classes; module 0 is right with probability `sure[0]`, and so on.
fn said(sure: &[f64]) -> TaskPredictions {
    let labels = [0, 1, 1, 0, 1, 0].map(|c| [f32::from(c == 0), f32::from(c == 1)]).concat();
    let of = |(j, s): (usize, &f64)| -> Vec<f64> {
        // Each module errs on an image of its own.
        let wrong = |i: usize| i == j;
        let rows = labels.chunks_exact(2).enumerate().flat_map(|(i, y)| {
            let s = if wrong(i) { 1.0 - s } else { *s };
            [y[0], y[1]].map(|y| if y == 1.0 { s } else { 1.0 - s })
        });
        rows.collect()
    };
    TaskPredictions {
        labels: labels.clone(),
        classes: 2,
        probabilities: sure.iter().enumerate().map(of).collect(),
    }
}

/// The least loss on a fine grid of shares.
fn grid(tasks: &[&TaskPredictions]) -> (f64, f64) {
    let at = |i: i32| f64::from(i) / 1000.0;
    let all = (0..=1000).map(|i| (cross_entropy(tasks, &[at(i), 1.0 - at(i)]), at(i)));
    all.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

#[test]
fn shares_are_those_of_a_fine_grid() {
    for sure in [[0.9, 0.8], [0.6, 0.99], [0.5, 0.7]] {
        let tasks = [said(&sure)];
        let found = search(&tasks, &SHARES).unwrap();
        let (loss, share) = grid(&[&tasks[0]]);
        assert!((found.loss - loss).abs() < 1e-5, "{} {loss}", found.loss);
        assert!((found.weights[0][0] - share).abs() < 2e-2, "{:?} {share}", found.weights);
        assert!((found.weights[0].iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}

#[test]
fn free_weights_come_near_the_shares() {
    let tasks = [said(&[0.9, 0.8, 0.3])];
    let (free, shares) = (search(&tasks, &FREE).unwrap(), search(&tasks, &SHARES).unwrap());
    let plain = cross_entropy(&[&tasks[0]], &free.weights[0]);
    assert!(plain < shares.loss + 0.01, "{plain} {}", shares.loss);
    assert_eq!(free.trace[0].len(), 400);
}

#[test]
fn tasks_may_have_weights_of_their_own() {
    let tasks = [said(&[0.95, 0.4]), said(&[0.4, 0.95])];
    let own = search(&tasks, &MixtureSettings { per_task: true, ..SHARES }).unwrap();
    let one = search(&tasks, &SHARES).unwrap();
    assert_eq!(one.weights[0], one.weights[1]);
    assert!(own.weights[0][0] > 0.8 && own.weights[1][1] > 0.8, "{:?}", own.weights);
    assert!(own.loss < one.loss);
}

#[test]
fn old_weights_keep_their_ratio_when_a_module_comes() {
    let tasks = [said(&[0.9, 0.6, 0.8])];
    let found = extend(&tasks, &[vec![0.75, 0.25]], &SHARES).unwrap();
    let w = &found.weights[0];
    assert!((w[0] / w[1] - 3.0).abs() < 1e-9 && w[2] > 0.0, "{w:?}");
    let joint = search(&tasks, &SHARES).unwrap();
    assert!(joint.loss <= found.loss + 1e-9);
    // A task that came with the new module has no weights yet.
    assert_eq!(extend(&tasks, &[], &SHARES).unwrap().weights[0].len(), 3);
}

#[test]
fn rows_are_probabilities_whatever_the_weights() {
    let p = vec![vec![0.9, 0.1, 0.5, 0.5], vec![0.2, 0.8, 0.5, 0.5]];
    let close = |found: Vec<f64>, expected: [f64; 4]| {
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12), "{found:?}");
    };
    close(mixture(&p, &[1.0, 0.0], 2), [0.9, 0.1, 0.5, 0.5]);
    close(mixture(&p, &[3.0, 1.0], 2), [0.725, 0.275, 0.5, 0.5]);
    close(mixture(&p, &[1.0, -1.0], 2), [1.0, 0.0, 0.5, 0.5]);
    close(mixture(&p, &[0.0, 0.0], 2), [0.5; 4]);
}
