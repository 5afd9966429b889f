//! Bundles whose frame is in order and whose contents are not: manifest and signatures, then the
//! payload.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};
use medforge_runtime::bundle::{Description, Manifest, frame, sha256_hex, signature};
use medforge_runtime::tensors::{self, Tensor};

use crate::case::{Case, Good};

const TYPE: &str = <Manifest as Description>::PAYLOAD_TYPE;

pub fn cases(good: &Good) -> Vec<Case> {
    [json(good), signatures(good), tensor_files(good), payload(good)].concat()
}

/// The good bundle with other bytes for its manifest, signed anew by the same key.
fn signed(good: &Good, manifest: &[u8]) -> Vec<u8> {
    let signatures = signature::sign(std::slice::from_ref(&good.key), TYPE, manifest).unwrap();
    with(good, &[("manifest.json", manifest), ("signatures.json", &signatures)])
}

/// The good bundle with some entries replaced, in a frame that fits.
fn with(good: &Good, replaced: &[(&str, &[u8])]) -> Vec<u8> {
    let data = |name: &str, data: &[u8]| -> Vec<u8> {
        replaced.iter().find(|(n, _)| *n == name).map_or(data, |(_, new)| new).to_vec()
    };
    let entries: Vec<(String, Vec<u8>)> =
        good.entries.iter().map(|(n, d)| (n.clone(), data(n, d))).collect();
    write(&entries)
}

fn write(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    frame::write(&entries.iter().map(|(n, d)| (n.as_str(), d.as_slice())).collect::<Vec<_>>())
        .unwrap()
}

fn json(good: &Good) -> Vec<Case> {
    let text = String::from_utf8(good.entry("manifest.json").to_vec()).unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        signed(good, text.replacen(from, to, 1).as_bytes())
    };
    let card = good.entry("model_card.md");
    let mut other = card.to_vec();
    other[0] ^= 1;
    let without: Vec<_> =
        good.entries.iter().filter(|(n, _)| n != "model_card.md").cloned().collect();
    let mut more = good.entries.clone();
    more.push(("zz".into(), b"data".to_vec()));
    let mut not_utf8 = text.clone().into_bytes();
    let at = text.find("\"name\":\"").unwrap() + 8;
    not_utf8[at] = 0xff;
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let huge = format!("\"intended_use\":\"{}", "x".repeat(8 << 20));
    // Signed as a contribution.
    let contribution = "application/vnd.medforge.contribution+json";
    let confused =
        signature::sign(std::slice::from_ref(&good.key), contribution, text.as_bytes()).unwrap();
    // Another bundle's manifest, with this one's signatures.
    let another = text.replacen("\"counter\":3", "\"counter\":4", 1);
    assert_ne!(another, text);
    let mut cases = vec![
        Case::bundle("dup_json_key", replaced("\"counter\":3", "\"counter\":3,\"counter\":4")),
        Case::bundle("unknown_field", replaced("\"counter\":3", "\"counter\":3,\"countess\":4")),
        Case::bundle("unknown_format_version", replaced("\"version\":1}", "\"version\":2}")),
        Case::bundle("deep_json", replaced("\"counter\":3", &format!("\"counter\":{deep}"))),
        Case::bundle("not_utf8", signed(good, &not_utf8)),
        Case::bundle("noncanonical", replaced("\"counter\":3", "\"counter\": 3")),
        Case::bundle("bad_json", replaced("\"counter\":3", "\"counter\":\"3\"")),
        Case::bundle("contradiction", replaced("\"mode\":\"fusion\"", "\"mode\":\"routed\"")),
        Case::bundle("missing_entry", write(&without)),
        Case::bundle("extra_entry", write(&more)),
        Case::bundle("hash_mismatch", with(good, &[("model_card.md", &other)])),
        Case::bundle("length_mismatch", with(good, &[("model_card.md", &card[1..])])),
        Case::bundle("type_confusion", with(good, &[("signatures.json", &confused)])),
        Case::bundle("mixed_bundles", with(good, &[("manifest.json", another.as_bytes())])),
    ];
    cases.push(Case::bundle("json_too_large", replaced("\"intended_use\":\"", &huge)).unkept());
    cases
}

