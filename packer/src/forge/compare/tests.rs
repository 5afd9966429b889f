//! Comparisons on a small base: their numbers beside numbers computed here, what is refused, and
//! hostile names.

use std::path::Path;

use medforge_runtime::image::RgbImage8;

use super::super::recipe::tests::{own_parts, push_parts};
use super::super::tests::{FORGE, forge, merge, recipes};
use super::*;
use crate::contribution::Parts;
use crate::contribution::tests::{base, key};
use crate::data::phantom;
use crate::eval::bootstrap::interval;
use crate::forge::Forge;
use crate::merge::{self, Options, Sites};
use crate::predict::linear_head;

mod by_hand;
use by_hand::{by_hand, on_condensed, see};

const RESAMPLES: usize = 200;
const SEED: u64 = 3;

/// A hospital's parts, with a head that tells the classes of images like those of the tests apart,
/// though not all of them.
fn parts(n: u8) -> Parts {
    let mut parts = own_parts(n);
    let (_dir, data) = images(CLASSES, 6, [5, 11, 7][usize::from(n) - 1]);
    let (images, features) = see(&whole(), &data);
    let labels: Vec<f32> = images
        .labels()
        .iter()
        .flat_map(|l| [*l == 0, *l == 1].map(|y| f32::from(u8::from(y))))
        .collect();
    parts.module.head = linear_head(&features.concat(), &labels, &data.classes).unwrap();
    parts
}

/// The mean of the three hospitals' changes.
fn whole() -> Sites {
    let modules = [1, 2, 3].map(|n| own_parts(n).module);
    merge::merge(&modules.each_ref(), &Options::new(merge::Method::Average), &[]).unwrap().sites
}

/// A forge in which three contributions were merged by `settings`.
fn merged(settings: &Value) -> (tempfile::TempDir, Forge) {
    let (dir, forge) = forge();
    (1..=3).for_each(|n| push_parts(&forge, n, &parts(n)));
    for _ in 1..=3 {
        merge(&forge, &*recipes(&forge).recorded(settings).unwrap());
    }
    (dir, forge)
}

fn average() -> Value {
    let method = crate::forge::recipe::Method::Free(Options {
        seed: SEED,
        ..Options::new(merge::Method::Average)
    });
    let condensed = crate::forge::recipe::Seen::SoFar;
    serde_json::to_value(Settings { method, condensed, refit_heads: false, routing: false })
        .unwrap()
}

/// A folder of 24 test images of `groups` patients and classes as given; `shift` makes other
/// pixels.
fn images(classes: [&str; 2], groups: usize, shift: usize) -> (tempfile::TempDir, Dataset) {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = "path,label,group,split\n".to_owned();
    for i in 0..28 {
        // One class is brighter, but for every fifth image.
        let bright = if (i % 2 == 1) != (i % 5 == 0) { 100 } else { 0 };
        let pixels =
            (0..192).map(|p| (bright + (p * (13 + i * shift) + p * p / 7) % 150) as u8).collect();
        let png = phantom::png(&RgbImage8::new(pixels, 8, 8).unwrap()).unwrap();
        std::fs::write(dir.path().join(format!("{i}.png")), png).unwrap();
        let (class, split) = (classes[i % 2], if i < 24 { "test" } else { "train" });
        let group = if i < 24 { format!("g{}", i / 2 % groups) } else { format!("t{i}") };
        rows += &format!("{i}.png,{class},{group},{split}\n");
    }
    std::fs::write(dir.path().join("splits.csv"), rows).unwrap();
    let data = Dataset::open(dir.path()).unwrap();
    (dir, data)
}

const CLASSES: [&str; 2] = ["benign", "malignant"];

fn ask(
    forge: &Forge,
    data: &BTreeMap<String, Dataset>,
    methods: &[&str],
    refit: bool,
) -> Result<Comparison, Error> {
    let methods: Vec<String> = methods.iter().map(|m| (*m).to_owned()).collect();
    let question = Question { data, methods: &methods, refit, seed: SEED, resamples: RESAMPLES };
    let item = forge.head().unwrap().unwrap();
    compare(Recipes::new(forge, &|_, _| ()), &item, &question, &|_, _, _| ())
}

fn found<'a>(comparison: &'a Comparison, name: &str) -> &'a Figures {
    let row = comparison.rows.iter().find(|row| row.name == name);
    row.and_then(Row::figures).unwrap_or_else(|| panic!("{name}: {:?}", comparison.rows))
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
}

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

