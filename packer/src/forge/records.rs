//! Reading a forge: items, contents, pushes. Every signature and digest is checked first.

use std::collections::BTreeSet;
use std::path::Path;

use medforge_runtime::bundle::description::from_canonical;
use medforge_runtime::bundle::{self, Signed, Verified};

use super::objects::{ITEMS, MAX_RECORD, PUSHES, numbered, object};
use super::{Content, Forge, Item, ItemModel, Object};
use crate::Error;
use crate::contribution::Manifest;

/// A contribution that was pushed: its signed manifest.
pub struct Pushed {
    pub number: u64,
    pub signed: Signed<Manifest>,
    pub(super) envelope: Vec<u8>,
}

impl Forge {
    /// All items, in the order of their numbers.
    pub fn items(&self) -> Result<Vec<Verified<Item>>, Error> {
        let newest = self.newest(ITEMS)?;
        let names: Vec<_> = (1..=newest).map(|number| numbered(ITEMS, number)).collect();
        let records = self.store.read_all(&names, MAX_RECORD)?;
        (1..).zip(records).map(|(number, bytes)| self.parse_item(number, bytes)).collect()
    }

    /// The newest item, if there is one.
    pub fn tip(&self) -> Result<Option<Verified<Item>>, Error> {
        match self.newest(ITEMS)? {
            0 => Ok(None),
            number => self.item(number).map(Some),
        }
    }

    /// The item `number`.
    ///
    /// # Errors
    /// [`Error::NoItem`], [`Error::ForgeRecord`].
    pub fn item(&self, number: u64) -> Result<Verified<Item>, Error> {
        let bytes = self.store.read(&numbered(ITEMS, number), MAX_RECORD)?;
        if bytes.is_none() {
            let newest = self.newest(ITEMS)?;
            if number == 0 || number > newest {
                return Err(Error::NoItem { number, newest });
            }
        }
        self.parse_item(number, bytes)
    }

    /// The content of an item.
    pub fn content(&self, item: &Item) -> Result<Content, Error> {
        let name = format!("the content of v{}", item.number);
        let bytes = self.object(&item.content)?;
        let content: Content = from_canonical(&bytes, &name)?;
        content.check()?;
        if content.members.len() as u64 == item.members {
            Ok(content)
        } else {
            Err(Error::ForgeHistory {
                what: format!("{name} has not the number of members that v{} says", item.number),
            })
        }
    }

    /// The model of an item.
    pub fn stored_model(&self, content: &Content) -> Result<ItemModel, Error> {
        let files = content.files.iter().map(|(name, file)| Ok((name.clone(), self.object(file)?)));
        Ok(ItemModel {
            record: content.record.clone(),
            files: files.collect::<Result<_, Error>>()?,
        })
    }

    /// The signed manifests of all contributions that were pushed, in the order of their numbers.
    pub fn pushes(&self) -> Result<Vec<Pushed>, Error> {
        self.pushes_after(0)
    }

    /// The same for those that came after the push `number`.
    pub fn pushes_after(&self, number: u64) -> Result<Vec<Pushed>, Error> {
        let numbers = number + 1..=self.newest(PUSHES)?;
        let names: Vec<_> = numbers.clone().map(|number| numbered(PUSHES, number)).collect();
        let records = self.store.read_all(&names, MAX_RECORD)?;
        numbers.zip(records).map(|(number, bytes)| self.parse_push(number, bytes)).collect()
    }

    /// The signed manifest of the contribution that was pushed as `number`.
    pub fn pushed(&self, number: u64) -> Result<Pushed, Error> {
        self.parse_push(number, self.store.read(&numbered(PUSHES, number), MAX_RECORD)?)
    }

    /// The bytes of an object of the store.
    pub fn object(&self, of: &Object) -> Result<Vec<u8>, Error> {
        object(&self.store, &of.sha256, of.length)
    }

    pub(super) fn parse_item(
        &self,
        number: u64,
        bytes: Option<Vec<u8>>,
    ) -> Result<Verified<Item>, Error> {
        let name = numbered(ITEMS, number);
        let bytes =
            bytes.ok_or_else(|| Error::ForgeHistory { what: format!("{name} is missing") })?;
        let item = bundle::open::<Item>(bytes, &self.key)
            .map_err(|source| Error::ForgeRecord { name, source })?;
        if item.manifest().number == number {
            Ok(item)
        } else {
            Err(Error::ForgeHistory {
                what: format!("item {number} says that it is v{}", item.manifest().number),
            })
        }
    }

    fn parse_push(&self, number: u64, bytes: Option<Vec<u8>>) -> Result<Pushed, Error> {
        let name = numbered(PUSHES, number);
        let envelope =
            bytes.ok_or_else(|| Error::ForgeHistory { what: format!("{name} is missing") })?;
        let signed = bundle::open_envelope::<Manifest>(&envelope, &self.contributors);
        let signed = signed.map_err(|source| Error::ForgeRecord { name: name.clone(), source })?;
        self.check_signer(Path::new(&name), signed.description(), signed.signers())?;
        Ok(Pushed { number, signed, envelope })
    }

    /// The largest number in a folder, 0 if there is none. Numbers have no gaps.
    pub(super) fn newest(&self, folder: &str) -> Result<u64, Error> {
        let list = || -> Result<BTreeSet<u64>, Error> {
            let number = |name: String| {
                let number =
                    name.strip_suffix(".zip").and_then(|number| number.parse::<u64>().ok());
                number.filter(|n| *n > 0 && numbered("", *n) == format!("/{name}")).ok_or_else(
                    || Error::ForgeHistory {
                        what: format!("{folder}/{name} is not one of the forge's"),
                    },
                )
            };
            self.store.list(folder)?.into_iter().map(number).collect()
        };
        let gap = |numbers: &BTreeSet<u64>| {
            (1..).zip(numbers).find(|(at, number)| at != *number).map(|(at, _)| at)
        };
        let mut numbers = list()?;
        // Others may create records while a folder is listed. The list may then hold a record but
        // not the one just before it. A second list holds both.
        while let (Some(_), Some(newest)) = (gap(&numbers), numbers.last().copied()) {
            numbers = list()?;
            if let Some(missing) = gap(&numbers).filter(|missing| *missing < newest) {
                return Err(Error::ForgeHistory {
                    what: format!("{} is missing", numbered(folder, missing)),
                });
            }
        }
        Ok(numbers.len() as u64)
    }
}
