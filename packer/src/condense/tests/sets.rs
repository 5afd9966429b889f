//! Sets of every setting.

use super::*;

#[test]
fn the_loss_falls_and_the_same_seed_gives_the_same_set() {
    let set = run(&settings(), None).unwrap();
    let [first, last] = set.record.loss;
    assert!(last < 0.9 * first, "{first} to {last}");
    assert_eq!((set.len(), set.classes()), (6, vec![0, 0, 0, 1, 1, 1]));
    assert_eq!(set.images, run(&settings(), None).unwrap().images);
    assert_ne!(set.images, run(&CondenseSettings { seed: 6, ..settings() }, None).unwrap().images);
    assert!(set.record.privacy.is_none() && set.record.real_images.is_some());
}

#[test]
fn every_setting_condenses() {
    let cases = [
        CondenseSettings { matching: Matching::Feature, ..settings() },
        CondenseSettings { matching: Matching::Mean, target: Target::Class, ..settings() },
        CondenseSettings { augment: false, perturbation: 0.0, ..settings() },
        CondenseSettings { per_class: 1, ridge: 0.0, batch: 100, ..settings() },
        CondenseSettings { per_class: 40, batch: 80, ..settings() },
    ];
    for case in cases {
        let set = run(&case, None).unwrap();
        assert_eq!(set.len(), 2 * case.per_class);
        assert!(set.images.iter().all(|v| (0.0..=1.0).contains(v)));
        assert!(set.record.loss[1] < set.record.loss[0], "{case:?}: {:?}", set.record.loss);
    }
}

/// After no step to speak of, a start from real images is still these images; from noise it is none
/// of them.
#[test]
fn real_images_are_a_start_only_where_asked() {
    let (_dir, dataset) = data();
    let vit = small(Family::Dinov2);
    let real = images(&dataset, &vit);
    for (start, close) in [(Start::Real, true), (Start::Noise, false)] {
        let set = run(
            &CondenseSettings { start, iterations: 1, learning_rate: 1e-6, ..settings() },
            None,
        )
        .unwrap();
        assert_eq!(set.record.start, start);
        for i in 0..set.len() {
            let distance = |m: usize| {
                let pairs = set.rgb(i).into_iter().zip(real.pixels(m).to_vec());
                pairs.map(|(a, b)| f64::from(a.abs_diff(b))).sum::<f64>() / 192.0
            };
            let nearest = (0..real.len()).map(distance).fold(f64::INFINITY, f64::min);
            assert_eq!(nearest < 3.0, close, "{start:?} {i}: {nearest}");
        }
    }
}
