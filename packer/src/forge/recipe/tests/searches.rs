//! Methods that search on condensed sets, and routing: their results in a forge and outside of one.

use super::*;

/// With a weight for each site, a member has no single weight.
#[test]
fn after_a_fusion_by_site_no_member_has_one_weight() {
    use fusion::{Finder, Level};
    let (_dir, forge) = forge();
    for (n, level) in [(1, Level::Whole), (2, Level::Site), (3, Level::Whole)] {
        push(&forge, n);
        merge(&forge, &recipes(&forge).method(settings(fusion(level, Finder::Gradient))).unwrap());
        let record = forge.content(forge.item(u64::from(n)).unwrap().manifest()).unwrap().record;
        assert_eq!(record.get("weights").is_some(), n == 1, "{record}");
    }
}

#[test]
fn a_fusion_goes_on_from_the_item_before() {
    use fusion::{Finder, Level};
    let (vit, device, data) = (base(), Cpu::<f32>::new(), task_data());
    let (judge, tasks) = (Judge::new(&device, &vit), borrowed(&data));
    for (level, finder) in [
        (Level::Whole, Finder::CmaEs),
        (Level::Whole, Finder::Gradient),
        (Level::Site, Finder::Gradient),
    ] {
        let method = fusion(level, finder);
        let (_dir, model, record) = merged(&settings(method.clone()));
        let (Method::Fusion(search), Composition::Fusion(sites)) = (method, model.composition)
        else {
            panic!()
        };
        let [first, second, third] = [1, 2, 3].map(|n| compose::sites(&own_parts(n).module));
        let (sum, old) = judge.fuse(Some(&first), second, &tasks[..2], &search, |_| ()).unwrap();
        let (sum, new) = judge.fuse(Some(&sum), third, &tasks, &search, |_| ()).unwrap();
        same(&sites, &sum);
        assert!((record["search"]["loss"].as_f64().unwrap() - new.loss).abs() < 1e-5);
        match level {
            Level::Whole => {
                let weights = [
                    old.weights[0] * new.weights[0],
                    old.weights[1] * new.weights[0],
                    new.weights[1],
                ];
                for (name, weight) in
                    ["hospital 1/breast", "hospital 2/lung", "hospital 3/colon"].iter().zip(weights)
                {
                    assert!(
                        (record["weights"][name].as_f64().unwrap() - weight).abs() < 1e-4,
                        "{record}"
                    );
                }
            }
            Level::Site => assert!(record.get("weights").is_none()),
        }
    }
}

#[test]
fn a_mixture_finds_the_weights_that_all_probabilities_give() {
    let (vit, device, data) = (base(), Cpu::<f32>::new(), task_data());
    let (judge, tasks) = (Judge::new(&device, &vit), borrowed(&data));
    let modules = [1, 2, 3].map(|n| compose::sites(&own_parts(n).module));
    for (joint, per_task, shares) in
        [(false, false, false), (false, true, true), (true, false, true), (true, true, false)]
    {
        let method = mixture(joint, per_task, shares);
        let (_dir, model, _) = merged(&settings(method.clone()));
        let (Method::Mixture(how), Composition::Mixture { weights, .. }) =
            (method, model.composition)
        else {
            panic!()
        };
        let mut expected = BTreeMap::from([("breast".to_owned(), vec![1.0])]);
        for n in 2..=3 {
            expected =
                judge.mix(&expected, &modules[..n], &tasks[..n], &how.search, joint).unwrap().0;
        }
        for (task, found) in weights {
            let near = found.iter().zip(&expected[&task]).all(|(f, e)| (f - e).abs() < 1e-3);
            assert!(near, "{joint} {per_task} {shares} {task}: {found:?} {:?}", expected[&task]);
        }
    }
}

#[test]
fn a_routed_model_has_the_prototypes_of_the_condensed_sets() {
    let (_dir, model, _) = merged(&settings(Method::Routed));
    let Composition::Routed { modules } = &model.composition else { panic!() };
    let prototypes = model.routing.as_ref().unwrap();
    let (vit, device, data) = (base(), Cpu::<f32>::new(), task_data());
    let expected = Judge::new(&device, &vit).prototypes(&borrowed(&data)).unwrap();
    for (task, tensor) in &expected.tasks {
        assert!(
            tensor
                .data
                .iter()
                .zip(&prototypes.tasks[task].data)
                .all(|(e, f)| (e - f).abs() < 1e-3 * (1.0 + e.abs()))
        );
    }
    // In the order of the tasks' names: breast, colon, lung.
    same(&modules[1], &compose::sites(&own_parts(3).module));
}

#[test]
fn a_search_may_see_the_sets_that_are_still_to_come() {
    let (_dir, forge) = forge();
    (1..=3).for_each(|n| push(&forge, n));
    let all = RecipeSettings {
        condensed: SearchSets::All(3),
        ..settings(fusion(fusion::Level::Whole, fusion::Finder::CmaEs))
    };
    let recipe = recipes(&forge).method(all).unwrap();
    assert_eq!([merge(&forge, &recipe), merge(&forge, &recipe)], [1, 2]);
    let content = forge.content(forge.item(2).unwrap().manifest()).unwrap();
    let (vit, device, data) = (base(), Cpu::<f32>::new(), task_data());
    let [first, second] = [1, 2].map(|n| compose::sites(&own_parts(n).module));
    let Method::Fusion(search) = fusion(fusion::Level::Whole, fusion::Finder::CmaEs) else {
        panic!()
    };
    let (_, found) = Judge::new(&device, &vit)
        .fuse(Some(&first), second, &borrowed(&data), &search, |_| ())
        .unwrap();
    assert!((content.record["search"]["loss"].as_f64().unwrap() - found.loss).abs() < 1e-5);

    // A mixture also finds weights for a set that was pushed later. When that is merged, its
    // predictions are there already.
    let joint =
        RecipeSettings { condensed: SearchSets::All(3), ..settings(mixture(true, true, true)) };
    let recipe = recipes(&forge).method(joint).unwrap();
    assert_eq!(merge(&forge, &recipe), 3);
    let methods = recipes(&forge);
    let recorded: crate::forge::Methods = &|settings| methods.recorded(settings);
    assert_eq!(forge.verify(Some(recorded)).unwrap().rebuilt, 3);
    // The set of a member that left is not used any more.
    assert_eq!(forge.revert(2, recorded, &key(FORGE)).unwrap().manifest().members, 2);
    let content = forge.content(forge.item(4).unwrap().manifest()).unwrap();
    assert!(content.record["by_task"].get("lung").is_none(), "{}", content.record);
    assert_eq!(forge.verify(Some(recorded)).unwrap().rebuilt, 4);
}