fn signatures(good: &Good) -> Vec<Case> {
    let manifest = good.entry("manifest.json");
    let text = String::from_utf8(good.entry("signatures.json").to_vec()).unwrap();
    let message =
        [format!("DSSEv1 {} {TYPE} {} ", TYPE.len(), manifest.len()).as_bytes(), manifest].concat();
    let ours = hex::encode(good.key.verifying_key().to_bytes());
    let signature = good.key.sign(&message).to_bytes();
    assert!(text.contains(&hex::encode(signature)));
    let entry = |key: &str, signature: &str| {
        format!("{{\"public_key\":\"{key}\",\"signature\":\"{signature}\"}}")
    };
    let file = |entries: &[String]| {
        let text =
            format!("{{\"payload_type\":\"{TYPE}\",\"signatures\":[{}]}}", entries.join(","));
        with(good, &[("signatures.json", text.as_bytes())])
    };
    let identity = format!("01{}", "00".repeat(31));
    let mut small_r = signature;
    small_r[..32].copy_from_slice(&hex::decode(&identity).unwrap());
    let plus_l = plus_order(signature);
    let good_entry = entry(&ours, &hex::encode(signature));
    // p + 18 in place of 18: values from p on encode points a second time (RFC 8032, section
    // 5.1.3).
    let noncanonical = "ff".repeat(32);
    let mut sorted: Vec<String> = (0..65_u8)
        .map(|n| {
            let key = SigningKey::from_bytes(&[n.wrapping_add(100); 32]);
            entry(
                &hex::encode(key.verifying_key().to_bytes()),
                &hex::encode(key.sign(&message).to_bytes()),
            )
        })
        .collect();
    sorted.sort();
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let strange = signature::sign(std::slice::from_ref(&stranger), TYPE, manifest).unwrap();
    vec![
        Case::bundle("unsigned", file(&[])),
        Case::bundle("wrong_key", with(good, &[("signatures.json", &strange)])),
        Case::bundle(
            "weak_key",
            file(&[entry(&identity, &format!("{identity}{}", "00".repeat(32)))]),
        ),
        Case::bundle("small_order_r", file(&[entry(&ours, &hex::encode(small_r))])),
        Case::bundle("noncanonical_a", file(&[entry(&noncanonical, &hex::encode(signature))])),
        Case::bundle("s_plus_l", file(&[entry(&ours, &hex::encode(plus_l))])),
        Case::bundle("bad_length", file(&[entry(&ours, &hex::encode(&signature[..63]))])),
        Case::bundle("dup_signature_threshold", file(&[good_entry.clone(), good_entry])),
        Case::bundle("too_many_signatures", file(&sorted)),
        Case::bundle(
            "bad_signatures",
            file(&[entry(&ours.to_uppercase(), &hex::encode(signature))]),
        ),
    ]
}

/// The signature with the group's order added to its second half: another spelling of the same.
fn plus_order(signature: [u8; 64]) -> [u8; 64] {
    let mut plus = signature;
    let order =
        hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (digit, add) in plus[32..].iter_mut().zip(&order) {
        let sum = u16::from(*digit) + u16::from(*add) + carry;
        (*digit, carry) = (sum as u8, sum >> 8);
    }
    plus
}

/// Tensor files of one entry that break the rules of the format.
fn tensor_files(good: &Good) -> Vec<Case> {
    let head = good.names().find(|n| n.starts_with("heads/")).unwrap().to_owned();
    let forged = |class, entry: &str, bytes: Vec<u8>| {
        Case::bundle(class, resigned(good, entry, bytes, |_| ()))
    };
    let header = |text: &str, data: usize| {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &vec![0; data]].concat()
    };
    let tensor = |name: &str, shape: &str, from: usize, to: usize| {
        format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{from},{to}]}}")
    };
    let st = |class, text: String, data| forged(class, &head, header(&text, data));
    let value = |class, bits: u32| {
        let mut bytes = good.entry(&head).to_vec();
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&bits.to_le_bytes());
        forged(class, &head, bytes)
    };
    vec![
        st(
            "st_overlap",
            format!("{{{},{}}}", tensor("bias", "[2]", 0, 8), tensor("weight", "[2]", 4, 12)),
            12,
        ),
        st(
            "st_hole",
            format!("{{{},{}}}", tensor("bias", "[2]", 0, 8), tensor("weight", "[2]", 12, 20)),
            20,
        ),
        st("st_trailing", format!("{{{}}}", tensor("bias", "[2]", 0, 8)), 12),
        st(
            "st_dup_key",
            format!("{{{},{}}}", tensor("bias", "[2]", 0, 8), tensor("bias", "[2]", 0, 8)),
            8,
        ),
        st(
            "st_shape_overflow",
            format!("{{{}}}", tensor("bias", "[4294967296,4294967296]", 0, 8)),
            8,
        ),
        forged("st_huge_header", &head, [&u64::MAX.to_le_bytes()[..], b"{}"].concat()),
        forged("st_malformed", &head, header("{\"bias\":", 0)),
        st("st_unusable", format!("{{{}}}", tensor("bias", "[0]", 0, 0)), 0),
        value("nan_weight", f32::NAN.to_bits()),
        value("inf_weight", f32::INFINITY.to_bits()),
    ]
}

