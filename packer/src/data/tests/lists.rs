//! Lists that open: their columns, their attributes, and lists of other programs.

use std::fs;

use super::*;
use crate::eval::Division;

#[test]
fn columns_may_stand_in_any_order_among_others() {
    let place = Place::new(&FOUR);
    let rows = "\u{feff}split,age,path,group,label\r\ntrain,3,a/1.png,p1,x\r\n\
                test,4,./a/2.png,p2,x\r\n\
                train,5,b/1.png,p3,\"y, z\"\r\ntest,6,b/2.png,p4,\"y, z\"\r\n";
    fs::write(place.root().join("splits.csv"), rows).unwrap();
    let data = Dataset::open(place.root()).unwrap();
    assert_eq!(data.classes, ["x", "y, z"]);
    let item = &data.items[1];
    assert_eq!((item.path.to_str(), item.label, item.group.as_str()), (Some("a/2.png"), 0, "p2"));
    assert_eq!(data.indices(Split::Train), [0, 2]);
    assert_eq!(data.class_counts(Split::Test), [1, 1]);
    assert_eq!(data.group_count(Split::Test), 2);
}

#[test]
fn further_columns_are_attributes_within_limits() {
    let rows = |header: &str, value: &str| {
        let mut text = format!("path,label,group,split,{header}\n");
        GOOD.lines().for_each(|row| text += &format!("{row},{value}\n"));
        let place = Place::new(&FOUR);
        fs::write(place.root().join("splits.csv"), text).unwrap();
        place
    };
    let columns = |count: usize| (0..count).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",");
    let data = Dataset::open(rows(&columns(32), &vec!["v"; 32].join(",")).root()).unwrap();
    assert_eq!((data.attributes.len(), data.attributes[31].name.as_str()), (32, "c31"));
    // A column without a name, such as the index that other programs write, is no attribute. An
    // empty field is a value.
    let data = Dataset::open(rows(",site", "7,").root()).unwrap();
    assert_eq!(
        data.attributes.iter().map(|a| (a.name.as_str(), &*a.values[3])).collect::<Vec<_>>(),
        [("site", "")]
    );
    // What cannot be used is refused where it is asked for, and nowhere else.
    for (header, value, by, word) in [
        (columns(33), vec!["v"; 33].join(","), "c32", "only the first 32 columns"),
        ("site,site".into(), "a,b".into(), "site", "column site is there twice"),
        (
            "note,site".into(),
            format!("{},b", "ä".repeat(33)),
            "note",
            "row 2: note is 66 bytes long; the limit is 64",
        ),
        ("note,site".into(), "a\u{1b}[2J,b".into(), "note", "control character"),
        ("note,site".into(), "Bonn\u{200b},b".into(), "note", "nobody sees"),
        ("note,site".into(), "\u{202e}Bonn,b".into(), "note", "nobody sees"),
    ] {
        let data = Dataset::open(rows(&header, &value).root()).unwrap();
        let fault = |name: &str| {
            data.attributes.iter().find(|a| a.name == name).and_then(|a| a.fault.clone())
        };
        assert!(fault(by).is_some_and(|fault| fault.contains(word)), "{:?}", fault(by));
        let text = Division::new(&data, &[0], by).err().unwrap().to_string();
        assert!(text.contains("the attribute") && text.contains(word), "{text}");
        if header.starts_with("note") {
            assert_eq!(&*data.attributes[1].values[0], "b");
        }
    }
    for header in ["s\u{7}".to_owned(), "x".repeat(65)] {
        assert!(Dataset::open(rows(&header, "a").root()).unwrap().attributes.is_empty());
    }
}

#[test]
fn ages_of_a_list_are_told_in_bands() {
    let mut text = String::from("path,label,group,split,Age,age_group\n");
    GOOD.lines()
        .zip(["34", "71,5", "unknown", "034Y"])
        .for_each(|(row, age)| text += &format!("{row},\"{age}\",3\n"));
    let place = Place::new(&FOUR);
    fs::write(place.root().join("splits.csv"), text).unwrap();
    let data = Dataset::open(place.root()).unwrap();
    let values =
        |i: usize| data.attributes[i].values.iter().map(|v| v.to_string()).collect::<Vec<_>>();
    assert_eq!(values(0), ["18-39", "65+", "unknown", "18-39"]);
    assert_eq!(values(1), ["3"; 4]);
}

#[test]
fn lists_of_other_programs_are_read_under_other_names() {
    let place = Place::new(&FOUR);
    let rows = "\u{feff}Case;File;Diagnosis;Fold;Comment\r\np1;a/1.png;x;Training;\"long; \
                text\"\r\np2;a/2.png;x;TEST;\r\n\
                p3;b/1.png;y;val;\r\np4;b/2.png;y;Testing;\r\np5;b/3.png;y;train;\r\n\
                p6;a/3.png;x;validation;\r\n";
    fs::write(place.root().join("a/3.png"), b"").unwrap();
    fs::write(place.root().join("b/3.png"), b"").unwrap();
    let columns = "path=file,label=diagnosis,group=case,split=fold".parse().unwrap();
    for rows in [rows.to_owned(), rows.replace(';', "\t").replace("long\t text", "long; text")] {
        fs::write(place.root().join("splits.csv"), rows).unwrap();
        let data = Dataset::open_with(place.root(), &columns).unwrap();
        assert_eq!((data.classes.join(" ").as_str(), data.items[0].group.as_str()), ("x y", "p1"));
        assert_eq!(
            (data.indices(Split::Test), data.stated_parts().unwrap()),
            (vec![1, 3], (vec![0, 4], vec![2, 5]))
        );
        assert_eq!(
            data.attributes.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(),
            ["Comment"]
        );
    }
    let (_, text) = place.refusal();
    assert!(text.contains("column path is missing") && text.contains("by path=NAME"), "{text}");
    fs::write(place.root().join("splits.csv"), b"\xff\xfep\0a\0").unwrap();
    assert!(place.refusal().1.contains("UTF-16"));
    fs::remove_file(place.root().join("splits.csv")).unwrap();
    let text = Dataset::open_with(place.root(), &columns).unwrap_err().to_string();
    assert!(text.contains("the choice of columns") && text.contains("no splits.csv"), "{text}");
}
