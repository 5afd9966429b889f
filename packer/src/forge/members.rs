//! The members of a forge item as merging sees them: each part read from the store when it is asked
//! for, and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use medforge_runtime::bundle;
use medforge_runtime::bundle::description::{canonical, from_canonical};
use medforge_runtime::tensors::Tensor;

use super::{Content, Forge, Known, Made, Member, Members, Merge, Object, PUSHES, Pushed};
use crate::contribution::{self, GRAMS};
use crate::data::Condensed;
use crate::export::Origin;
use crate::lora::{Head, Module};
use crate::{Error, interrupt};

/// The members of an item, or of one on the way to it.
pub(super) struct Shelf<'a> {
    forge: &'a Forge,
    members: &'a [Member],
    /// The item's members that are still to come.
    after: &'a [Member],
    /// All pushes up to this number have been merged.
    push: u64,
}

impl Shelf<'_> {
    /// A member's signed manifest, and what its files are called in messages.
    fn pushed(&self, i: usize) -> Result<(Pushed, PathBuf), Error> {
        let member = &self.members[i];
        Ok((self.forge.pushed_by(member)?, PathBuf::from(&member.name)))
    }
}

impl Members for Shelf<'_> {
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

    fn later(&self, until: u64) -> Result<Vec<Known>, Error> {
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
        let known = |pushed: Pushed| {
            let (id, task) =
                (pushed.signed.id().to_owned(), pushed.signed.description().task.clone());
            Ok(Known {
                id,
                task,
                head: self.forge.head_of(&pushed)?,
                set: self.forge.condensed(&pushed)?,
            })
        };
        newest.into_values().map(known).collect()
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
    pub(super) fn shelf<'a>(&'a self, content: &'a Content) -> Shelf<'a> {
        Shelf { forge: self, members: &content.members, after: &[], push: 0 }
    }

    /// Whose work the item's model is made of, with the contributors' cards; `modules` are the
    /// members'.
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

    /// The contribution that a member is.
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

    /// The model of `members` once everything up to `push` is merged. `before` is the model of all
    /// but the last, if that is at hand; without it a sequential method makes the models in between
    /// anew.
    pub(super) fn model(
        &self,
        method: &dyn Merge,
        members: &[Member],
        push: u64,
        before: Option<Made>,
    ) -> Result<Made, Error> {
        let merge = |before: Option<&Made>, count: usize| {
            interrupt::check()?;
            let made = method.merge(
                before,
                &Shelf { forge: self, members: &members[..count], after: &members[count..], push },
            )?;
            // As a reader of the store will see it: 1 and 1.0 are one number.
            let record = from_canonical(&canonical(&made.record, "record")?, "record")?;
            Ok(Made { record, ..made })
        };
        match (members.len(), method.sequential(), before) {
            (0, ..) => Ok(Made::default()),
            (count, false, _) => merge(None, count),
            (count, true, Some(before)) => merge(Some(&before), count),
            (count, true, None) => (1..=count)
                .try_fold(None, |made: Option<Made>, n| merge(made.as_ref(), n).map(Some))
                .map(Option::unwrap_or_default),
        }
    }
}
