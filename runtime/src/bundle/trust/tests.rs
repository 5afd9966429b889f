//! Trust files: who counts for what and when, and how one file follows another.

use super::super::rules::sha256_hex;
use super::super::signature::sign;
use super::super::tests::{bundle, class, key};
use super::super::verify;
use super::*;

fn hex_key(seed: u8) -> String {
    hex::encode(key(seed).verifying_key().to_bytes())
}

/// Two release keys of which two must sign (alice, bob), and a maintainer (carol); `more` goes
/// after it.
fn file(version: u64, more: &str) -> String {
    let keys: Vec<String> =
        [(1, "alice", "release"), (2, "bob", "release"), (3, "carol", "maintainer")]
            .map(|(seed, name, role)| {
                format!(
                    "[[keys]]\nname = \"{name}\"\npublic_key = \"{}\"\nroles = [\"{role}\"]\n",
                    hex_key(seed)
                )
            })
            .into();
    format!(
        "format = \"medforge-trust-1\"\nversion = {version}\n{more}\n[threshold]\nrelease = \
         1\nmaintainer = 1\n{}",
        keys.concat()
    )
}

fn moment(text: &str) -> Moment {
    Moment::try_from(text.to_owned()).unwrap()
}

fn signed(file: &str, seeds: &[u8]) -> Vec<u8> {
    let keys: Vec<_> = seeds.iter().map(|&seed| key(seed)).collect();
    sign(&keys, TRUST_TYPE, file.as_bytes()).unwrap()
}

#[test]
fn roles_tell_for_what_a_key_counts() {
    let trust = Trust::from_toml(&file(1, "")).unwrap();
    assert_eq!(verify(bundle(), &trust).unwrap().signers(), [key(1).verifying_key()]);
    assert_eq!(trust.name_of(&key(1).verifying_key()), Some("alice"));
    let other = file(1, "").replace(&hex_key(1), &hex_key(9));
    assert_eq!(class(verify(bundle(), &Trust::from_toml(&other).unwrap())), Class::WrongKey);
    let as_maintainer = file(1, "").replacen("release\"]", "maintainer\"]", 1);
    assert_eq!(
        class(verify(bundle(), &Trust::from_toml(&as_maintainer).unwrap())),
        Class::WrongKey
    );
    let two = file(1, "").replace("release = 1", "release = 2");
    assert_eq!(class(verify(bundle(), &Trust::from_toml(&two).unwrap())), Class::BelowThreshold);
}

#[test]
fn revoked_keys_and_bundles_and_old_versions_are_refused() {
    let id = verify(bundle(), &Trust::from_toml(&file(1, "")).unwrap()).unwrap().id().to_owned();
    let with = |table: &str| Trust::from_toml(&(file(1, "") + table)).unwrap();
    let revoked = with(&format!("[revoked]\nkeys = [\"{}\"]\n", hex_key(1)));
    assert_eq!(class(verify(bundle(), &revoked)), Class::RevokedKey);
    assert_eq!(
        class(verify(bundle(), &with(&format!("[revoked]\nbundles = [\"{id}\"]\n")))),
        Class::RevokedBundle
    );
    let name = super::super::manifest::tests::example().name;
    assert_eq!(
        class(verify(bundle(), &with(&format!("[minimum]\n\"{name}\" = 4\n")))),
        Class::Rollback
    );
    assert!(verify(bundle(), &with(&format!("[minimum]\n\"{name}\" = 3\n"))).is_ok());
}

#[test]
fn keys_and_files_count_within_their_time() {
    let timed = file(1, "expires = \"2027-01-01T00:00:00Z\"").replacen(
        "roles = [\"release\"]",
        "roles = [\"release\"]\nfrom = \"2026-02-01T00:00:00Z\"\nuntil = \"2026-03-01T00:00:00Z\"",
        1,
    );
    let at = |text: &str| Trust::from_toml(&timed).unwrap().at(moment(text));
    assert!(verify(bundle(), &at("2026-02-01T00:00:00Z").unwrap()).is_ok());
    assert!(verify(bundle(), &at("2026-02-28T23:59:59Z").unwrap()).is_ok());
    for outside in ["2026-01-31T23:59:59Z", "2026-03-01T00:00:00Z"] {
        assert_eq!(class(verify(bundle(), &at(outside).unwrap())), Class::Expired, "{outside}");
    }
    assert!(at("2026-12-31T23:59:59Z").is_ok());
    assert_eq!(class(at("2027-01-01T00:00:00Z")), Class::Expired);
    assert!(
        verify(bundle(), &Trust::from_toml(&timed).unwrap()).is_ok(),
        "a device without a clock"
    );
}

