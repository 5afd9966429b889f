//! The members of a forge item as merging sees them: each part read from the store when it is asked for, and checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use medforge_runtime::bundle::description::{canonical, from_canonical};
use medforge_runtime::tensors::Tensor;

use super::{Forge, Made, Member, Members, Merge, Object, Pushed};
use crate::contribution::{self, GRAMS};
use crate::data::Condensed;
use crate::lora::Module;
use crate::{Error, interrupt};

/// Some members of a forge.
pub(super) struct Shelf<'a> {
    pub forge: &'a Forge,
    pub members: &'a [Member],
}

impl Shelf<'_> {
    /// A member's signed manifest, and what its files are called in messages.
    fn pushed(&self, i: usize) -> Result<(Pushed, PathBuf), Error> {
        let member = &self.members[i];
        let pushed = self.forge.pushed(member.push)?;
        match pushed.signed.id() == member.contribution {
            true => Ok((pushed, PathBuf::from(&member.name))),
            false => Err(Error::ForgeHistory {
                what: format!("push {} is not the contribution {}", member.push, member.contribution),
            }),
        }
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
        interrupt::check()?;
        let (pushed, place) = self.pushed(i)?;
        Condensed::read(&place, |name| self.forge.entry(&pushed, name))
    }

    fn grams(&self, i: usize) -> Result<Option<BTreeMap<String, Tensor>>, Error> {
        let (pushed, place) = self.pushed(i)?;
        if !pushed.signed.description().entries.iter().any(|entry| entry.name == GRAMS) {
            return Ok(None);
        }
        let module = self.module(i)?;
        contribution::read_grams(&place.join(GRAMS), &self.forge.entry(&pushed, GRAMS)?, &module, &self.forge.base)
            .map(Some)
    }
}

impl Forge {
    /// The bytes of an entry of a contribution that was pushed.
    pub fn entry(&self, pushed: &Pushed, name: &str) -> Result<Vec<u8>, Error> {
        let entries = &pushed.signed.description().entries;
        match entries.iter().find(|entry| entry.name == name) {
            Some(entry) => self.object(&Object { length: entry.length, sha256: entry.sha256.clone() }),
            None => Err(Error::ForgeHistory { what: format!("push {} has no entry {name}", pushed.number) }),
        }
    }

    /// The model of `members`. `before` is the model of all but the last, if that is at hand; without it a sequential method makes the
    /// models in between anew.
    pub(super) fn model(&self, method: &dyn Merge, members: &[Member], before: Option<Made>) -> Result<Made, Error> {
        let merge = |before: Option<&Made>, count: usize| {
            interrupt::check()?;
            let made = method.merge(before, &Shelf { forge: self, members: &members[..count] })?;
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
