//! What cannot be merged is refused by name: option, module and site.

use super::*;
use crate::device::cpu::Cpu;
use crate::lora::tests::dora;

/// The error of merging two modules after a change to the second, or to the options.
fn said(change: impl FnOnce(&mut Module, &mut Options)) -> String {
    let (first, mut second) = (random(1, 2, 4.0, "q,v", None), random(2, 3, 3.0, "q", None));
    let mut options = Options::new(Method::TaskArithmetic);
    change(&mut second, &mut options);
    match merge(&[&first, &second], &options, &[]) {
        Err(Error::Merge { what }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn modules_that_do_not_belong_together() {
    let of = |change: fn(&mut Module)| said(|module, _| change(module));
    for (said, words) in [
        (of(|m| m.card.base_digest = "other".into()), ["the base other", ""]),
        (of(|m| m.card.family = Family::Vit), ["base", ""]),
        (of(|m| m.card.image_size += 2), ["pixels", ""]),
        (of(|m| m.card.preprocessing.mean[0] += 0.01), ["prepared", ""]),
        (of(|m| m.rank = 0), ["rank 0", ""]),
        (of(|m| m.rank = 2), ["site blocks.0.attn.q", "A has shape"]),
        (of(|m| m.alpha = f64::NAN), ["alpha NaN", ""]),
        (
            of(|m| m.sites.get_mut("blocks.1.attn.q").unwrap().b.data[3] = f32::NAN),
            ["site blocks.1.attn.q", "B holds NaN"],
        ),
        (
            of(|m| m.sites.get_mut("blocks.1.attn.q").unwrap().a.data[0] = f32::INFINITY),
            ["blocks.1.attn.q", "A holds inf"],
        ),
        (
            of(|m| m.sites.get_mut("blocks.1.attn.q").unwrap().a.data.truncate(3)),
            ["blocks.1.attn.q", "A has shape"],
        ),
        (
            of(|m| {
                let factors = m.sites.remove("blocks.0.attn.q").unwrap();
                m.sites.insert("blocks.0.nothing".into(), factors);
            }),
            ["blocks.0.nothing", "no such site"],
        ),
        (
            of(|m| {
                let b = Tensor::f32(vec![5, 3], vec![1.0; 15]);
                m.sites.get_mut("blocks.0.attn.q").unwrap().b = b;
            }),
            ["site blocks.0.attn.q", "(5, "],
        ),
    ] {
        assert!(said.contains("module 2 (task task-2, from someone)"), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}: {words:?}");
    }
}

#[test]
fn dora_modules_do_not_fuse_and_one_alone_comes_out_as_it_is() {
    let vit = small(Family::Dinov2);
    let (plain, decomposed) =
        (random(1, 2, 4.0, "q,v", None), dora(&vit, random(2, 2, 3.0, "q,v", None)));
    for method in Method::ALL {
        for space in [Space::Delta, Space::Factors] {
            let options = Options { space, ..Options::new(method) };
            let grams = [grams(&[&plain], 1), grams(&[&decomposed], 2)];
            let said =
                merge(&[&plain, &decomposed], &options, &grams.each_ref()).unwrap_err().to_string();
            assert!(
                said.contains(
                    "DoRA modules mix but do not fuse: module 2 (task task-2, from someone)"
                ),
                "{said}"
            );
            let alone = merge(&[&decomposed], &options, &[&grams[1]]);
            if space == Space::Delta && matches!(method, Method::Average | Method::TaskArithmetic) {
                let alone = alone
                    .unwrap()
                    .into_module(decomposed.head.clone(), decomposed.card.clone())
                    .unwrap();
                for (site, factors) in &decomposed.sites {
                    let weight = &vit.tensor(&format!("{site}.weight"));
                    let [found, expected] =
                        [(&alone, site), (&decomposed, site)].map(|(m, site)| {
                            m.sites[site].scaled(m.scale()).magnitude_scales(weight).unwrap()
                        });
                    assert_eq!(
                        (&alone.sites[site].magnitude, found),
                        (&factors.magnitude, expected),
                        "{method} {site}"
                    );
                }
            } else {
                assert!(
                    alone.unwrap_err().to_string().contains("module 1 (task task-2"),
                    "{method}"
                );
            }
        }
    }
    let options = Options { weights: vec![0.5], ..Options::new(Method::Average) };
    assert!(
        merge(&[&decomposed], &options, &[]).unwrap_err().to_string().contains("with weight 1")
    );
    let parts = [compose::sites(&plain), compose::sites(&decomposed)];
    let device = Cpu::<f32>::poisoned();
    let objective = fusion::Objective::new(&device, &vit, &parts, &[], fusion::Level::Whole);
    assert!(objective.err().unwrap().to_string().contains("do not fuse: part 2"));
}

#[test]
fn options_out_of_range() {
    let with = |change: fn(&mut Options)| said(|_, options| change(options));
    for (said, word) in [
        (with(|o| o.weights = vec![1.0]), "1 weights were given for 2 modules"),
        (with(|o| o.weights = vec![1.0, f64::NAN]), "weight NaN"),
        (with(|o| o.weights = vec![f64::INFINITY, 1.0]), "weight inf"),
        (with(|o| o.weights = vec![1e300, 1e300]), "too large"),
        (with(|o| o.density = 0.0), "density is 0"),
        (with(|o| o.density = 1.5), "density is 1.5"),
        (with(|o| o.density = f64::NAN), "density is NaN"),
        (with(|o| o.outliers = -0.1), "outliers is -0.1"),
        (with(|o| o.off_diagonal = 2.0), "off-diagonal factor is 2"),
        (with(|o| o.rank = Rank::AtMost(0)), "rank is 0"),
        (with(|o| o.rank = Rank::AtMost(5000)), "rank is 5000"),
        (
            with(|o| (o.method, o.density, o.outliers) = (Method::Breadcrumbs, 0.8, 0.3)),
            "more than everything",
        ),
        (with(|o| (o.method, o.density, o.window) = (Method::Della, 0.9, 0.3)), "narrow it"),
        (with(|o| o.method = Method::RegMean), "0 were given for 2 modules"),
        (with(|o| o.space = Space::Factors), "rank 2 and 3"),
    ] {
        assert!(said.contains(word), "{said}: {word}");
    }
    assert!(matches!(merge(&[], &Options::new(Method::Ties), &[]), Err(Error::Merge { .. })));
}

#[test]
fn factors_apart_are_for_the_methods_that_peft_has() {
    let own = random(1, 2, 4.0, "q", None);
    for method in Method::ALL {
        let options = Options { space: Space::Factors, ..Options::new(method) };
        let grams = grams(&[&own], 1);
        let peft = matches!(
            method,
            Method::Average
                | Method::TaskArithmetic
                | Method::Ties
                | Method::DareLinear
                | Method::DareTies
        );
        match merge(&[&own], &options, &[&grams]) {
            Ok(_) => assert!(peft, "{method}"),
            Err(error) => assert!(!peft && error.to_string().contains(method.name()), "{error}"),
        }
    }
}

#[test]
fn gram_matrices_that_are_missing_misshapen_or_none() {
    let (x, y) = (random(1, 2, 4.0, "q,v", None), random(2, 3, 3.0, "q", None));
    let (gx, gy) = (grams(&[&x, &y], 1), grams(&[&x, &y], 2));
    let refused = |change: &dyn Fn(&mut Grams)| {
        let mut changed = gy.clone();
        change(&mut changed);
        merge(&[&x, &y], &Options::new(Method::RegMean), &[&gx, &changed]).unwrap_err().to_string()
    };
    let site = "blocks.0.attn.q";
    let negative =
        |g: &mut Grams| g.sites.get_mut(site).unwrap().data.iter_mut().for_each(|v| *v *= -1.0);
    for (said, word) in [
        (
            refused(&|g| drop(g.sites.remove("blocks.1.attn.q"))),
            "site blocks.1.attn.q: its Gram matrix is missing",
        ),
        (refused(&|g| g.sites.get_mut(site).unwrap().shape[0] = 1), "Gram matrix has shape [1, "),
        (refused(&|g| g.sites.get_mut(site).unwrap().data[1] = f32::NAN), "Gram matrix holds NaN"),
        (refused(&negative), "negative diagonal"),
        (refused(&|g| g.sites.get_mut(site).unwrap().data[1] = 1e6), "not positive definite"),
    ] {
        assert!(said.contains(word) && said.contains("blocks."), "{said}: {word}");
    }
}

#[test]
fn names_are_read_back_and_others_refused() {
    for method in Method::ALL {
        assert_eq!(method.name().parse(), Ok(method));
        let options =
            Options { rank: Rank::AtMost(7), space: Space::Factors, ..Options::new(method) };
        let json = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<Options>(&json).unwrap(), options);
    }
    assert!("mean".parse::<Method>().unwrap_err().contains("task-arithmetic"));
    assert!(
        "both".parse::<Space>().is_err()
            && "0".parse::<Rank>().is_err()
            && "exact".parse() == Ok(Rank::Exact)
    );
    assert!(serde_json::from_str::<Method>("\"mean\"").is_err());
}
