//! Signatures of several people, trust files that follow one another, and the state of a device.
//! The good bundle of the corpus has the release keys of alice and bob, and carol is its
//! maintainer.

use ed25519_dalek::SigningKey;
use medforge_packer::export::keys;

use super::*;

const NOW: &str = "--now 2026-06-01T00:00:00Z";

/// A folder with the corpus's `good.medforge` and `trust.toml`, and the keys `alice.key`,
/// `bob.key`, `carol.key` and `dave.key`.
fn desk() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    for name in ["good.medforge", "trust.toml"] {
        std::fs::copy(corpus.join(name), dir.path().join(name)).unwrap();
    }
    for (seed, name) in [(1, "alice"), (2, "bob"), (3, "carol"), (4, "dave")] {
        let pem = keys::to_pem(&SigningKey::from_bytes(&[seed; 32]));
        std::fs::write(dir.path().join(format!("{name}.key")), pem.secret).unwrap();
        std::fs::write(dir.path().join(format!("{name}.pub")), pem.public).unwrap();
    }
    dir
}

fn change(at: &Path, file: &str, from: &str, to: &str, out: &str) {
    let text = std::fs::read_to_string(at.join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    std::fs::write(at.join(out), text.replace(from, to)).unwrap();
}

#[test]
fn a_second_signature_comes_from_here_or_from_a_machine_without_a_network() {
    let dir = desk();
    let at = dir.path();
    change(at, "trust.toml", "release = 1", "release = 2", "two.toml");
    let verify = |bundle: &str| format!("verify {bundle} --trust two.toml {NOW}");
    assert!(refused(at, 3, &verify("good.medforge")).contains("below_threshold"));
    good(at, "sign good.medforge --key bob.key --out here.medforge");
    let said = good(at, &verify("here.medforge"));
    assert!(said.contains("alice (") && said.contains("bob ("), "{said}");
    good(at, "sign good.medforge --export-request request");
    good(at, "sign request --key bob.key --out signature");
    good(at, "sign good.medforge --import-signature signature --out there.medforge");
    let [here, there] =
        ["here.medforge", "there.medforge"].map(|name| std::fs::read(at.join(name)).unwrap());
    assert!(here == there, "the two ways give different bundles");
    let said = good(at, "sign request --key dave.key --out dave.signature");
    assert!(said.contains("bundle \"corpus\", version 3, id "), "{said}");
    // A signature for another bundle, one by a stranger, and files that are no bundle.
    good(at, "sign trust.toml --key carol.key --out trust.sig");
    assert!(
        refused(at, 3, "sign good.medforge --import-signature trust.sig --out no")
            .contains("type_confusion")
    );
    change(at, "signature", "\"signature\":\"", "\"signature\":\"00", "bent");
    assert!(
        refused(at, 3, "sign good.medforge --import-signature bent --out no")
            .contains("bad_length")
    );
    // A payload that does not match the manifest is not signed.
    let torn = "../tests/corpus/hash_mismatch/bundle.medforge";
    std::fs::copy(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(torn), at.join("torn")).unwrap();
    assert!(refused(at, 3, "sign torn --key bob.key --out no").contains("hash_mismatch"));
    assert!(refused(at, 1, "sign bob.key --key bob.key --out no").contains("bob.key"));
    change(at, "request", "signing-request-1", "signing-request-2", "later");
    assert!(refused(at, 1, "sign later --key bob.key --out no").contains("later"));
    assert!(!at.join("no").exists());
}

#[test]
fn a_trust_file_gives_way_to_the_next_one_only_if_enough_maintainers_sign() {
    let dir = desk();
    let at = dir.path();
    let before = std::fs::read(at.join("trust.toml")).unwrap();
    change(at, "trust.toml", "version = 1", "version = 2", "next.toml");
    good(at, "sign next.toml --key alice.key --out next.sig");
    let update = "trust trust.toml --next next.toml --signatures next.sig";
    assert!(refused(at, 3, update).contains("trust_rotation_unsigned"));
    assert_eq!(std::fs::read(at.join("trust.toml")).unwrap(), before);
    // Carol signs where there is no network; her signature joins alice's.
    good(at, "sign next.toml --export-request next.request");
    good(at, "sign next.request --key carol.key --out carol.sig");
    good(at, "sign next.toml --import-signature carol.sig --out next.sig");
    assert_eq!(
        std::fs::read_to_string(at.join("next.sig")).unwrap().matches("public_key").count(),
        2
    );
    assert!(good(at, update).contains("version 2 is in its place"));
    assert_eq!(
        std::fs::read(at.join("trust.toml")).unwrap(),
        std::fs::read(at.join("next.toml")).unwrap()
    );
    assert!(refused(at, 3, update).contains("root_version_skip"));
    assert!(good(at, "trust trust.toml").contains("version 2"));
    assert!(refused(at, 1, "trust good.medforge").contains("good.medforge"));
}

#[test]
fn a_device_remembers_what_it_accepted_and_nothing_else() {
    let dir = desk();
    let at = dir.path();
    let verify = format!("verify good.medforge --trust trust.toml --state state.json {NOW}");
    assert!(refused(at, 3, &verify.replace("trust.toml", "dave.pub")).contains("wrong_key"));
    assert!(!at.join("state.json").exists(), "what was refused is remembered");
    assert!(refused(at, 1, &format!("{verify} --quick")).contains("--state"));
    good(at, &verify);
    let state = std::fs::read_to_string(at.join("state.json")).unwrap();
    assert!(state.contains("\"corpus\":{\"counter\":3"), "{state}");
    std::fs::write(at.join("state.json"), state.replace("\"counter\":3", "\"counter\":4")).unwrap();
    assert!(refused(at, 3, &verify).contains("rollback"));
    std::fs::write(at.join("state.json"), &state).unwrap();
    assert!(
        refused(at, 3, &verify.replace("2026-06-01", "2026-05-01")).contains("clock_backwards")
    );
    good(at, &verify.replace(NOW, "--now unknown"));
    assert!(refused(at, 1, &verify.replace(NOW, "--now soon")).contains("--now"));
    assert_eq!(std::fs::read_to_string(at.join("state.json")).unwrap(), state);
    // A state that cannot be read does not count as an empty one.
    std::fs::create_dir(at.join("folder")).unwrap();
    assert!(refused(at, 1, &verify.replace("state.json", "folder")).contains("folder"));
}

#[test]
fn a_refusal_can_be_explained_to_people_and_machines() {
    let dir = desk();
    let at = dir.path();
    let mut bytes = std::fs::read(at.join("good.medforge")).unwrap();
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    std::fs::write(at.join("bent"), bytes).unwrap();
    let run = |more: &str| {
        packer(at, &format!("verify bent --trust trust.toml {NOW} {more}")).output().unwrap()
    };
    let json: serde_json::Value = serde_json::from_slice(&run("--json").stdout).unwrap();
    assert_eq!((&json["verified"], &json["class"]), (&false.into(), &"bad_crc".into()), "{json}");
    let [from, to] = [0, 1].map(|i| json["bytes"][i].as_u64().unwrap() as usize);
    assert!((from..to).contains(&place), "{json}");
    let words = String::from_utf8(run("--explain").stdout).unwrap();
    assert!(
        words.contains("bad_crc") && words.contains(&format!("bytes      {from} to {to}")),
        "{words}"
    );
    let report: serde_json::Value = serde_json::from_str(&good(
        at,
        &format!("verify good.medforge --trust trust.toml {NOW} --json"),
    ))
    .unwrap();
    assert_eq!((&report["verified"], &report["golden_vectors"]), (&true.into(), &"agree".into()));
    assert!(report["sbom_sha256"].as_str().is_some_and(|digest| digest.len() == 64), "{report}");
}

/// The signer is named, so that people can ask. This device does not trust that key.
#[test]
fn no_message_invites_to_trust_a_stranger() {
    let dir = desk();
    let at = dir.path();
    change(at, "trust.toml", "release = 1", "release = 2", "two.toml");
    for (trust, class) in [("two.toml", "below_threshold"), ("dave.pub", "wrong_key")] {
        let said = refused(at, 3, &format!("verify good.medforge --trust {trust} {NOW}"));
        assert!(said.contains(class) && said.contains("do not use it"), "{said}");
        assert!(!said.contains("trust that") && !said.contains("if you know"), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn an_encrypted_key_signs_with_its_pass_phrase_from_a_descriptor() {
    let dir = desk();
    let at = dir.path();
    let run = |phrase: &str, arguments: &str| {
        let program = env!("CARGO_BIN_EXE_packer");
        let script = format!(
            "printf '%s\\n' '{phrase}' | {program} --passphrase-fd 3 {arguments} 3<&0 </dev/null"
        );
        Command::new("sh").current_dir(at).args(["-c", &script]).output().unwrap()
    };
    let made = run("correct horse", "keygen --encrypt --out eve");
    assert!(made.status.success(), "{}", said(&made));
    assert!(
        std::fs::read_to_string(at.join("eve.key"))
            .unwrap()
            .contains("BEGIN ENCRYPTED PRIVATE KEY")
    );
    let sign = "sign good.medforge --key eve.key --out more.medforge";
    assert!(said(&run("battery staple", sign)).contains("not opened by this pass phrase"));
    assert!(said(&run("", sign)).contains("--passphrase-fd"));
    assert!(!at.join("more.medforge").exists());
    let signed = run("correct horse", sign);
    assert!(signed.status.success(), "{}", said(&signed));
    good(at, &format!("verify more.medforge --trust eve.pub {NOW}"));
    let again = format!("{sign} --force");
    assert!(refused(at, 1, &again).contains("--passphrase-fd"), "there is no terminal here");
}

#[test]
fn a_bundle_leaves_as_a_folder_for_other_tools() {
    use p256::pkcs8::EncodePrivateKey;
    let dir = desk();
    let at = dir.path();
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let pem = key.to_pkcs8_pem(p256::pkcs8::LineEnding::LF).unwrap();
    std::fs::write(at.join("ec.key"), pem.as_bytes()).unwrap();
    let export =
        format!("export-oms good.medforge --trust trust.toml {NOW} --ec-key ec.key --out oms");
    good(at, &export);
    let signature: serde_json::Value =
        serde_json::from_slice(&std::fs::read(at.join("oms/model.sig")).unwrap()).unwrap();
    assert_eq!(signature["dsseEnvelope"]["payloadType"], "application/vnd.in-toto+json");
    assert_eq!(listing(&at.join("oms")).iter().filter(|path| path.is_file()).count(), 10);
    assert!(refused(at, 1, &export).contains("--force"));
    assert!(
        refused(at, 1, &export.replace("ec.key --out oms", "bob.key --out oms2"))
            .contains("bob.key")
    );
    assert!(
        refused(
            at,
            3,
            &export.replace("trust.toml", "dave.pub").replace("--out oms", "--out oms2")
        )
        .contains("wrong_key")
    );
    assert!(!at.join("oms2").exists());
}
