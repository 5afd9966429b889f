//! The forge: where contributions come together, one after another, into forge items v1, v2, ...
//!
//! A forge is a store (a folder or a bucket) in which nothing is ever changed:
//!
//! ```text
//! forge.zip            the base, who may contribute, the forge's key; signed by it
//! objects/<sha256>     bytes by what they are
//! pushes/000001.zip    a contribution's signed manifest; its entries are objects
//! items/000001.zip     a forge item, signed by the forge's key; its content is an object
//! ```
//!
//! Writing stores objects first, then creates the next number. Of several who create the same
//! number one succeeds; the others read what is new, check again and take the next. So a process
//! may stop at any point, and any number of them may run at once.
//!
//! The method that merges is handed in ([`Merge`]): the forge is store and history.

use std::collections::BTreeMap;
use std::path::Path;

use ed25519_dalek::{SigningKey, VerifyingKey};
use medforge_runtime::bundle::{self, Description, Signed, Trust};
use medforge_runtime::tensors::Tensor;
use serde_json::Value;

use crate::base::{Identity, Vit};
use crate::contribution::{Manifest, tool};
use crate::data::Condensed;
use crate::lora::{Head, Module};
use crate::{Error, output};

pub mod compare;
mod item;
mod members;
mod merge;
mod push;
pub mod recipe;
mod records;
mod root;
mod store;
#[cfg(test)]
mod tests;
mod verify;

pub use item::{Content, Item, Kind, Member, Object};
pub use merge::Methods;
use records::{MAX_RECORD, numbered};
pub use root::{Root, read_contributors};
pub use store::Store;
pub use verify::Report;

/// A method that merges the members of a forge item. What it gives depends on nothing but its
/// settings, the previous model and the members: the same bytes every time, on every machine that
/// rebuilds the item.
pub trait Merge {
    /// The method's name and all of its settings, seed included. Recorded with the item, from which
    /// the method is made again.
    fn settings(&self) -> Value;

    /// Whether a merge goes on from the previous item's model. If not, `previous` is never given,
    /// and no model in between is made when members leave.
    fn sequential(&self) -> bool {
        true
    }

    /// Whether it goes on from a model that was made with `settings`; else the models in between
    /// are made anew.
    fn goes_on_from(&self, settings: &Value) -> bool {
        let _ = settings;
        self.sequential()
    }

    /// The model of all `members`, of which the last is new, given the model of those before it. At
    /// least one member.
    fn merge(&self, previous: Option<&Made>, members: &dyn Members) -> Result<Made, Error>;
}

/// The members of an item to be made, read from the store when asked for.
pub trait Members {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// `CONTRIBUTOR/TASK`.
    fn name(&self, i: usize) -> &str;
    /// The contribution's id.
    fn digest(&self, i: usize) -> &str;
    fn module(&self, i: usize) -> Result<Module, Error>;
    fn condensed(&self, i: usize) -> Result<Condensed, Error>;
    /// The module's head alone.
    fn head(&self, i: usize) -> Result<Head, Error>;
    /// What was pushed up to the number `until` and is no member yet, one a task; of several of one
    /// name the newest.
    fn later(&self, until: u64) -> Result<Vec<Known>, Error>;
    /// By site, where the contributor gave them.
    fn grams(&self, i: usize) -> Result<Option<BTreeMap<String, Tensor>>, Error>;
}

/// A task with its head and its condensed set.
pub struct Known {
    /// The contribution's id.
    pub id: String,
    pub task: String,
    pub head: Head,
    pub set: Condensed,
}

/// What a method makes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Made {
    /// Weights, search trace and whatever else explains the result.
    pub record: Value,
    /// The model, by file name (`a-z 0-9 . _ / -`).
    pub files: BTreeMap<String, Vec<u8>>,
}

/// An open forge.
pub struct Forge {
    store: Store,
    root: Root,
    /// The root's id, which the first item names.
    id: String,
    /// What its items are verified with.
    key: Trust,
    /// What its contributions are verified with: any contributor's key.
    contributors: Trust,
    base: Identity,
}

/// A contribution that was pushed: its signed manifest.
pub struct Pushed {
    pub number: u64,
    pub signed: Signed<Manifest>,
    envelope: Vec<u8>,
}

/// Numbers have six digits.
const MAX_NUMBER: u64 = 999_999;
const ROOT: &str = "forge.zip";
const PUSHES: &str = "pushes";
const ITEMS: &str = "items";
const OBJECTS: &str = "objects";
/// What the base's files are called in messages.
const BASE: &str = "the forge's base";

impl Forge {
    /// Makes a forge for `base` at `place`, to which `contributors` may push and whose items `key`
    /// signs.
    ///
    /// # Errors
    /// [`Error::ForgeExists`], [`Error::ForgeFolder`], [`Error::ForgeStore`].
    pub fn init(
        place: &str,
        base: &Vit,
        contributors: &BTreeMap<String, VerifyingKey>,
        key: &SigningKey,
    ) -> Result<Self, Error> {
        let store = Store::open(place, true)?;
        let top = store.top()?;
        if top.contains(ROOT) {
            return Err(Error::ForgeExists { place: place.to_owned() });
        }
        if let Some(name) = top.iter().find(|name| *name != OBJECTS) {
            return Err(Error::ForgeFolder { place: place.to_owned(), name: name.clone() });
        }
        let mut files = BTreeMap::new();
        for (name, bytes) in base.files()? {
            files.insert(name.to_owned(), bytes);
        }
        let root = Root {
            format: Root::FORMAT.into(),
            version: Root::VERSION,
            created: output::now(),
            base_digest: base.digest(),
            base: bundle::list(&files),
            contributors: contributors
                .iter()
                .map(|(name, key)| (name.clone(), hex::encode(key.as_bytes())))
                .collect(),
            key: hex::encode(key.verifying_key().as_bytes()),
            tool: tool(),
        };
        let signed = bundle::assemble(&root, &BTreeMap::new(), std::slice::from_ref(key))?;
        for bytes in files.into_values() {
            put(&store, bytes)?;
        }
        if store.create(ROOT, signed)? {
            Self::open(place, None)
        } else {
            Err(Error::ForgeExists { place: place.to_owned() })
        }
    }

