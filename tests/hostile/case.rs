//! The good bundle, and a case that is made of it: its files, and what it is refused as.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use medforge_runtime::Class;
use medforge_runtime::bundle::{Manifest, frame};
use serde::Deserialize;

/// The good bundle, taken apart.
pub struct Good {
    pub bytes: Vec<u8>,
    pub entries: Vec<(String, Vec<u8>)>,
    pub key: SigningKey,
}

impl Good {
    pub fn open() -> Self {
        let bytes = fs::read(corpus().join("good.medforge")).unwrap();
        let entries = frame::parse(&bytes).unwrap();
        let entries =
            entries.into_iter().map(|(name, range)| (name, bytes[range].to_vec())).collect();
        Good { bytes, entries, key: SigningKey::from_bytes(&[1; 32]) }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    pub fn place(&self, name: &str) -> usize {
        self.names().position(|n| n == name).unwrap()
    }

    pub fn entry(&self, name: &str) -> &[u8] {
        &self.entries[self.place(name)].1
    }

    pub fn manifest(&self) -> Manifest {
        serde_json::from_slice(self.entry("manifest.json")).unwrap()
    }
}

/// One folder: its name, its class, its files, when it is checked.
#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    pub class: &'static str,
    /// Whether it is kept as files: some would be megabytes of nothing.
    pub kept: bool,
    files: BTreeMap<&'static str, Vec<u8>>,
    now: String,
}

impl Case {
    /// The good bundle, to be refused for what goes with it.
    pub fn good(class: &'static str) -> Self {
        Case {
            name: class,
            class,
            kept: true,
            files: BTreeMap::new(),
            now: "2026-06-01T00:00:00Z".into(),
        }
    }

    pub fn bundle(class: &'static str, bytes: Vec<u8>) -> Self {
        Case::good(class).with("bundle.medforge", bytes)
    }

    pub fn with(mut self, name: &'static str, bytes: Vec<u8>) -> Self {
        self.files.insert(name, bytes);
        self
    }

    pub fn called(self, name: &'static str) -> Self {
        Case { name, ..self }
    }

    pub fn unkept(self) -> Self {
        Case { kept: false, ..self }
    }

    pub fn at(mut self, now: &str) -> Self {
        self.now = now.into();
        self
    }

    pub fn all_files(&self) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
        self.files
            .iter()
            .map(|(name, bytes)| (*name, bytes.clone()))
            .chain([("case.json", self.description())])
    }

    pub fn write(&self, folder: &Path) {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
        self.all_files().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
    }

    pub fn description(&self) -> Vec<u8> {
        let place = |name: &str, default: Option<&str>| {
            if self.files.contains_key(name) {
                Some(name.to_owned())
            } else {
                default.map(str::to_owned)
            }
        };
        let class = class(self.class);
        let value = serde_json::json!({
            "refused_as": self.class,
            "meaning": class.meaning(),
            "bundle": place("bundle.medforge", Some("../good.medforge")),
            "trust": place("trust.toml", Some("../trust.toml")),
            "state": place("state.json", None),
            "next": place("next.toml", None),
            "signatures": place("next.sig", None),
            "now": self.now,
        });
        format!("{value:#}\n").into_bytes()
    }
}

/// What `case.json` says.
#[derive(Deserialize)]
pub struct Description {
    pub refused_as: String,
    pub bundle: String,
    pub trust: String,
    pub state: Option<String>,
    pub next: Option<String>,
    pub signatures: Option<String>,
    pub now: String,
}

pub fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus")
}

pub fn class(name: &str) -> Class {
    Class::ALL
        .iter()
        .find(|(_, n, _)| *n == name)
        .unwrap_or_else(|| panic!("there is no class {name}"))
        .0
}

pub fn hex_key(key: &SigningKey) -> String {
    hex::encode(key.verifying_key().to_bytes())
}
