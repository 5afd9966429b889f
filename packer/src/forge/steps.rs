//! Steps of a forge's history that go on. A merge takes the next contribution that was pushed, and
//! a skip passes over it. The same members can also be merged again by another method.
//!
//! A merge continues from the model of the newest item. A newer contribution may replace an older
//! one of its name; the model is then built again without the older one. Another method also starts
//! from the first member.

use std::path::Path;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::Verified;
use serde_json::Value;

use super::append::{members, merged};
use super::change::Change;
use super::objects::{PUSHES, numbered};
use super::push::admissible;
use super::{Forge, Item, ItemModel, Merge, Pushed};
use crate::Error;

impl Forge {
    /// Merges the next contribution that was pushed and not merged yet. None if there is none.
    ///
    /// # Errors
    /// [`Error::ForgeKey`]. [`Error::NotMerged`] with the error of `method`, or with that of
    /// [`Forge::push`] if the contribution got into the store without it. Damage to the store.
    pub fn merge(
        &self,
        method: &dyn Merge,
        key: &SigningKey,
    ) -> Result<Option<Verified<Item>>, Error> {
        self.check_key(key)?;
        loop {
            let tip = self.tip_and_content()?;
            let (members, merged) = (members(&tip), merged(&tip));
            let mut pushes = self.pushes()?.into_iter();
            let earlier: Vec<Pushed> = pushes.by_ref().take(merged as usize).collect();
            self.check_complete(&earlier, merged)?;
            let Some(pushed) = pushes.next() else { return Ok(None) };
            let stays = |error| match error {
                stopped @ Error::Interrupted { .. } => stopped,
                source => Error::NotMerged { push: pushed.number, source: Box::new(source) },
            };
            // Somebody may have written to the store without `push`, so its rules apply again.
            let name = numbered(PUSHES, pushed.number);
            admissible(Path::new(&name), pushed.signed.description(), &earlier, members, merged)
                .map_err(stays)?;
            self.verify_push(&pushed).map_err(stays)?;
            let change = Change::merge(members, &pushed);
            let before = self.before(method, change.begins(), tip.as_ref())?;
            let model =
                self.build_model(method, &change.members, change.push, before).map_err(stays)?;
            if let Some(item) = self.add(tip, change, method.settings(), model, key)? {
                return Ok(Some(item));
            }
        }
    }

    /// Passes over the push `number`, the next to be merged. Its contribution does not become a
    /// member, and the model stays as it was.
    ///
    /// # Errors
    /// [`Error::ForgeKey`], [`Error::NotNext`], damage to the store.
    pub fn skip(&self, number: u64, key: &SigningKey) -> Result<Verified<Item>, Error> {
        self.check_key(key)?;
        loop {
            let tip = self.tip_and_content()?;
            let next = merged(&tip) + 1;
            if number != next || self.newest(PUSHES)? < next {
                return Err(Error::NotNext { number, merged: next - 1 });
            }
            let change = Change::skip(members(&tip), &self.pushed(number)?);
            let (settings, model) = match &tip {
                Some((item, content)) => {
                    (item.manifest().settings.clone(), self.stored_model(content)?)
                }
                None => (Value::Null, ItemModel::default()),
            };
            if let Some(item) = self.add(tip, change, settings, model, key)? {
                return Ok(item);
            }
        }
    }

    /// Merges the members of the newest item again, by `method`, from the first member on.
    ///
    /// # Errors
    /// [`Error::ForgeKey`], [`Error::NoMembers`], an error of `method`, and damage to the store.
    pub fn merge_again(
        &self,
        method: &dyn Merge,
        key: &SigningKey,
    ) -> Result<Verified<Item>, Error> {
        self.check_key(key)?;
        loop {
            let tip = self.tip_and_content()?;
            let Some((item, content)) =
                tip.as_ref().filter(|(_, content)| !content.members.is_empty())
            else {
                return Err(Error::NoMembers);
            };
            let change = Change::again(&content.members, item.manifest().push);
            let model = self.build_model(method, &change.members, change.push, None)?;
            if let Some(item) = self.add(tip, change, method.settings(), model, key)? {
                return Ok(item);
            }
        }
    }
}
