//! The list of contributors, as a TOML file.

use super::*;

#[test]
fn contributors_are_read_from_toml() {
    let dir = tempfile::tempdir().unwrap();
    let pem = crate::export::keys::to_pem(&key(1)).public;
    std::fs::write(dir.path().join("a.pub"), &pem).unwrap();
    let hex = hex::encode(key(2).verifying_key().as_bytes());
    let read = |text: &str| {
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        read_contributors(&path)
    };
    let inline = crate::export::keys::to_pem(&key(3)).public;
    let entry = |name: &str, key: &str| {
        format!("[[contributor]]\nname = \"{name}\"\nkey = \"\"\"{key}\"\"\"\n")
    };
    let all = read(&format!("{}{}{}", entry("A", "a.pub"), entry("B", &hex), entry("C", &inline)))
        .unwrap();
    let expected = [("A", 1), ("B", 2), ("C", 3)]
        .map(|(name, seed)| (name.to_owned(), key(seed).verifying_key()));
    assert_eq!(all, BTreeMap::from(expected));
    let weak = "01".to_owned() + &"00".repeat(31);
    for (text, words) in [
        (String::new(), "contributor"),
        ("contributor = []".into(), "names no contributor"),
        ("[[contributor]]\nname = 'A'".into(), "key"),
        (format!("{}\nemail = 'x'", entry("A", &hex)), "line 5"),
        (format!("{}{}", entry("A", &hex), entry("A", "a.pub")), "twice"),
        (format!("{}{}", entry("A", &hex), entry("B", &hex)), "key of another"),
        (entry("A", "nowhere.pub"), "nowhere.pub"),
        (entry("A", &weak), "no usable"),
        (entry("A", "-----BEGIN PUBLIC KEY-----"), "no usable"),
        (entry(" ", &hex), "name"),
    ] {
        let said = read(&text).unwrap_err().to_string();
        assert!(said.contains(words), "{words}: {said}");
    }
}
