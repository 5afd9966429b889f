//! An open forge: how it is created and opened, and its root.

use std::collections::BTreeMap;
use std::path::Path;

use ed25519_dalek::{SigningKey, VerifyingKey};
use medforge_runtime::bundle::{self, Description, Trust};

use super::objects::{ITEMS, MAX_RECORD, OBJECTS, PUSHES, ROOT, object, put};
use super::root::{Root, key_of};
use super::store::Store;
use crate::base::{Identity, Vit};
use crate::contribution::{Manifest, tool};
use crate::{Error, output};

/// An open forge.
pub struct Forge {
    pub(super) store: Store,
    pub(super) root: Root,
    /// The root's id, which the first item names.
    pub(super) id: String,
    /// The key that its items are verified with.
    pub(super) key: Trust,
    /// The keys that its contributions are verified with: any contributor's.
    pub(super) contributors: Trust,
    pub(super) base: Identity,
}

/// What errors call the place of the base's files.
const BASE: &str = "the forge's base";

impl Forge {
    /// Creates a forge for `base` at `place`. `contributors` may push to it, and `key` signs its
    /// items.
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

    /// Opens the forge at `place`. With `trust`, the forge's key must be one of those; without it,
    /// any key will do.
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
            key_of(hex).ok_or_else(refuse)
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

    /// The forge's signed description.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The base without its weights: enough to tell whether a module belongs to it.
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

    /// Refuses a contribution whose contributor is unknown to the forge, or did not sign it.
    pub(super) fn check_signer(
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
    pub(super) fn check_key(&self, key: &SigningKey) -> Result<(), Error> {
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
