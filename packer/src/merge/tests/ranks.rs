//! Ranks: how large they get, what a smaller one keeps, and merges as modules.

use super::*;

/// Many modules do not give more directions than the matrix has.
#[test]
fn many_modules_do_not_outgrow_the_matrix() {
    let modules: Vec<Module> = (0..40).map(|i| random(i, 3, 3.0, "q", Some(1))).collect();
    let all: Vec<&Module> = modules.iter().collect();
    for method in Method::ALL {
        let found = merged(&all, &Options::new(method));
        let factors = &found.sites["blocks.1.attn.q"];
        assert!(
            factors.a.shape[0] <= factors.a.shape[1].min(factors.b.shape[0]),
            "{method}: {:?}",
            factors.a.shape
        );
    }
}

#[test]
fn a_rank_keeps_the_most_it_can() {
    let modules = three();
    let all: Vec<&Module> = modules.iter().collect();
    for method in Method::ALL {
        let exact = merged(&all, &Options::new(method));
        let cut = merged(&all, &Options { rank: Rank::AtMost(2), ..Options::new(method) });
        assert!(cut.rank() <= 2 && exact.rank() > 2, "{method}");
        assert!(cut.kept < 1.0 && cut.kept > 0.2, "{method}: {}", cut.kept);
        if method == Method::IsoC {
            continue;
        }
        // Orthogonal remainder: what is kept and what is lost add up to the whole.
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let (mut lost, mut total) = (0.0, 0.0);
        for (site, whole) in of(&exact) {
            let kept = product(&cut.sites[&site], 1.0);
            lost += square(&mut whole.iter().zip(&kept).map(|(x, y)| x - y));
            total += square(&mut whole.iter().copied());
        }
        assert!((1.0 - lost / total - cut.kept).abs() < 1e-5, "{method}");
    }
}

/// As in PEFT, one module is unchanged, and two give more than their sum.
#[test]
fn factors_apart_have_cross_terms() {
    let (x, y) = (random(1, 2, 4.0, "q", None), random(2, 2, 6.0, "q", None));
    for method in [
        Method::Average,
        Method::TaskArithmetic,
        Method::Ties,
        Method::DareLinear,
        Method::DareTies,
    ] {
        let options = Options { space: Space::Factors, ..whole(method, &[1.0]) };
        assert_near(&deltas(&x, 1.0), &merged(&[&x], &options), 1e-6, method.name());
    }
    let options = Options { space: Space::Factors, ..whole(Method::TaskArithmetic, &[0.5, -0.25]) };
    let found = merged(&[&x, &y], &options);
    // c = w alpha/rank: 0.5 * 2 and -0.25 * 3; the sign goes with A.
    let (cx, cy) = (1.0f64, 0.75f64);
    let at = |f: &Factors, g: &Factors, scale: f64| {
        product(&Factors::plain(g.a.clone(), f.b.clone()), scale)
    };
    let expected = x.sites.keys().map(|site| {
        let (fx, fy) = (&x.sites[site], &y.sites[site]);
        let cross = (cx * cy).sqrt();
        let terms = [at(fx, fx, cx), at(fy, fy, -cy), at(fy, fx, cross), at(fx, fy, -cross)];
        (site.clone(), (0..terms[0].len()).map(|i| terms.iter().map(|t| t[i]).sum()).collect())
    });
    assert_near(&expected.collect(), &found, 1e-6, "cross terms");
}

/// Sites of smaller rank are padded, and the scale is 1.
#[test]
fn a_merge_becomes_a_module_of_the_same_deltas() {
    let modules = three();
    let all: Vec<&Module> = modules.iter().collect();
    let found = merged(&all, &Options::new(Method::TaskArithmetic));
    let own = found.clone().into_module(modules[0].head.clone(), modules[0].card.clone()).unwrap();
    assert_eq!((own.rank, own.alpha, own.scale()), (6, 6.0, 1.0));
    assert!(own.sites.values().all(|f| f.a.shape[0] == 6 && f.b.shape[1] == 6));
    assert_eq!(deltas(&own, 1.0), of(&found));
}
