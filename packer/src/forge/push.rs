//! Pushing a contribution. Everything is checked first. Then its entries become objects, and its
//! signed manifest becomes the next push.
//!
//! Refused, with the forge left as it was:
//! - what [`Contribution::open`] refuses;
//! - a contribution that its contributor did not sign;
//! - a counter that is not above all pushed counters of this name;
//! - a task that another contributor holds;
//! - another image size than the members have.
//!
//! No module that was pushed before is read.

use std::collections::BTreeSet;
use std::path::Path;

use medforge_runtime::bundle;

use super::objects::{MAX_NUMBER, PUSHES, numbered, put};
use super::{Forge, Member, Pushed};
use crate::contribution::{Contribution, Manifest};
use crate::{Error, interrupt};

impl Forge {
    /// Pushes the contribution `bytes` and returns the number of its push. Errors name it `path`.
    ///
    /// # Errors
    /// [`Error::Refused`] with the error of [`Contribution::open`], [`Error::UnknownContributor`],
    /// [`Error::OthersKey`], [`Error::Replayed`], [`Error::TaskTaken`], [`Error::OtherImageSize`],
    /// [`Error::ForgeStore`].
    pub fn push(&self, path: &Path, bytes: Vec<u8>) -> Result<(u64, Contribution), Error> {
        let contribution = Contribution::open(path, bytes, &self.contributors, &self.base);
        let contribution = contribution.map_err(|error| Error::Refused(Box::new(error)))?;
        let manifest = contribution.manifest();
        self.check_signer(path, manifest, contribution.signers())?;
        let mut pushed = self.pushes()?;
        self.admit(path, manifest, &pushed)?;
        for entry in &manifest.entries {
            put(&self.store, contribution.entry(&entry.name)?.to_vec())?;
        }
        let envelope = bundle::envelope(contribution.bytes())?;
        loop {
            interrupt::check()?;
            let number = pushed.len() as u64 + 1;
            if number > MAX_NUMBER {
                return Err(Error::ForgeHistory {
                    what: format!("{MAX_NUMBER} contributions are all that a forge takes"),
                });
            }
            if self.store.create(&numbered(PUSHES, number), envelope.clone())? {
                return Ok((number, contribution));
            }
            let newer = self.pushes_after(pushed.len() as u64)?;
            // A bucket may have stored it although its answer was lost.
            if let Some(own) = newer.iter().find(|newer| newer.envelope == envelope) {
                return Ok((own.number, contribution));
            }
            pushed.extend(newer);
            self.admit(path, manifest, &pushed)?;
        }
    }

    /// Refuses `new` if the forge's rules do not admit it after all of `pushed`.
    fn admit(&self, path: &Path, new: &Manifest, pushed: &[Pushed]) -> Result<(), Error> {
        let (members, merged) = match self.tip()? {
            Some(tip) => (self.content(tip.manifest())?.members, tip.manifest().push),
            None => (Vec::new(), 0),
        };
        self.check_complete(pushed, merged)?;
        admissible(path, new, pushed, &members, merged)
    }

    /// Refuses a store that lost some of the first `merged` pushes, which its newest item names.
    /// Their numbers would be given out again.
    pub(super) fn check_complete(&self, pushed: &[Pushed], merged: u64) -> Result<(), Error> {
        // Others may have pushed and merged since `pushed` was read.
        if (pushed.len() as u64) < merged && self.newest(PUSHES)? < merged {
            Err(Error::ForgeHistory {
                what: format!(
                    "{} is missing, which was merged; restore it",
                    numbered(PUSHES, merged)
                ),
            })
        } else {
            Ok(())
        }
    }
}

/// Refuses `new` if a forge may not take it. The forge has these `members`, and has merged the
/// first `merged` of all that was `pushed`.
pub(super) fn admissible(
    path: &Path,
    new: &Manifest,
    pushed: &[Pushed],
    members: &[Member],
    merged: u64,
) -> Result<(), Error> {
    let name = new.name.clone();
    let earlier = pushed.iter().map(|p| p.signed.description());
    let newest = earlier.filter(|old| old.name == new.name).map(|old| old.counter).max();
    if let Some(newest) = newest.filter(|newest| new.counter <= *newest) {
        return Err(Error::Replayed { path: path.to_owned(), name, counter: new.counter, newest });
    }
    fits(path, new, pushed, members, merged)
}

/// Refuses `new` if it cannot be a member beside these `members` and the contributions that wait.
/// Nobody else may hold its task, and its images must have the same size.
pub(super) fn fits(
    path: &Path,
    new: &Manifest,
    pushed: &[Pushed],
    members: &[Member],
    merged: u64,
) -> Result<(), Error> {
    let path = path.to_owned();
    let living: BTreeSet<u64> = members.iter().map(|member| member.push).collect();
    let lives = |p: &&Pushed| p.number > merged || living.contains(&p.number);
    for old in pushed
        .iter()
        .filter(lives)
        .map(|p| p.signed.description())
        .filter(|old| old.name != new.name)
    {
        if old.task == new.task {
            let (task, holder) = (new.task.clone(), old.contributor.clone());
            return Err(Error::TaskTaken { path, task, holder });
        }
        if old.image_size != new.image_size {
            let (size, others) = (new.image_size, old.image_size);
            return Err(Error::OtherImageSize { path, size, others });
        }
    }
    Ok(())
}
