//! Whole bundles: what is packed verifies, and no byte of it can change. The attacks on its parts
//! are in their tests.

use super::frame::tests::reframed;
use super::manifest::tests::{example, payload};
use super::*;
use crate::Class;

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn trust(seed: u8) -> Trust {
    Trust::new(vec![key(seed).verifying_key()], 1).unwrap()
}

pub(super) fn bundle() -> Vec<u8> {
    assemble(&example(), &payload(), &[key(1)]).unwrap()
}

/// The class of a refusal.
#[track_caller]
pub(crate) fn class<T: std::fmt::Debug>(result: Result<T, Error>) -> Class {
    result.expect_err("it was accepted").class().expect("a refusal")
}

#[test]
fn what_is_packed_verifies_and_is_handed_out() {
    let verified = verify(bundle(), &trust(1)).unwrap();
    assert_eq!(verified.manifest(), &example());
    assert_eq!(verified.id(), sha256_hex(&example().to_canonical().unwrap()));
    assert_eq!(verified.signers(), [key(1).verifying_key()]);
    for (name, bytes) in payload() {
        assert_eq!(verified.entry(&name).unwrap(), bytes);
    }
    assert_eq!(class(verified.entry("manifest.json")), Class::MissingEntry);
    let text = verified.tensors("base.onnx").unwrap_err();
    assert!(text.is_refusal() && text.to_string().contains("base.onnx"), "{text}");
    assert_eq!(bundle(), bundle(), "the same content gives the same bytes");
}

#[test]
fn data_is_aligned_in_the_file() {
    for (name, range) in frame::parse(&bundle()).unwrap() {
        assert_eq!(range.start % frame::ALIGNMENT, 0, "{name}");
    }
}

#[test]
fn inspection_needs_no_trust() {
    let inspected = inspect(bundle()).unwrap();
    assert_eq!(
        (inspected.manifest(), inspected.signers()),
        (&example(), [key(1).verifying_key()].as_slice())
    );
    assert_eq!(inspected.id(), verify(bundle(), &trust(1)).unwrap().id());
}

#[test]
fn nothing_is_packed_that_would_be_refused() {
    assert_eq!(class(assemble(&example(), &payload(), &[])), Class::Unsigned);
    assert_eq!(
        class(assemble(&example(), &payload(), &[key(1), key(1)])),
        Class::DupSignatureThreshold
    );
    let mut more = payload();
    more.insert("extra".into(), vec![]);
    assert_eq!(class(assemble(&example(), &more, &[key(1)])), Class::ExtraEntry);
    let mut fewer = payload();
    fewer.remove("base.onnx");
    assert_eq!(class(assemble(&example(), &fewer, &[key(1)])), Class::MissingEntry);
}

/// Every byte of a small bundle, every other value for it; and every value put in everywhere, every
/// byte taken out.
#[test]
fn attack_any_byte_changed_put_in_or_taken_out() {
    let (good, trust) = (&bundle(), &trust(1));
    let refused = |bad: Vec<u8>, what: &str, at: usize| {
        let error = verify(bad, trust).err();
        assert!(error.as_ref().is_some_and(Error::is_refusal), "{what} at byte {at}: {error:?}");
    };
    let all_of = |at: usize| {
        for byte in 0..=255 {
            if good.get(at).is_some_and(|own| *own != byte) {
                let mut bad = good.clone();
                bad[at] = byte;
                refused(bad, &format!("{byte} in place"), at);
            }
            let mut bad = good.clone();
            bad.insert(at, byte);
            refused(bad, &format!("{byte} put in"), at);
        }
        if at < good.len() {
            let mut bad = good.clone();
            bad.remove(at);
            refused(bad, "nothing", at);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || (first..=good.len()).step_by(threads).for_each(all_of));
        }
    });
}

