//! Methods without data: their results in a forge and outside of one.

use medforge_runtime::tensors::Tensor;

use super::*;

/// The first of two members is a DoRA module. It comes alone and mixes with the next, but cannot be
/// fused with it.
#[test]
fn dora_members_mix_and_do_not_fuse() {
    let parts = |n: u8| {
        let own = own_parts(n);
        let module = if n == 1 { dora(&base(), own.module) } else { own.module };
        Parts { module, ..own }
    };
    for method in
        [free(merge::Method::Average), fusion(fusion::Level::Whole, fusion::Finder::CmaEs)]
    {
        let (_dir, forge) = forge();
        [1, 2].iter().for_each(|n| push_parts(&forge, *n, &parts(*n)));
        let recipes = recipes(&forge);
        let recipe = recipes.method(settings(method)).unwrap();
        assert_eq!(merge(&forge, &recipe), 1);
        let said = forge.merge(&recipe, &key(FORGE)).unwrap_err().to_string();
        assert!(said.contains("DoRA modules mix but do not fuse"), "{said}");
        assert!(said.contains("hospital 1"), "{said}");
    }
    let (_dir, forge) = forge();
    [1, 2].iter().for_each(|n| push_parts(&forge, *n, &parts(*n)));
    let recipe = recipes(&forge).method(settings(mixture(false, false, true))).unwrap();
    assert_eq!([1, 2].map(|_| merge(&forge, &recipe)), [1, 2]);
    let tip = forge.tip().unwrap().unwrap();
    let content = forge.content(tip.manifest()).unwrap();
    let (model, _) = recipes(&forge).model(&tip.manifest().settings, &content).unwrap();
    let magnitudes: Vec<bool> =
        model.networks().iter().map(crate::lora::dora::has_magnitudes).collect();
    assert_eq!(magnitudes, [true, false]);
}

#[test]
fn methods_without_data_give_what_they_give_elsewhere() {
    let modules = [1, 2, 3].map(|n| own_parts(n).module);
    for method in merge::Method::ALL.into_iter().filter(|m| *m != merge::Method::RegMean) {
        let (_dir, model, record) = merged(&settings(free(method)));
        let Composition::Fusion(sites) = model.composition else { panic!("{method} is no fusion") };
        let expected = merge::merge(&modules.each_ref(), &Options::new(method), &[]).unwrap();
        same(&sites, &expected.sites);
        let weight = if method == merge::Method::Average { 1.0 / 3.0 } else { 1.0 };
        assert_eq!(record["weights"]["hospital 2/lung"], weight);
        assert_eq!(model.heads["lung"].weight, modules[1].head.weight);
    }
}

#[test]
fn heads_are_refitted_under_the_merged_network() {
    let refit = RecipeSettings { refit_heads: true, ..settings(free(merge::Method::Average)) };
    let (_dir, model, _) = merged(&refit);
    let (vit, device, data) = (base(), Cpu::<f32>::new(), task_data());
    let expected = Judge::new(&device, &vit).refit(&model, &borrowed(&data)).unwrap();
    assert_ne!(model.heads["colon"].weight, data[2].head.weight);
    for (task, head) in expected {
        assert!(
            head.weight
                .data
                .iter()
                .zip(&model.heads[&task].weight.data)
                .all(|(f, e)| (f - e).abs() < 1e-4)
        );
    }
}

#[test]
fn regmean_needs_the_matrices_of_every_member() {
    let d = base().config.hidden;
    let gram = |scale: f32| {
        Tensor::f32(
            vec![d, d],
            (0..d * d).map(|i| if i % (d + 1) == 0 { scale } else { 0.0 }).collect(),
        )
    };
    let with = |n: u8| {
        let mut parts = own_parts(n);
        parts.grams = Some(
            parts.module.sites.keys().map(|site| (site.clone(), gram(f32::from(n)))).collect(),
        );
        parts
    };
    let (_dir, forge) = forge();
    [1, 2].into_iter().for_each(|n| push_parts(&forge, n, &with(n)));
    let recipe = recipes(&forge).method(settings(free(merge::Method::RegMean))).unwrap();
    assert_eq!([merge(&forge, &recipe), merge(&forge, &recipe)], [1, 2]);
    let item = forge.tip().unwrap().unwrap();
    let content = forge.content(item.manifest()).unwrap();
    let (model, modules) = recipes(&forge).model(&item.manifest().settings, &content).unwrap();
    let Composition::Fusion(sites) = &model.composition else { panic!() };
    // Multiples of the identity weight the changes 1 to 2.
    for site in sites.keys() {
        let [one, two] = [0, 1].map(|m| change(&compose::sites(&modules[m]), site));
        for (found, (one, two)) in change(sites, site).iter().zip(one.iter().zip(two)) {
            assert!((found - (one + 2.0 * two) / 3.0).abs() < 1e-4, "{site}");
        }
    }
    push(&forge, 3);
    let said = forge.merge(&recipe, &key(FORGE)).unwrap_err().to_string();
    assert!(said.contains("hospital 3/colon gave no Gram matrices"), "{said}");
    assert_eq!(forge.items().unwrap().len(), 2);
}