/// One payload entry changed by somebody who may sign: lengths, digests and the manifest all agree
/// with it.
fn payload(good: &Good) -> Vec<Case> {
    let module = good.names().find(|n| n.starts_with("modules/")).unwrap().to_owned();
    let forged = |class, entry: &str, bytes: Vec<u8>| {
        Case::bundle(class, resigned(good, entry, bytes, |_| ()))
    };
    let changed = |class, entry: &str, change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut all = tensors::read(good.entry(entry), entry).unwrap();
        change(&mut all);
        let bytes =
            tensors::write(all.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap();
        forged(class, entry, bytes)
    };
    let first = |all: &BTreeMap<String, Tensor>| all.keys().next().unwrap().clone();
    let onnx = good.entry("base.onnx");
    vec![
        Case::bundle("module_wrong_base", {
            let mut manifest = good.manifest();
            manifest.modules[0].base = sha256_hex(b"another base");
            signed(good, &serde_json_canonicalizer::to_vec(&manifest).unwrap())
        }),
        changed("module_wrong_shape", &module, &|all| {
            let tensor = all.get_mut(&first(all)).unwrap();
            tensor.shape = vec![tensor.data.len(), 1];
        }),
        Case::bundle(
            "module_unknown_site",
            resigned(good, &module, good.entry(&module).to_vec(), |m| {
                m.modules[0].sites[0] = "blocks.0.attn.nothing".into();
            }),
        ),
        changed("tensors_misfit", &module, &|all| drop(all.remove(&first(all)))),
        forged("onnx_malformed", "base.onnx", onnx[..onnx.len() / 2].to_vec()),
        forged("onnx_external_data_path", "base.onnx", external(onnx)),
        forged("onnx_refused", "base.onnx", replaced(onnx, b"Softmax", b"SoftMax")),
        changed("golden_mismatch", "golden.safetensors", &|all| {
            all.iter_mut()
                .filter(|(n, _)| n.starts_with("probabilities."))
                .for_each(|(_, t)| t.data.reverse());
        }),
    ]
}

/// The good bundle with another payload entry, told truly by a manifest that is signed.
fn resigned(
    good: &Good,
    entry: &str,
    bytes: Vec<u8>,
    change: impl FnOnce(&mut Manifest),
) -> Vec<u8> {
    let mut manifest = good.manifest();
    let mut payload: Vec<(String, Vec<u8>)> = good.entries[2..].to_vec();
    let name = if entry.starts_with("modules/") {
        format!("modules/{}.safetensors", sha256_hex(&bytes))
    } else {
        entry.to_owned()
    };
    if name != entry {
        let module = manifest.modules.iter_mut().find(|m| m.entry == entry).unwrap();
        let (before, after) = (module.id.clone(), sha256_hex(&bytes));
        (module.id, module.entry) = (after.clone(), name.clone());
        let parts = manifest.compositions.iter_mut().flat_map(|c| &mut c.parts);
        parts.filter(|p| p.module == before).for_each(|p| p.module = after.clone());
    }
    for (n, d) in &mut payload {
        if n == entry {
            (*n, *d) = (name.clone(), bytes.clone());
        }
    }
    change(&mut manifest);
    let payload: BTreeMap<String, Vec<u8>> = payload.into_iter().collect();
    manifest.entries = medforge_runtime::bundle::list(&payload);
    medforge_runtime::bundle::assemble(&manifest, &payload, std::slice::from_ref(&good.key))
        .unwrap()
}

/// `bytes` with the first `from` replaced by as many bytes.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// A graph whose first initialiser names a file.
fn external(onnx: &[u8]) -> Vec<u8> {
    use prost::Message;
    let mut model = medforge_runtime::onnx::ModelProto::decode(onnx).unwrap();
    let pair = medforge_runtime::onnx::StringStringEntryProto {
        key: "location".into(),
        value: "/etc/passwd".into(),
    };
    model.graph.as_mut().unwrap().initializer[0].external_data.push(pair);
    model.encode_to_vec()
}