    /// Opens the forge at `place`. Without `trust`, its key is the one that it names itself; with
    /// it, one of those.
    ///
    /// # Errors
    /// [`Error::NoForge`], [`Error::ForgeRecord`], [`Error::ForgeStore`].
    pub fn open(place: &str, trust: Option<&Trust>) -> Result<Self, Error> {
        let store = Store::open(place, false)?;
        let Some(bytes) = store.read(ROOT, MAX_RECORD)? else {
            return Err(if store.top()?.iter().any(|name| [PUSHES, ITEMS].contains(&&name[..])) {
                Error::ForgeHistory { what: format!("{ROOT} is missing") }
            } else {
                Error::NoForge { place: place.to_owned() }
            });
        };
        let refuse = |source| Error::ForgeRecord { name: ROOT.into(), source };
        if let Some(trust) = trust {
            bundle::open::<Root>(bytes.clone(), trust).map_err(refuse)?;
        }
        let opened = bundle::open_unverified::<Root>(bytes).map_err(refuse)?;
        let root = opened.manifest().clone();
        let trusted = |hex: &String| {
            let refuse =
                || Error::ForgeHistory { what: format!("{ROOT} holds {hex}, which is no key") };
            root::key_of(hex).ok_or_else(refuse)
        };
        let key = trusted(&root.key)?;
        if !opened.signers().contains(&key) {
            return Err(Error::ForgeHistory {
                what: format!("{ROOT} is not signed by the key that it names"),
            });
        }
        let contributors =
            root.contributors.values().map(trusted).collect::<Result<Vec<_>, _>>()?;
        let base = Identity::read(
            Path::new(BASE),
            |name| base_file(&store, &root, name),
            &root.base_digest,
        )?;
        let (key, contributors) = (Trust::new(vec![key], 1)?, Trust::new(contributors, 1)?);
        Ok(Forge { store, root, id: opened.id().to_owned(), key, contributors, base })
    }

    /// What the forge says of itself.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What tells whether a module belongs to the forge's base.
    pub fn identity(&self) -> &Identity {
        &self.base
    }

    /// The base, with its weights.
    pub fn base(&self) -> Result<Vit, Error> {
        let base = Vit::read(Path::new(BASE), |name| base_file(&self.store, &self.root, name))?;
        let (found, named) = (base.digest(), &self.root.base_digest);
        if found == *named {
            Ok(base)
        } else {
            Err(Error::OtherBase { path: BASE.into(), module: named.clone(), base: found })
        }
    }

    /// Whether the contributor that a contribution names is one of the forge's, and has signed it.
    fn check_signer(
        &self,
        path: &Path,
        manifest: &Manifest,
        signers: &[VerifyingKey],
    ) -> Result<(), Error> {
        let contributor = &manifest.contributor;
        let Some(key) = self.root.contributors.get(contributor) else {
            return Err(Error::UnknownContributor {
                path: path.to_owned(),
                contributor: contributor.clone(),
            });
        };
        if signers.iter().any(|signer| hex::encode(signer.as_bytes()) == *key) {
            Ok(())
        } else {
            Err(Error::OthersKey { path: path.to_owned(), contributor: contributor.clone() })
        }
    }

    /// Refuses a key that is not the forge's.
    fn check_key(&self, key: &SigningKey) -> Result<(), Error> {
        if hex::encode(key.verifying_key().as_bytes()) == self.root.key {
            Ok(())
        } else {
            Err(Error::ForgeKey { key: self.root.key.clone() })
        }
    }
}

fn base_file(store: &Store, root: &Root, name: &str) -> Result<Vec<u8>, Error> {
    match root.base.iter().find(|entry| entry.name == name) {
        Some(entry) => object(store, &entry.sha256, entry.length),
        None => Err(Error::ForgeHistory { what: format!("{ROOT} lists no {name}") }),
    }
}

fn put(store: &Store, bytes: Vec<u8>) -> Result<Object, Error> {
    let found = Object::of(&bytes);
    if !store.create(&format!("{OBJECTS}/{}", found.sha256), bytes)? {
        // What is there under this name may have been changed since.
        object(store, &found.sha256, found.length)?;
    }
    Ok(found)
}

fn object(store: &Store, sha256: &str, length: u64) -> Result<Vec<u8>, Error> {
    let refuse = |what: String| Error::ForgeObject { sha256: sha256.to_owned(), what };
    let bytes = store
        .read(&format!("{OBJECTS}/{sha256}"), length)?
        .ok_or_else(|| refuse("is missing".into()))?;
    let found = Object::of(&bytes);
    if found.sha256 == sha256 && found.length == length {
        Ok(bytes)
    } else {
        Err(refuse(format!("was changed: its SHA-256 is {}", found.sha256)))
    }
}
