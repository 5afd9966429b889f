//! The members of a forge item as a method is given them. Each part is read from the store when it
//! is asked for, and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use medforge_runtime::bundle;
use medforge_runtime::bundle::description::{canonical, from_canonical};
use medforge_runtime::tensors::Tensor;

use super::objects::PUSHES;
use super::{Content, Forge, ItemModel, Member, Members, Merge, Object, Pushed, TaskData};
use crate::contribution::{self, GRAMS};
use crate::data::Condensed;
use crate::export::Origin;
use crate::lora::{Head, Module};
use crate::{Error, interrupt};

/// The members of an item, or of a step on the way to it.
pub(super) struct StoredMembers<'a> {
    forge: &'a Forge,
    members: &'a [Member],
    /// The item's members that later steps add.
    after: &'a [Member],
    /// All pushes up to this number have been merged.
    push: u64,
}

impl StoredMembers<'_> {
    /// A member's signed manifest, and the place that errors name for its files.
    fn pushed(&self, i: usize) -> Result<(Pushed, PathBuf), Error> {
        let member = &self.members[i];
        Ok((self.forge.pushed_by(member)?, PathBuf::from(&member.name)))
    }
}

impl Members for StoredMembers<'_> {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn name(&self, i: usize) -> &str {
        &self.members[i].name
    }

    fn digest(&self, i: usize) -> &str {
        &self.members[i].contribution
    }

    fn module(&self, i: usize) -> Result<Module, Error> {
        interrupt::check()?;
        let (pushed, place) = self.pushed(i)?;
        Module::read(&place, |name| self.forge.entry(&pushed, name), &self.forge.base)
    }

    fn condensed(&self, i: usize) -> Result<Condensed, Error> {
        self.forge.condensed(&self.pushed(i)?.0)
    }

    fn head(&self, i: usize) -> Result<Head, Error> {
        self.forge.head_of(&self.pushed(i)?.0)
    }

    fn later(&self, until: u64) -> Result<Vec<TaskData>, Error> {
        let to_come = self.after.iter().map(|member| self.forge.pushed_by(member));
        let numbers = self.push + 1..=until.min(self.forge.newest(PUSHES)?);
        let not_merged = numbers.map(|number| self.forge.pushed(number));
        let mut newest: BTreeMap<String, Pushed> = BTreeMap::new();
        for pushed in to_come.chain(not_merged) {
            let pushed = pushed?;
            let name = pushed.signed.description().name.clone();
            if !self.members.iter().any(|member| member.name == name) {
                newest.insert(name, pushed);
            }
        }
        let read = |pushed: Pushed| {
            let (id, name) =
                (pushed.signed.id().to_owned(), pushed.signed.description().task.clone());
            Ok(TaskData {
                id,
                name,
                head: self.forge.head_of(&pushed)?,
                set: self.forge.condensed(&pushed)?,
            })
        };
        newest.into_values().map(read).collect()
    }

    fn grams(&self, i: usize) -> Result<Option<BTreeMap<String, Tensor>>, Error> {
        let (pushed, place) = self.pushed(i)?;
        if !pushed.signed.description().entries.iter().any(|entry| entry.name == GRAMS) {
            return Ok(None);
        }
        let module = self.module(i)?;
        contribution::read_grams(
            &place.join(GRAMS),
            &self.forge.entry(&pushed, GRAMS)?,
            &module,
            &self.forge.base,
        )
        .map(Some)
    }
}

impl Forge {
    /// The bytes of an entry of a contribution that was pushed.
    pub fn entry(&self, pushed: &Pushed, name: &str) -> Result<Vec<u8>, Error> {
        let entries = &pushed.signed.description().entries;
        match entries.iter().find(|entry| entry.name == name) {
            Some(entry) => {
                self.object(&Object { length: entry.length, sha256: entry.sha256.clone() })
            }
            None => Err(Error::ForgeHistory {
                what: format!("push {} has no entry {name}", pushed.number),
            }),
        }
    }

    /// The members that an item's content names.
    pub(super) fn members<'a>(&'a self, content: &'a Content) -> StoredMembers<'a> {
        StoredMembers { forge: self, members: &content.members, after: &[], push: 0 }
    }

    /// The contributors of the item's model, with their cards. `modules` are the members' own.
    pub fn origins(&self, content: &Content, modules: &[Module]) -> Result<Vec<Origin>, Error> {
        let origin = |(member, module): (&Member, &Module)| {
            let card = self.entry(&self.pushed_by(member)?, "card.md")?;
            let member = bundle::manifest::Member {
                contributor: module.card.contributor.clone(),
                task: module.card.task.clone(),
                licence: module.card.licence.clone(),
                contribution: Some(member.contribution.clone()),
                card: None,
                measured: module.card.measured(),
            };
            Ok(Origin { member, card: Some(card) })
        };
        content.members.iter().zip(modules).map(origin).collect()
    }

    /// The push of a member.
    pub(super) fn pushed_by(&self, member: &Member) -> Result<Pushed, Error> {
        let pushed = self.pushed(member.push)?;
        if pushed.signed.id() == member.contribution {
            Ok(pushed)
        } else {
            Err(Error::ForgeHistory {
                what: format!(
                    "push {} is not the contribution {}",
                    member.push, member.contribution
                ),
            })
        }
    }

    fn condensed(&self, pushed: &Pushed) -> Result<Condensed, Error> {
        interrupt::check()?;
        Condensed::read(Path::new(&pushed.signed.description().name), |name| {
            self.entry(pushed, name)
        })
    }

    fn head_of(&self, pushed: &Pushed) -> Result<Head, Error> {
        let (manifest, name) = (pushed.signed.description(), "head.safetensors");
        let path = Path::new(&manifest.name).join(name);
        let head = Head::read(
            &path,
            &self.entry(pushed, name)?,
            &manifest.classes,
            self.base.config.features(),
        )?;
        Ok(head.uncalibrated())
    }

    /// Builds the model of `members`, once everything up to `push` is merged. `before` is the model
    /// of all members but the last. Without it a sequential method builds the models in between.
    pub(super) fn build_model(
        &self,
        method: &dyn Merge,
        members: &[Member],
        push: u64,
        before: Option<ItemModel>,
    ) -> Result<ItemModel, Error> {
        let merge = |before: Option<&ItemModel>, count: usize| {
            interrupt::check()?;
            let model = method.merge(
                before,
                &StoredMembers {
                    forge: self,
                    members: &members[..count],
                    after: &members[count..],
                    push,
                },
            )?;
            // The store writes 1.0 as 1, so the record gets that form here too.
            let record = from_canonical(&canonical(&model.record, "record")?, "record")?;
            Ok(ItemModel { record, ..model })
        };
        match (members.len(), method.sequential(), before) {
            (0, ..) => Ok(ItemModel::default()),
            (count, false, _) => merge(None, count),
            (count, true, Some(before)) => merge(Some(&before), count),
            (count, true, None) => (1..=count)
                .try_fold(None, |model: Option<ItemModel>, n| merge(model.as_ref(), n).map(Some))
                .map(Option::unwrap_or_default),
        }
    }
}