#[test]
fn attack_every_flipped_bit_is_refused_in_a_frame_that_fits_it() {
    let (good, trust) = (bundle(), trust(1));
    let entries = frame::parse(&good).unwrap();
    for (place, (name, range)) in entries.iter().enumerate() {
        for bit in 0..range.len() * 8 {
            let bad = reframed(&good, |data| data[place].1[bit / 8] ^= 1 << (bit % 8));
            assert!(frame::parse(&bad).is_ok(), "the archive itself is in order");
            let error = verify(bad, &trust).err();
            assert!(
                error.as_ref().is_some_and(Error::is_refusal),
                "bit {bit} of {name}: {error:?}"
            );
        }
    }
}

#[test]
fn attack_cut_off_anywhere() {
    let (good, trust) = (bundle(), trust(1));
    for length in 0..good.len() {
        assert!(
            verify(good[..length].to_vec(), &trust).is_err_and(|error| error.is_refusal()),
            "{length} bytes"
        );
    }
}

#[test]
fn attack_entries_exchanged_lengthened_or_left_out() {
    let (good, trust) = (bundle(), trust(1));
    type Change = fn(&mut Vec<(String, Vec<u8>)>);
    let refusal = |change: Change| verify(reframed(&good, change), &trust).unwrap_err();
    let longer = refusal(|entries| entries[3].1.push(0));
    assert_eq!(longer.class(), Some(Class::LengthMismatch), "{longer}");
    let shorter = refusal(|entries| entries[3].1.truncate(1));
    assert_eq!(shorter.class(), Some(Class::LengthMismatch), "{shorter}");
    let changed = refusal(|entries| entries[3].1[0] ^= 1);
    assert_eq!(changed.class(), Some(Class::HashMismatch), "{changed}");
    let missing = refusal(|entries| drop(entries.remove(3)));
    assert_eq!(missing.class(), Some(Class::MissingEntry), "{missing}");
    let unlisted = refusal(|entries| entries.push(("z".into(), vec![])));
    assert_eq!(unlisted.class(), Some(Class::ExtraEntry), "{unlisted}");
    let exchanged = refusal(|entries| {
        let other = entries[2].1.clone();
        entries[2].1 = std::mem::replace(&mut entries[3].1, other);
    });
    assert!(exchanged.is_refusal(), "{exchanged}");
}

#[test]
fn attack_signed_manifest_of_another_bundle() {
    let mut other = example();
    other.counter += 1;
    let other = assemble(&other, &payload(), &[key(1)]).unwrap();
    let (ours, theirs) = (frame::parse(&bundle()).unwrap(), frame::parse(&other).unwrap());
    let bad = reframed(&bundle(), |entries| entries[0].1 = other[theirs[0].1.clone()].to_vec());
    assert_eq!(class(verify(bad, &trust(1))), Class::MixedBundles);
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn attack_manifest_too_long() {
    let bad = reframed(&bundle(), |entries| entries[0].1 = vec![b' '; frame::LIMITS.json + 1]);
    assert_eq!(class(verify(bad, &trust(1))), Class::JsonTooLarge);
}

/// Another kind of archive, that only these tests know.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Letter {
    format: String,
    version: u32,
    entries: Vec<manifest::Entry>,
}

impl Description for Letter {
    const PAYLOAD_TYPE: &'static str = "application/vnd.medforge.letter+json";
    const FORMAT: &'static str = "medforge-letter";
    const VERSION: u32 = 1;
    const ROLE: Role = Role::Contributor;

    fn check(&self) -> Result<(), Error> {
        description::check_entries(&self.entries)
    }

    fn entries(&self) -> &[manifest::Entry] {
        &self.entries
    }
}

fn letter() -> (Letter, BTreeMap<String, Vec<u8>>) {
    let payload = BTreeMap::from([("text".to_owned(), b"hello".to_vec())]);
    (Letter { format: Letter::FORMAT.into(), version: 1, entries: list(&payload) }, payload)
}

#[test]
fn other_kinds_of_archives_have_the_same_form_and_the_same_checks() {
    let (letter, payload) = letter();
    let bytes = assemble(&letter, &payload, &[key(1)]).unwrap();
    let opened = open::<Letter>(bytes.clone(), &trust(1)).unwrap();
    assert_eq!((opened.manifest(), opened.entry("text").unwrap()), (&letter, b"hello".as_slice()));
    assert_eq!(opened.bytes(), bytes);
    assert_eq!(class(open::<Letter>(bytes, &trust(2))), Class::WrongKey);
}

