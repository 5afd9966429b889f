//! `sbom.json` (CycloneDX 1.6): every crate of the program that packs a bundle and of the runtime
//! that reads it, with its version, source and SHA-256, from Cargo.lock.
//!
//! Cargo.lock does not tell normal dependencies from those of tests, builds or single platforms:
//! the list has all.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

/// What cargo resolved when this program was built.
const LOCK: &str = include_str!("../../../Cargo.lock");
/// The crates whose dependencies are listed.
const ROOTS: [&str; 2] = ["medforge-packer", "medforge-runtime"];

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// The document, the same bytes for the same Cargo.lock.
pub fn sbom() -> Vec<u8> {
    document(LOCK).to_string().into_bytes()
}

fn document(lock: &str) -> Value {
    let lock: Lock = toml::from_str(lock).expect("cargo wrote Cargo.lock");
    let known: BTreeMap<(&str, &str), &Package> =
        lock.package.iter().map(|p| ((p.name.as_str(), p.version.as_str()), p)).collect();
    // Cargo writes "name" where there is one version, else "name version".
    let find = |dependency: &str| {
        let mut words = dependency.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        let of_name = known.range((name, "")..).take_while(|((n, _), _)| *n == name);
        of_name.map(|(_, package)| *package).find(|p| version.is_none_or(|v| p.version == v))
    };
    let mut reached: BTreeMap<String, &Package> = BTreeMap::new();
    let mut to_visit: Vec<&Package> = ROOTS.iter().filter_map(|name| find(name)).collect();
    while let Some(package) = to_visit.pop() {
        if reached.insert(reference(package), package).is_none() {
            to_visit.extend(package.dependencies.iter().filter_map(|d| find(d)));
        }
    }
    let component = |package: &&Package| {
        let mut component = json!({
            "type": if ROOTS.contains(&package.name.as_str()) { "application" } else { "library" },
            "bom-ref": reference(package),
            "name": package.name,
            "version": package.version,
            "purl": reference(package),
        });
        if let Some(checksum) = &package.checksum {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    };
    let depends = |package: &&Package| {
        let on: BTreeSet<String> =
            package.dependencies.iter().filter_map(|d| find(d)).map(reference).collect();
        json!({ "ref": reference(package), "dependsOn": on })
    };
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": { "type": "application", "bom-ref": "medforge",
            "name": "medforge", "version": version } },
        "components": reached.values().map(component).collect::<Vec<_>>(),
        "dependencies": reached.values().map(depends).collect::<Vec<_>>(),
    })
}

/// A package URL (purl-spec, type cargo).
fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_that_is_reached_is_listed_once_with_its_digest() {
        let lock = r#"
            [[package]]
            name = "medforge-packer"
            version = "0.1.0"
            dependencies = ["a", "b 2.0.0", "medforge-runtime"]
            [[package]]
            name = "medforge-runtime"
            version = "0.1.0"
            dependencies = ["a"]
            [[package]]
            name = "a"
            version = "1.0.0"
            checksum = "aa"
            dependencies = ["b 1.0.0"]
            [[package]]
            name = "b"
            version = "1.0.0"
            [[package]]
            name = "b"
            version = "2.0.0"
            [[package]]
            name = "unreached"
            version = "1.0.0"
        "#;
        let document = document(lock);
        let names: Vec<_> = document["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["purl"].as_str().unwrap())
            .collect();
        let expected =
            ["a@1.0.0", "b@1.0.0", "b@2.0.0", "medforge-packer@0.1.0", "medforge-runtime@0.1.0"];
        assert_eq!(names, expected.map(|name| format!("pkg:cargo/{name}")));
        assert_eq!(document["components"][0]["hashes"][0]["content"], "aa");
        assert_eq!(document["dependencies"][0]["dependsOn"], json!(["pkg:cargo/b@1.0.0"]));
    }

    #[test]
    fn this_program_is_made_of_what_it_says() {
        let document = document(LOCK);
        let has = |name: &str| {
            document["components"].as_array().unwrap().iter().any(|c| c["name"] == name)
        };
        assert!(has("medforge-runtime") && has("pulp") && has("ed25519-dalek") && has("wgpu"));
        assert_eq!(sbom(), sbom());
    }
}
