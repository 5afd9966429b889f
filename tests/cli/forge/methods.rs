//! Every method, from a merge to a bundle that classifies.

use super::*;

#[test]
fn every_kind_of_merge_becomes_a_bundle_that_classifies() {
    let dir = forge();
    let at = dir.path();
    let picture = some_picture(at);
    for (task, options) in [
        ("one", "--method ties --density 0.5 --refit-heads"),
        ("two", "--method fusion --level site --search gradient --evaluations 3 --condensed all"),
        ("three", "--method fusion --evaluations 4"),
        ("four", "--method mixture --evaluations 9"),
        ("five", "--method mixture --joint --per-task --shares --routing"),
        ("six", "--method routed"),
    ] {
        let file = contribution(at, "a", task, 1);
        good(at, &format!("forge push F {file}"));
        assert!(good(at, &format!("{MERGE} {options}")).contains(task), "{options}");
        let bundle = format!("{task}.medforge");
        assert!(good(at, &format!("forge bundle F --key a.key --out {bundle}")).contains("bundle"));
        let classify = format!("classify {bundle} --trust a.pub {picture} --json");
        let given: Value =
            serde_json::from_str(&good(at, &format!("{classify} --task {task}"))).unwrap();
        assert!(given.to_string().contains(task), "{given}");
        if matches!(task, "five" | "six") {
            assert!(good(at, &classify).contains("probabilities"));
        }
    }
    let verdict = good(at, &format!("{VERIFY} --rebuild"));
    assert!(verdict.contains("same bytes: 6"), "{verdict}");
    let table = good(at, "forge log F");
    for words in ["ties", "fusion", "mixture", "routed"] {
        assert!(table.contains(words), "{words}: {table}");
    }
    options_that_mean_nothing(at);
    regmean(at);
    assert!(
        good(at, "forge bundle F v2 --key a.key --out second.medforge").contains("second.medforge")
    );
    assert!(
        refused(at, 1, "forge bundle F v9 --key a.key --out no.medforge")
            .contains("newest item is v6")
    );
    passed_over(at);
}

fn options_that_mean_nothing(at: &Path) {
    for (options, words) in [
        ("--method mixture --level site", "--level means nothing with --method mixture"),
        ("--method ties --joint", "--joint means nothing with --method ties"),
        ("--method fusion --density 0.5", "--density means nothing with --method fusion"),
        ("--method mixture --refit-heads", "--refit-heads means nothing"),
        ("--method average --condensed all", "--condensed means nothing"),
        ("--method best", "is none of average, task-arithmetic"),
        ("--method regmean", "hospital a/one gave no Gram matrices"),
    ] {
        contribution_waits(at);
        let said = refused(at, 1, &format!("{MERGE} {options}"));
        assert!(said.contains(words), "{options}: {said}");
    }
}

/// RegMean needs the Gram matrices of a contribution.
fn regmean(at: &Path) {
    let with = "contribute --base base --module m-a-one --condensed c-a-one --card card.md --key \
                a.key --counter 2 --grams data";
    assert!(
        good(at, &format!("{with} --out g.contribution"))
            .contains("second moments of patients' features")
    );
    good(at, "forge init G --base base --trust contributors.toml --key forge.key");
    good(at, "forge push G g.contribution");
    assert!(good(at, "forge merge G --key forge.key --method regmean").contains("one merged"));
}

/// A push that regmean cannot merge is passed over.
fn passed_over(at: &Path) {
    assert!(refused(at, 1, &format!("{MERGE} --method regmean")).contains("push 7 stays waiting"));
    assert!(refused(at, 1, "forge skip F 8 --key forge.key").contains("not the next"));
    assert!(
        good(at, "forge skip F 7 --key forge.key")
            .contains("v7: hospital b/seven passed over, 6 members")
    );
    assert!(good(at, MERGE).contains("nothing was pushed"));
    assert!(good(at, "forge log F").contains("passed over hospital b/seven"));
    assert!(
        good(at, "forge bundle F v7 --key a.key --out skipped.medforge")
            .contains("skipped.medforge")
    );
    assert!(good(at, &format!("{VERIFY} --rebuild")).contains("same bytes: 7"));
}

/// Pushes a contribution, unless one waits already.
fn contribution_waits(at: &Path) {
    if log(at)["waiting"].as_array().unwrap().is_empty() {
        good(at, &format!("forge push F {}", contribution(at, "b", "seven", 1)));
    }
}
