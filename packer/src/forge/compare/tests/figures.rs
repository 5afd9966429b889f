//! Figures beside figures that are computed here.

use super::*;
use crate::eval::bootstrap::interval;

#[test]
fn figures_are_what_the_merged_network_gives_by_hand() {
    let (_dir, forge) = merged(&average());
    let (_one, breast) = images(CLASSES, 6, 5);
    let (_two, lung) = images(CLASSES, 12, 11);
    let data = BTreeMap::from([("breast".to_owned(), breast), ("lung".to_owned(), lung)]);
    let comparison = ask(&forge, &data, &["average"], false).unwrap();
    assert_eq!(
        comparison.rows.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(),
        [THIS_ITEM, "average", OWN_MODULES]
    );

    let modules = [1, 2, 3].map(|n| parts(n).module);
    let heads: BTreeMap<_, _> =
        modules.iter().map(|m| (m.card.task.clone(), m.head.clone())).collect();
    let whole = whole();
    let own = [1, 2].map(|n| compose::sites(&parts(n).module));
    for (name, of_task) in [("average", [&whole, &whole]), (OWN_MODULES, own.each_ref())] {
        let figures = found(&comparison, name);
        let (mut both, mut differ) = (Vec::new(), name == OWN_MODULES);
        for (task, sites) in ["breast", "lung"].into_iter().zip(of_task) {
            let ([given, auc, open, routed], draws) = by_hand(sites, task, &heads, &data[task]);
            let scores = &figures.real[task];
            near(scores.balanced_accuracy.value, given);
            near(scores.auc.as_ref().unwrap().value, auc);
            let (low, high) = interval(draws.clone()).unwrap();
            near(scores.balanced_accuracy.low.unwrap(), low);
            near(scores.balanced_accuracy.high.unwrap(), high);
            match name {
                OWN_MODULES => assert!(scores.task_unknown.is_none()),
                _ => {
                    near(scores.task_unknown.as_ref().unwrap().value, open);
                    near(scores.task_unknown_routing.as_ref().unwrap().value, routed);
                    let telling = given > 0.5 && given < 1.0 && auc < 1.0 && open < given;
                    assert!(telling, "{given}, {auc} and {open} would hide a mistake");
                    differ |= routed != open;
                }
            }
            both.push((given, draws));
        }
        assert!(differ, "routing changes nothing, which would hide a mistake");
        let mean = &figures.mean.as_ref().unwrap().balanced_accuracy;
        near(mean.value, (both[0].0 + both[1].0) / 2.0);
        let draws =
            (0..RESAMPLES).map(|i| (both[0].1[i] + both[1].1[(i + 1) % RESAMPLES]) / 2.0).collect();
        let (low, high) = interval(draws).unwrap();
        near(mean.low.unwrap(), low);
        near(mean.high.unwrap(), high);
    }
    let alone = [1, 2, 3].map(|n| compose::sites(&parts(n).module));
    for (name, sites) in [("average", [&whole, &whole, &whole]), (OWN_MODULES, alone.each_ref())] {
        let each = [1, 2, 3].map(|n| on_condensed(sites[usize::from(n) - 1], n));
        let mean = |which: usize| each.iter().map(|of| of[which]).sum::<f64>() / 3.0;
        let figures = found(&comparison, name);
        near(figures.condensed.cross_entropy, mean(0));
        near(figures.condensed.balanced_accuracy, mean(1));
        assert_eq!(figures.networks, 1);
    }
}

/// The row of a method has the figures of an item that the forge makes by that method.
#[test]
fn a_row_is_the_item_that_the_forge_would_make() {
    let (_dir, forge) = merged(&average());
    let (_images, breast) = images(CLASSES, 6, 5);
    let data = BTreeMap::from([("breast".to_owned(), breast)]);
    let comparison =
        ask(&forge, &data, &["average", "ties", "fusion", "mixture", "routed"], true).unwrap();
    assert_eq!(found(&comparison, THIS_ITEM), found(&comparison, "average"));
    let named = |part: &str| comparison.rows.iter().filter(|row| row.name.contains(part)).count();
    assert_eq!(
        (comparison.rows.len(), named("--refit-heads"), named("mixture"), named("fusion")),
        (14, 3, 3, 4)
    );
    for name in [
        "ties --refit-heads",
        "fusion --level site --search gradient",
        "mixture --joint",
        "mixture --per-task --shares",
        "routed",
    ] {
        let row = comparison.rows.iter().find(|row| row.name == name).unwrap();
        let (_dir, forge) = merged(row.settings.as_ref().unwrap());
        let again = ask(&forge, &data, &["average"], false).unwrap();
        assert_eq!(
            (again.made_by.as_str(), found(&again, THIS_ITEM)),
            (name, found(&comparison, name))
        );
    }
    // An item with routing has the figures that the row predicts.
    let mut settings =
        comparison.rows.iter().find(|row| row.name == "ties").unwrap().settings.clone().unwrap();
    settings["routing"] = true.into();
    let (_dir, with_routing) = merged(&settings);
    let again = ask(&with_routing, &data, &["average"], false).unwrap();
    let (plain, routed) =
        (&found(&comparison, "ties").real["breast"], &found(&again, THIS_ITEM).real["breast"]);
    assert_eq!(
        (again.made_by.as_str(), &routed.task_unknown),
        ("ties --routing", &plain.task_unknown_routing)
    );
    assert_eq!(
        (&routed.balanced_accuracy, found(&again, THIS_ITEM).networks),
        (&plain.balanced_accuracy, 1)
    );

    let networks = |name| found(&comparison, name).networks;
    assert_eq!(
        (networks("ties"), networks("mixture"), networks("routed"), networks(OWN_MODULES)),
        (1, 3, 4, 1)
    );
    let text = comparison.table();
    for words in [
        "v3, made by average, of hospital 1/breast",
        "fusion --level whole --search cma-es",
        "spends the test split",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}