#[test]
fn an_envelope_is_the_archive_without_its_payload() {
    let (letter, payload) = letter();
    let bytes = assemble(&letter, &payload, &[key(1)]).unwrap();
    let envelope = envelope(&bytes).unwrap();
    let signed = open_envelope::<Letter>(&envelope, &trust(1)).unwrap();
    assert_eq!(
        (signed.description(), signed.signers()),
        (&letter, [key(1).verifying_key()].as_slice())
    );
    assert_eq!(signed.id(), open::<Letter>(bytes.clone(), &trust(1)).unwrap().id());
    assert_eq!(refill(&envelope, &payload).unwrap(), bytes);
    assert_eq!(class(open_envelope::<Letter>(&bytes, &trust(1))), Class::ExtraEntry);
    assert_eq!(class(open_envelope::<Letter>(&envelope, &trust(2))), Class::WrongKey);
    assert_eq!(class(open::<Letter>(envelope, &trust(1))), Class::MissingEntry);
}

/// A signature over a description of one kind is none over one of another, whatever the bytes.
#[test]
fn attack_one_kind_of_archive_passed_for_another() {
    let (letter, payload) = letter();
    let bytes = assemble(&letter, &payload, &[key(1)]).unwrap();
    let refused = verify(bytes.clone(), &trust(1)).unwrap_err();
    assert_eq!(refused.class(), Some(Class::TypeConfusion), "{refused}");
    let letters_signatures =
        letter.to_canonical().and_then(|m| signature::sign(&[key(1)], Letter::PAYLOAD_TYPE, &m));
    let renamed = String::from_utf8(letters_signatures.unwrap())
        .unwrap()
        .replace("letter+json", "manifest+json");
    let bad = reframed(&bytes, |entries| entries[1].1 = renamed.into_bytes());
    assert_eq!(class(verify(bad, &trust(1))), Class::MixedBundles);
    // Signed as a bundle, but described as a letter.
    let signed = letter
        .to_canonical()
        .and_then(|m| signature::sign(&[key(1)], Manifest::PAYLOAD_TYPE, &m))
        .unwrap();
    let bad = reframed(&bytes, |entries| entries[1].1 = signed);
    let refused = verify(bad, &trust(1)).unwrap_err();
    assert_eq!(refused.class(), Some(Class::UnknownFormatVersion), "{refused}");
}

/// `docs/threats.md` names every class and every attack test of this crate, and no test that is
/// nowhere in the workspace.
#[test]
fn the_page_of_threats_and_the_tests_agree() {
    fn tests(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                tests(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let code = std::fs::read_to_string(path).unwrap();
                let functions = code
                    .split("#[test]")
                    .skip(1)
                    .filter_map(|rest| rest.trim_start().strip_prefix("fn "));
                let names = functions.filter_map(|rest| rest.split_once("()"));
                found.extend(names.map(|(name, _)| name.to_owned()));
            }
        }
    }
    let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(workspace.join("docs/threats.md")).unwrap();
    // A long row goes on in the next line.
    let page = page.replace("\n  ", " ");
    let mut found = Vec::new();
    tests(&workspace.join("runtime/src"), &mut found);
    let attacks: Vec<_> = found.iter().filter(|name| name.starts_with("attack_")).collect();
    assert!(attacks.len() > 30, "{attacks:?}");
    for attack in attacks {
        assert!(page.contains(&format!("`{attack}`")), "{attack} is not in docs/threats.md");
    }
    for (class, name, meaning) in Class::ALL {
        let row = format!("- `{name}` ({}): {meaning}", *class as u16);
        assert!(page.contains(&row), "docs/threats.md has no row {row:?}");
    }
    ["ffi", "packer", "tests", "examples"]
        .iter()
        .for_each(|part| tests(&workspace.join(part), &mut found));
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        for named in row.trim_end_matches(" |").rsplit(" | ").next().unwrap().split(", ") {
            let named = named.trim_matches('`');
            assert!(
                found.iter().any(|test| test == named),
                "docs/threats.md names {named}, which is no test"
            );
        }
    }
}
