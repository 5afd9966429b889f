//! Public keys, by the names that they have in trust files and contributors' lists.

use medforge_runtime::bundle::{Trust, sha256_hex};
use serde_json::{Value, json};

use super::{Args, row};
use crate::{Error, output};

pub fn show(args: &Args, bytes: &[u8]) -> Result<(), Error> {
    let refuse = |what: &str| Error::Key { path: args.file.clone(), what: what.into() };
    let text = std::str::from_utf8(bytes).map_err(|_| refuse("is not text in PEM form"))?;
    if text.contains("PRIVATE KEY") {
        return Err(refuse(
            "is a secret key, which is shown to nobody; inspect the public one (NAME.pub)",
        ));
    }
    let keys = Trust::from_pem(text)
        .map_err(|source| Error::TrustFile { path: args.file.clone(), source })?;
    let keys: Vec<[String; 2]> =
        keys.keys().map(|key| [hex::encode(key.as_bytes()), sha256_hex(key.as_bytes())]).collect();
    if args.json {
        let keys: Vec<Value> =
            keys.iter().map(|[key, id]| json!({ "public_key": key, "id": id })).collect();
        return output::print(&format!("{:#}\n", json!({ "keys": keys })));
    }
    let mut text = String::new();
    for [key, id] in keys {
        row(&mut text, "public key", &format!("{key}, Ed25519"));
        row(&mut text, "id", &format!("{id} (SHA-256 of its 32 bytes)"));
    }
    text +=
        "\nWhose key it is, the file does not say: ask its owner to read these digits to you.\n";
    output::print(&text)
}
