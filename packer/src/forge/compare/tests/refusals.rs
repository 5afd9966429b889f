//! What is refused, hostile names, and a forge that stays as it was.

use std::path::Path;

use super::*;

#[test]
fn a_method_that_the_members_do_not_allow_is_a_row_that_says_why() {
    let (_dir, forge) = merged(&average());
    let none = BTreeMap::new();
    let all = ask(&forge, &none, &[], false).unwrap();
    // Twelve methods without data, three fusions, three mixtures, routed, the item, the reference.
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
    // With one patient there are no intervals, and the page names a class.
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
