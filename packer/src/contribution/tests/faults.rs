//! Parts that do not belong together, cannot be used, or come from strangers.

use super::*;

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    type Change = fn(&mut Parts);
    let table: &[(&str, Change)] = &[
        ("task", |p| p.condensed.record.task = "lung".into()),
        ("classes", |p| p.condensed.record.classes.reverse()),
        ("base", |p| p.condensed.record.base_digest = "1".repeat(64)),
        ("preprocessing", |p| p.condensed.record.preprocessing.mean[0] += 0.1),
        ("adapts no site", |p| p.module.sites.clear()),
        ("is empty", |p| p.card = " \n".into()),
        ("control characters", |p| p.card = "\u{1b}[2J".into()),
        ("1 MiB", |p| p.card = "x".repeat(MAX_CARD + 1)),
        ("task", |p| p.module.card.task = "a/b".into()),
        ("contributor is empty", |p| p.module.card.contributor = " ".into()),
        ("bad_name", |p| {
            (p.module.card.task, p.condensed.record.task) = ("Breast".into(), "Breast".into())
        }),
        ("1 to 64", |p| {
            (p.module.card.task, p.condensed.record.task) = ("a".repeat(65), "a".repeat(65))
        }),
        ("beyond what f32 holds", |p| p.module.alpha = 1e42),
        ("no image is most probably", |p| p.condensed.labels = vec![1.0, 0.0, 0.75, 0.25]),
    ];
    let base = base();
    for (words, change) in table {
        let mut parts = parts(&base, "hospital a", "breast", 1);
        change(&mut parts);
        let said = built(&parts).unwrap_err().to_string();
        assert!(said.contains(words), "{words}: {said}");
    }
    let mut smaller = parts(&base, "hospital a", "breast", 1);
    let size = base.config.patch as u32;
    smaller.condensed.record.image_size = size;
    smaller.condensed.record.preprocessing = base.preprocessing_for(size).unwrap();
    smaller.condensed.images.truncate(2 * 3 * (size as usize).pow(2));
    assert!(built(&smaller).unwrap_err().to_string().contains("image size"));
}

#[test]
fn what_is_signed_but_cannot_be_used_is_refused_by_entry() {
    let nan = |file: &'static str| {
        forged(move |_, payload| {
            let bytes = payload.get_mut(file).unwrap();
            let at = bytes.len() - 4;
            bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
        })
    };
    for file in ["adapter_model.safetensors", "head.safetensors", "condensed.safetensors"] {
        let said = open(nan(file)).unwrap_err().to_string();
        assert!(said.contains(&format!("x.contribution/{file}")) && said.contains("NaN"), "{said}");
    }
    let said = open(forged(|_, p| drop(p.insert("module.json".into(), b"{}".to_vec()))))
        .unwrap_err()
        .to_string();
    assert!(said.contains("x.contribution/module.json"), "{said}");
    let said =
        open(forged(|_, p| drop(p.insert("card.md".into(), vec![0xff])))).unwrap_err().to_string();
    assert!(said.contains("x.contribution/card.md is not UTF-8"), "{said}");
}

#[test]
fn strangers_and_other_bases_are_refused() {
    let good = built(&parts(&base(), "hospital a", "breast", 1)).unwrap();
    let place = Path::new("x");
    let error = Contribution::open(place, good.bytes().to_vec(), &trust(2), &base().identity())
        .unwrap_err();
    assert!(matches!(error, Error::NotAContributor { .. }), "{error}");
    let mut other = base();
    other.change("norm.bias", |data| data[0] += 1.0);
    let error =
        Contribution::open(place, good.bytes().to_vec(), &trust(1), &other.identity()).unwrap_err();
    assert!(matches!(error, Error::OtherBase { .. }), "{error}");
}

#[test]
fn every_flipped_bit_of_a_sample_and_every_cut_is_refused() {
    let good = built(&parts(&base(), "hospital a", "breast", 1)).unwrap();
    for at in (0..good.bytes().len()).step_by(101) {
        let mut bad = good.bytes().to_vec();
        bad[at] ^= 1 << (at % 8);
        assert!(matches!(open(bad), Err(Error::Contribution { .. })), "byte {at}");
        assert!(
            matches!(open(good.bytes()[..at].to_vec()), Err(Error::Contribution { .. })),
            "{at} bytes"
        );
    }
}