#[test]
fn what_is_no_trust_file_is_refused_by_class() {
    let refused = |text: &str| class(Trust::from_toml(text));
    let good = file(1, "");
    assert_eq!(refused(&good.replace(&hex_key(2), &hex_key(1))), Class::SameKeyTwoIds);
    assert_eq!(refused(&good.replacen("roles", "id = \"00\"\nroles", 1)), Class::KeyidLies);
    let id = sha256_hex(&key(1).verifying_key().to_bytes());
    assert!(Trust::from_toml(&good.replacen("roles", &format!("id = \"{id}\"\nroles"), 1)).is_ok());
    let identity = format!("01{}", "00".repeat(31));
    assert_eq!(refused(&good.replace(&hex_key(1), &identity)), Class::WeakKey);
    assert_eq!(refused(&good.replace(&hex_key(1), &"ff".repeat(32))), Class::NoncanonicalA);
    assert_eq!(refused(&good.replace(&hex_key(1), &hex_key(1)[2..])), Class::BadLength);
    for bad in [
        good.replace("release = 1", "release = 3"),
        good.replace("release = 1", "release = 0"),
        good.replace("trust-1", "trust-2"),
        good.replace("version = 1", "version = 0"),
        good.replace("\"bob\"", "\"alice\""),
        good.replace("name = \"bob\"", "name = \"bob\"\nnmae = \"bob\""),
        good.replace("version = 1", "version = 1\nversion = 2"),
        good.replace("[\"release\"]", "[\"king\"]"),
        format!("expires = \"tomorrow\"\n{good}"),
        format!("{good}[revoked]\nkeys = [\"{}\", \"{}\"]\n", hex_key(1), hex_key(2)),
        String::new(),
        " ".repeat(LONGEST + 1),
    ] {
        assert_eq!(refused(&bad), Class::BadTrustFile, "{bad:.300}");
    }
    assert_eq!(class(Trust::read(b"\xff")), Class::BadTrustFile);
    assert_eq!(Trust::read(good.as_bytes()).unwrap().version(), 1);
}

#[test]
fn a_trust_file_follows_another_signed_by_enough_of_both() {
    let first = Trust::from_toml(&file(1, "")).unwrap();
    let next = file(2, "");
    let follow =
        |text: &str, seeds: &[u8]| first.successor(text.as_bytes(), &signed(text, seeds), None);
    assert_eq!(follow(&next, &[3]).unwrap().version(), 2);
    assert_eq!(
        class(follow(&next, &[1, 2])),
        Class::TrustRotationUnsigned,
        "release keys are no maintainers"
    );
    assert_eq!(class(follow(&next, &[9])), Class::TrustRotationUnsigned);
    assert_eq!(
        class(first.successor(next.as_bytes(), &signed(&file(1, ""), &[3]), None)),
        Class::MixedBundles
    );
    for version in [1, 3] {
        assert_eq!(class(follow(&file(version, ""), &[3])), Class::RootVersionSkip);
    }
    // Another maintainer takes over: both sign.
    let handed_over = next.replace(&hex_key(3), &hex_key(4));
    assert_eq!(
        class(follow(&handed_over, &[3])),
        Class::TrustRotationUnsigned,
        "the new one has not agreed"
    );
    assert_eq!(
        class(follow(&handed_over, &[4])),
        Class::TrustRotationUnsigned,
        "the old one has not agreed"
    );
    let second = follow(&handed_over, &[3, 4]).unwrap();
    let third = file(3, "").replace(&hex_key(3), &hex_key(4));
    assert!(second.successor(third.as_bytes(), &signed(&third, &[4]), None).is_ok());
}

/// Keys in PEM inside a trust file do not make a file of keys of it.
#[test]
fn a_trust_file_is_not_taken_for_keys() {
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n";
    let as_key = file(1, "").replacen(&hex_key(1), &format!("\"\"\n{pem}\"\""), 1);
    assert_eq!(class(Trust::read(as_key.as_bytes())), Class::BadLength);
    let as_bundle = format!("{}[revoked]\nbundles = [\"\"\"\n{pem}\"\"\"]\n", file(1, ""));
    assert_eq!(class(Trust::read(as_bundle.as_bytes())), Class::BadTrustFile);
    let upper = format!("{}[revoked]\nbundles = [\"{}\"]\n", file(1, ""), "AB".repeat(32));
    assert_eq!(class(Trust::read(upper.as_bytes())), Class::BadTrustFile);
}

#[test]
fn a_maintainer_whose_time_is_over_signs_no_trust_file() {
    let limited = |version| {
        file(version, "")
            .replace("[\"maintainer\"]", "[\"maintainer\"]\nuntil = \"2026-02-01T00:00:00Z\"")
    };
    let (first, next) = (Trust::from_toml(&limited(1)).unwrap(), limited(2));
    let at = |now| first.successor(next.as_bytes(), &signed(&next, &[3]), Some(moment(now)));
    assert!(at("2026-01-31T00:00:00Z").is_ok());
    assert_eq!(class(at("2026-02-01T00:00:00Z")), Class::TrustRotationUnsigned);
}
