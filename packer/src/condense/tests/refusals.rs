//! What a private set covers, and what is refused.

use super::*;

#[test]
fn a_private_set_says_what_it_covers_and_reads_patients_once() {
    let set = run(&private(), Some(budget())).unwrap();
    assert!(set.record.loss[1] < set.record.loss[0]);
    let accounting: Accounting = serde_json::from_value(set.record.privacy.unwrap()).unwrap();
    assert_eq!((accounting.epsilon, accounting.delta), (100.0, 0.1));
    assert_eq!(accounting.released_values, 2 * 8);
    assert!(
        accounting.statement.contains("group (patient)")
            && accounting.statement.contains("not a module")
    );
    assert!(set.record.real_images.is_none() && set.record.real_groups.is_none());
    let second = [
        CondenseSettings { target: Target::Cluster, ..private() },
        CondenseSettings { ridge: 1.0, ..private() },
        CondenseSettings { start: Start::Real, ..private() },
    ];
    for settings in second {
        let sentence = run(&settings, Some(budget())).unwrap_err().to_string();
        assert!(sentence.contains("read once"), "{sentence}");
    }
    let few = Budget { least_groups: 20, ..budget() };
    let sentence = run(&private(), Some(few)).unwrap_err().to_string();
    assert!(sentence.contains("groups") && sentence.contains("20"), "{sentence}");
}

#[test]
fn images_that_cannot_be_condensed_are_refused() {
    let vit = small(Family::Dinov2);
    let refused = |pixels: &dyn Fn(usize, usize) -> u8,
                   labels: &[usize],
                   settings: CondenseSettings| {
        let dir = tempfile::tempdir().unwrap();
        let mut table = String::from("path,label,group,split\n");
        for (i, label) in labels.iter().enumerate() {
            let bytes: Vec<u8> = (0..192).map(|p| pixels(i, p)).collect();
            image::save_buffer(
                dir.path().join(format!("{i}.png")),
                &bytes,
                8,
                8,
                image::ExtendedColorType::Rgb8,
            )
            .unwrap();
            table += &format!("{i}.png,c{label},{i},train\n");
        }
        for label in 0..2 {
            let bytes: Vec<u8> = (0..192).map(|p| (p * 3 + label) as u8).collect();
            image::save_buffer(
                dir.path().join(format!("t{label}.png")),
                &bytes,
                8,
                8,
                image::ExtendedColorType::Rgb8,
            )
            .unwrap();
            table += &format!("t{label}.png,c{label},t{label},test\n");
        }
        std::fs::write(dir.path().join("splits.csv"), table).unwrap();
        let dataset = Dataset::open(dir.path()).unwrap();
        let images = images(&dataset, &vit);
        let source = Source { vit: &vit, classes: &dataset.classes, images: &images, module: None };
        let device = Cpu::<f32>::poisoned();
        let condensation = Condensation::new(&device, source, "t", &settings);
        condensation.run(None, &mut Unobserved).expect_err("it is refused").to_string()
    };
    let varied = |i: usize, p: usize| ((i * 31 + p * 7) % 200) as u8;
    assert!(refused(&varied, &[0, 0, 0, 1], settings()).contains("class c1 has 1 image"));
    assert!(refused(&|i, _| 10 * i as u8, &[0, 0, 1, 1], settings()).contains("of one colour"));
    assert!(refused(&|_, p| p as u8, &[0, 0, 1, 1], settings()).contains("the same picture"));
    assert!(
        refused(&varied, &[0, 0, 1, 1], CondenseSettings { batch: 0, ..settings() })
            .contains("batch is 0")
    );
    assert!(
        refused(&varied, &[0, 0, 1, 1], CondenseSettings { ridge: f64::NAN, ..settings() })
            .contains("ridge is NaN")
    );
    let soft = CondenseSettings { labels: Labels::Soft, ..settings() };
    assert!(refused(&varied, &[0, 0, 1, 1], soft).contains("name a module"));
}
