//! Good bundles met by a verifier who must not take them: keys, roles, times, versions; and trust
//! files that are none.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::{
    Moment, State, TRUST_TYPE, Trust, assemble, sha256_hex, signature, verify,
};

use crate::case::{Case, Good, hex_key};

/// A trust file of version `version`: `release` of two release keys must sign (the good bundle's
/// and bob's); carol maintains.
pub fn file(good: &Good, version: u64, release: usize, more: &str) -> String {
    let key = |name: &str, key: &SigningKey, role: &str| {
        format!(
            "\n[[keys]]\nname = \"{name}\"\npublic_key = \"{}\"\nroles = [\"{role}\"]\n",
            hex_key(key)
        )
    };
    format!(
        "format = \"medforge-trust-1\"\nversion = {version}\n\n[threshold]\nrelease = \
         {release}\nmaintainer = 1\n{}{}{}{more}",
        key("alice", &good.key, "release"),
        key("bob", &bob(), "release"),
        key("carol", &carol(), "maintainer"),
    )
}

fn bob() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn carol() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

pub fn cases(good: &Good) -> Vec<Case> {
    let plain = file(good, 1, 1, "");
    let trusting = |class, text: String| Case::good(class).with("trust.toml", text.into_bytes());
    let trust = Trust::from_toml(&plain).unwrap();
    let id = verify(good.bytes.clone(), &trust).unwrap().id().to_owned();
    let at = |text: &str| trust.clone().at(Moment::try_from(text.to_owned()).unwrap()).unwrap();
    // The state of a device that accepted `counter` of the same name, in May.
    let after = |counter: u64| {
        let mut manifest = good.manifest();
        manifest.counter = counter;
        let payload: BTreeMap<String, Vec<u8>> = good.entries[2..].iter().cloned().collect();
        let bytes = assemble(&manifest, &payload, std::slice::from_ref(&good.key)).unwrap();
        let may = at("2026-05-01T00:00:00Z");
        State::default().accept(&verify(bytes, &may).unwrap(), &may).unwrap().to_bytes().unwrap()
    };
    let numbered = |counter: u64| {
        let mut manifest = good.manifest();
        manifest.counter = counter;
        let payload: BTreeMap<String, Vec<u8>> = good.entries[2..].iter().cloned().collect();
        assemble(&manifest, &payload, std::slice::from_ref(&good.key)).unwrap()
    };
    let damaged = String::from_utf8(after(2))
        .unwrap()
        .replace("\"counter\":2", "\"counter\":2,\"refused\":9");
    let alice = hex_key(&good.key);
    let next = |version, signers: &[SigningKey], class| {
        let text = file(good, version, 1, "");
        let signatures = signature::sign(signers, TRUST_TYPE, text.as_bytes()).unwrap();
        Case::good(class).with("next.toml", text.into_bytes()).with("next.sig", signatures)
    };
    let until = plain.replacen(
        "roles = [\"release\"]",
        "roles = [\"release\"]\nuntil = \"2026-02-01T00:00:00Z\"",
        1,
    );
    vec![
        trusting("below_threshold", file(good, 1, 2, "")),
        trusting("revoked_key", file(good, 1, 1, &format!("\n[revoked]\nkeys = [\"{alice}\"]\n"))),
        trusting(
            "revoked_bundle",
            file(good, 1, 1, &format!("\n[revoked]\nbundles = [\"{id}\"]\n")),
        ),
        trusting("same_key_two_ids", plain.replace(&hex_key(&bob()), &alice)),
        trusting(
            "keyid_lies",
            plain.replacen("roles", &format!("id = \"{}\"\nroles", sha256_hex(b"another")), 1),
        ),
        trusting("bad_trust_file", plain.replace("[threshold]", "[thresholds]")),
        trusting("expired", until),
        Case::good("rollback").with("state.json", after(4)),
        Case::bundle("fast_forward", numbered(5_000_000)).with("state.json", after(2)),
        Case::good("clock_backwards").with("state.json", after(2)).at("2026-04-30T23:59:59Z"),
        Case::good("rejected_state_cached").with("state.json", damaged.into_bytes()),
        next(3, &[carol()], "root_version_skip"),
        next(2, std::slice::from_ref(&good.key), "trust_rotation_unsigned"),
    ]
}
