//! Steps of a forge's history that go back. A revert takes a member out. A restore brings back a
//! contribution that left or was passed over.
//!
//! After a revert the model is built again from the contributions that stay. No model in which the
//! leaving member took part is used.

use std::path::Path;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::Verified;

use super::change::Change;
use super::objects::{PUSHES, numbered};
use super::push::fits;
use super::{Forge, Item, Methods};
use crate::Error;

impl Forge {
    /// Takes out the contribution that item `number` added.
    ///
    /// # Errors
    /// [`Error::ForgeKey`], [`Error::NoItem`], [`Error::NotAMember`], an error of the method, and
    /// damage to the store.
    pub fn revert(
        &self,
        number: u64,
        methods: Methods,
        key: &SigningKey,
    ) -> Result<Verified<Item>, Error> {
        self.check_key(key)?;
        let Some(leaving) = self.item(number)?.manifest().added.clone() else {
            return Err(Error::NotAMember { number, what: "it added no contribution".into() });
        };
        loop {
            let Some((tip, content)) = self.tip_and_content()? else {
                return Err(Error::NoItem { number, newest: 0 });
            };
            let Some(change) = Change::revert(&content.members, &leaving, tip.manifest().push)
            else {
                let what = format!(
                    "its contribution, {}, is no member of v{} any more",
                    leaving.name,
                    tip.manifest().number
                );
                return Err(Error::NotAMember { number, what });
            };
            let settings = tip.manifest().settings.clone();
            let model =
                self.build_model(&*methods(&settings)?, &change.members, change.push, None)?;
            if let Some(item) = self.add(Some((tip, content)), change, settings, model, key)? {
                return Ok(item);
            }
        }
    }

    /// Brings back the contribution that item `number` added, took out or passed over. It was
    /// pushed before, so it needs no new signature. It becomes the last member. Method and settings
    /// are those of the newest item.
    ///
    /// # Errors
    /// [`Error::ForgeKey`], [`Error::NoItem`], [`Error::NotRestored`], an error of the method, and
    /// damage to the store.
    pub fn restore(
        &self,
        number: u64,
        methods: Methods,
        key: &SigningKey,
    ) -> Result<Verified<Item>, Error> {
        self.check_key(key)?;
        let item = self.item(number)?.manifest().clone();
        let refuse = |what: String| Error::NotRestored { number, what };
        let returning = item.added.or(item.removed);
        let returning = returning.ok_or_else(|| {
            refuse("it names no contribution; its members are those before".into())
        })?;
        let pushed = self.pushed_by(&returning)?;
        loop {
            let Some((tip, content)) = self.tip_and_content()? else {
                return Err(Error::NoItem { number, newest: 0 });
            };
            let (settings, push) = (tip.manifest().settings.clone(), tip.manifest().push);
            let Some(change) = Change::restore(&content.members, &returning, push) else {
                let what = format!(
                    "{} has a contribution among the members of v{}",
                    returning.name,
                    tip.manifest().number
                );
                return Err(refuse(format!("{what}; revert that one first")));
            };
            if settings.is_null() {
                return Err(refuse(
                    "no item has a method yet; merge another contribution first".into(),
                ));
            }
            let (name, pushes) = (numbered(PUSHES, pushed.number), self.pushes()?);
            fits(Path::new(&name), pushed.signed.description(), &pushes, &content.members, push)?;
            self.verify_push(&pushed)?;
            let method = methods(&settings)?;
            let tip = Some((tip, content));
            let before = self.before(&*method, change.begins(), tip.as_ref())?;
            let model = self.build_model(&*method, &change.members, change.push, before)?;
            if let Some(item) = self.add(tip, change, settings, model, key)? {
                return Ok(item);
            }
        }
    }
}