/// A row says of a method what an item that the forge makes by it says of itself.
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
    // With routing, the item does as the row says it would.
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

#[test]
fn a_method_that_the_members_do_not_allow_is_a_row_that_says_why() {
    let (_dir, forge) = merged(&average());
    let none = BTreeMap::new();
    let all = ask(&forge, &none, &[], false).unwrap();
    // Twelve without data, three fusions, three mixtures, routed, the item and the reference.
    assert_eq!(
        (all.rows.len(), all.rows.iter().filter(|row| row.figures().is_none()).count()),
        (21, 0)
    );
    assert!(all.table().contains("--data TASK=DIR"));
    let one = ask(&forge, &none, &["regmean"], false).unwrap();
    let Outcome::Refused(why) = &one.rows[1].outcome else { panic!("{:?}", one.rows[1]) };
    assert!(why.contains("gave no Gram matrices"), "{why}");
    assert!(one.table().contains(why) && one.page().html().contains("gave no Gram matrices"));
}

#[test]
fn questions_without_an_answer_are_refused() {
    let (_dir, forge) = merged(&average());
    let (_images, right) = images(CLASSES, 6, 5);
    let (_others, wrong) = images(["adipose", "malignant"], 6, 5);
    let of = |task: &str, data: &Dataset| BTreeMap::from([(task.to_owned(), data.clone())]);
    let refused = |data: &BTreeMap<String, Dataset>, methods: &[&str]| {
        ask(&forge, data, methods, false).unwrap_err().to_string()
    };
    let said = refused(&of("liver", &right), &[]);
    assert!(said.contains("no task \"liver\"; it has breast, lung, colon"), "{said}");
    let said = refused(&of("lung", &wrong), &[]);
    assert!(
        said.contains("classes are adipose, malignant, and the module knows benign, malignant"),
        "{said}"
    );
    let said = refused(&BTreeMap::new(), &["average", "best"]);
    assert!(said.contains("\"best\" is none of average, "), "{said}");

    let methods = recipes(&forge);
    for number in 1..=3 {
        forge.revert(number, &|settings| methods.recorded(settings), &key(FORGE)).unwrap();
    }
    let said = refused(&BTreeMap::new(), &[]);
    assert!(said.contains("no member left"), "{said}");
}

#[test]
fn hostile_names_stay_names_on_the_page() {
    const NAME: &str = "<script>alert('x')</script>\" word";
    const CLASS: &str = "<img src=x onerror=alert(1)>";
    let dir = tempfile::tempdir().unwrap();
    let contributors = BTreeMap::from([(NAME.to_owned(), key(1).verifying_key())]);
    let forge =
        Forge::init(dir.path().to_str().unwrap(), &base(), &contributors, &key(FORGE)).unwrap();
    let mut parts = own_parts(1);
    parts.module.card.contributor = NAME.into();
    let classes = vec![CLASS.to_owned(), "b".to_owned()];
    parts.module.card.classes = classes.clone();
    parts.module.head.classes = classes.clone();
    parts.condensed.record.classes = classes;
    push_parts(&forge, 1, &parts);
    merge(&forge, &*recipes(&forge).recorded(&average()).unwrap());
    // One patient: no intervals, for which the page names a class.
    let (_images, data) = images([CLASS, "b"], 1, 5);
    let comparison =
        ask(&forge, &BTreeMap::from([("breast".to_owned(), data)]), &["average"], false).unwrap();
    assert!(found(&comparison, "average").real["breast"].balanced_accuracy.low.is_none());
    let html = comparison.page().html();
    assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    assert!(
        html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;")
            && html.contains("&lt;img src=x")
    );
    assert!(html.contains("images of one group only") && html.contains("default-src 'none'"));
}

#[test]
fn a_comparison_writes_nothing_to_the_forge() {
    let (dir, forge) = merged(&average());
    let count = |dir: &Path| std::fs::read_dir(dir).unwrap().count();
    let before = ["", "objects", "items", "pushes"].map(|name| count(&dir.path().join(name)));
    ask(&forge, &BTreeMap::new(), &["average", "mixture"], true).unwrap();
    assert_eq!(
        ["", "objects", "items", "pushes"].map(|name| count(&dir.path().join(name))),
        before
    );
}
