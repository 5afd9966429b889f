//! Keys: what comes back, and what is refused before it costs anything.

use std::fs;

use super::*;

#[test]
fn keys_come_back_and_are_never_the_same() {
    let place = tempfile::tempdir().unwrap();
    let (one, two) = (generate().unwrap(), generate().unwrap());
    assert_ne!(one.to_bytes(), two.to_bytes());
    let (secret, public) = (place.path().join("k.key"), place.path().join("k.pub"));
    fs::write(&secret, to_pem(&one).secret).unwrap();
    fs::write(&public, to_pem(&one).public).unwrap();
    assert_eq!(read_secret(&secret).unwrap().to_bytes(), one.to_bytes());
    assert!(read_trust(&public).is_ok());
    assert!(read_secret(&public).unwrap_err().to_string().contains("is no Ed25519 secret key"));
    assert!(read_trust(&secret).unwrap_err().to_string().contains("k.key"));
}

#[test]
fn an_encrypted_key_opens_with_its_pass_phrase_alone() {
    let key = generate().unwrap();
    let pem = to_encrypted_pem(&key, "correct horse").unwrap();
    assert!(pem.secret.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let opened = SigningKey::from_pkcs8_encrypted_pem(&pem.secret, "correct horse").unwrap();
    assert_eq!(opened.to_bytes(), key.to_bytes());
    assert!(SigningKey::from_pkcs8_encrypted_pem(&pem.secret, "battery staple").is_err());
}

/// `keys.sh` beside this file made the keys with openssl, and changed bytes of the costly ones.
#[test]
fn keys_that_cost_without_measure_are_refused_before_the_work() {
    for pem in [include_str!("scrypt.pem"), include_str!("pbkdf2.pem"), include_str!("million.pem")]
    {
        assert_eq!(check_cost(pem), Ok(()));
    }
    for pem in [
        include_str!("scrypt_512_mib.pem"),
        include_str!("scrypt_p.pem"),
        include_str!("rounds.pem"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("k.key");
        fs::write(&path, pem).unwrap();
        // What this thread worked, not what a busy machine let it wait.
        let start = cpu_time::ThreadTime::now();
        let error = read_secret(&path).unwrap_err().to_string();
        let took = start.elapsed();
        assert!(error.contains("asks for more than 256 MiB or 10,000,000 rounds"), "{error}");
        assert!(took.as_secs() < 1, "{took:?}");
    }
    assert!(check_cost("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n").is_err());
}
