//! The steps of a forge's history: a merge takes the next contribution that was pushed, a skip
//! passes over it, a revert takes a member out, a restore brings back what left or was passed over,
//! and the same members can be merged again by another method.
//!
//! A merge or a restore goes on from the model of the newest item. Where a member leaves (a revert,
//! or a newer contribution of the same name), the model is made again from the contributions that
//! stay: no model in which the leaving one took part is used. Another method begins with the first
//! member too.

use std::path::Path;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::description::canonical;
use medforge_runtime::bundle::{self, Description, Verified};
use serde_json::Value;

use super::push::{admissible, fits};
use super::{
    Content, Forge, ITEMS, Item, Kind, MAX_NUMBER, MAX_RECORD, Made, Member, Merge, Object, PUSHES,
    Pushed, numbered, put,
};
use crate::contribution::tool;
use crate::{Error, interrupt, output};

/// Makes a method again from the settings that an item records.
pub type Methods<'a> = &'a dyn Fn(&Value) -> Result<Box<dyn Merge + 'a>, Error>;

/// What a step changes.
pub(super) struct Change {
    pub kind: Kind,
    pub added: Option<Member>,
    pub removed: Option<Member>,
    pub push: u64,
    pub members: Vec<Member>,
}

/// Where a step begins: the newest item and what it holds.
type Head = Option<(Verified<Item>, Content)>;

impl Forge {
    /// Merges the next contribution that was pushed and not merged yet; none if there is none.
    ///
    /// # Errors
    /// [`Error::ForgeKey`]; [`Error::NotMerged`] with whatever `method` says, or what
    /// [`Forge::push`] refuses of a contribution that came to the store past it; damage to the
    /// store.
    pub fn merge(
        &self,
        method: &dyn Merge,
        key: &SigningKey,
    ) -> Result<Option<Verified<Item>>, Error> {
        self.check_key(key)?;
        loop {
            let head = self.head_and_content()?;
            let merged = head.as_ref().map_or(0, |(item, _)| item.manifest().push);
            let mut pushes = self.pushes()?.into_iter();
            let earlier: Vec<Pushed> = pushes.by_ref().take(merged as usize).collect();
            self.check_known(&earlier, merged)?;
            let Some(pushed) = pushes.next() else { return Ok(None) };
            let members =
                head.as_ref().map(|(_, content)| content.members.as_slice()).unwrap_or_default();
            let stays = |error| match error {
                stopped @ Error::Interrupted { .. } => stopped,
                source => Error::NotMerged { push: pushed.number, source: Box::new(source) },
            };
            // Whoever writes to the store may have put it there past `push`: the same rules once
            // more.
            let name = numbered(PUSHES, pushed.number);
            admissible(Path::new(&name), pushed.signed.description(), &earlier, members, merged)
                .map_err(stays)?;
            self.verify_push(&pushed).map_err(stays)?;
            let change = Change::merge(members, &pushed);
            let before = self.before(method, change.begins(), head.as_ref())?;
            let made = self.model(method, &change.members, change.push, before).map_err(stays)?;
            if let Some(item) = self.add(head, change, method.settings(), made, key)? {
                return Ok(Some(item));
            }
        }
    }

    /// Passes over the push `number`, the next to be merged: its contribution never becomes a
    /// member, and the model stays as it was.
    ///
    /// # Errors
    /// [`Error::ForgeKey`], [`Error::NotNext`], damage to the store.
    pub fn skip(&self, number: u64, key: &SigningKey) -> Result<Verified<Item>, Error> {
        self.check_key(key)?;
        loop {
            let head = self.head_and_content()?;
            let next = head.as_ref().map_or(0, |(item, _)| item.manifest().push) + 1;
            if number != next || self.newest(PUSHES)? < next {
                return Err(Error::NotNext { number, merged: next - 1 });
            }
            let members =
                head.as_ref().map(|(_, content)| content.members.as_slice()).unwrap_or_default();
            let change = Change::skip(members, &self.pushed(number)?);
            let (settings, made) = match &head {
                Some((item, content)) => (item.manifest().settings.clone(), self.made(content)?),
                None => (Value::Null, Made::default()),
            };
            if let Some(item) = self.add(head, change, settings, made, key)? {
                return Ok(item);
            }
        }
    }

    /// Takes out the contribution that item `number` added.
    ///
    /// # Errors
    /// [`Error::ForgeKey`], [`Error::NoItem`], [`Error::NotAMember`], whatever the method says, and
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
            let Some((head, content)) = self.head_and_content()? else {
                return Err(Error::NoItem { number, newest: 0 });
            };
            let Some(change) = Change::revert(&content.members, &leaving, head.manifest().push)
            else {
                let what = format!(
                    "its contribution, {}, is no member of v{} any more",
                    leaving.name,
                    head.manifest().number
                );
                return Err(Error::NotAMember { number, what });
            };
            let settings = head.manifest().settings.clone();
            let made = self.model(&*methods(&settings)?, &change.members, change.push, None)?;
            if let Some(item) = self.add(Some((head, content)), change, settings, made, key)? {
                return Ok(item);
            }
        }
    }

    /// Brings back the contribution that item `number` names: what it added, took out or passed
    /// over. It needs no new signature, as it was pushed before. It comes last of the members, and
    /// the method and its settings are the newest item's.
    ///
    /// # Errors
    /// [`Error::ForgeKey`], [`Error::NoItem`], [`Error::NotRestored`], whatever the method says,
    /// and damage to the store.
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
            let Some((head, content)) = self.head_and_content()? else {
                return Err(Error::NoItem { number, newest: 0 });
            };
            let (settings, push) = (head.manifest().settings.clone(), head.manifest().push);
            let Some(change) = Change::restore(&content.members, &returning, push) else {
                let what = format!(
                    "{} has a contribution among the members of v{}",
                    returning.name,
                    head.manifest().number
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
            let head = Some((head, content));
            let before = self.before(&*method, change.begins(), head.as_ref())?;
            let made = self.model(&*method, &change.members, change.push, before)?;
            if let Some(item) = self.add(head, change, settings, made, key)? {
                return Ok(item);
            }
        }
    }

    /// Merges the members of the newest item again, by `method`, from the first member on.
    ///
    /// # Errors
    /// [`Error::ForgeKey`], [`Error::NoMembers`], whatever `method` says, and damage to the store.
    pub fn merge_again(
        &self,
        method: &dyn Merge,
        key: &SigningKey,
    ) -> Result<Verified<Item>, Error> {
        self.check_key(key)?;
        loop {
            let head = self.head_and_content()?;
            let Some((item, content)) =
                head.as_ref().filter(|(_, content)| !content.members.is_empty())
            else {
                return Err(Error::NoMembers);
            };
            let change = Change::again(&content.members, item.manifest().push);
            let made = self.model(method, &change.members, change.push, None)?;
            if let Some(item) = self.add(head, change, method.settings(), made, key)? {
                return Ok(item);
            }
        }
    }

    /// The model of the item `head`, if `method` goes on from it to make the next one, which may
    /// begin anew.
    pub(super) fn before(
        &self,
        method: &dyn Merge,
        begins: bool,
        head: Option<&(Verified<Item>, Content)>,
    ) -> Result<Option<Made>, Error> {
        let goes_on = |item: &Item| method.goes_on_from(&item.settings) && !begins;
        let head =
            head.filter(|(item, content)| goes_on(item.manifest()) && !content.members.is_empty());
        head.map(|(_, content)| self.made(content)).transpose()
    }

    fn head_and_content(&self) -> Result<Head, Error> {
        let Some(head) = self.head()? else { return Ok(None) };
        let content = self.content(head.manifest())?;
        Ok(Some((head, content)))
    }

    /// Stores an item after `head`; none if somebody else was first.
    fn add(
        &self,
        head: Head,
        change: Change,
        settings: Value,
        made: Made,
        key: &SigningKey,
    ) -> Result<Option<Verified<Item>>, Error> {
        interrupt::check()?;
        let number = head.as_ref().map_or(0, |(item, _)| item.manifest().number) + 1;
        if number > MAX_NUMBER {
            return Err(Error::ForgeHistory {
                what: format!("{MAX_NUMBER} items are all that a forge takes"),
            });
        }
        let content = content_of(&change.members, &made);
        content.check()?;
        let bytes = canonical(&content, "the content")?;
        let item = Item {
            format: Item::FORMAT.into(),
            version: Item::VERSION,
            number,
            predecessor: head.map_or(self.id.clone(), |(item, _)| item.id().to_owned()),
            kind: change.kind,
            added: change.added,
            removed: change.removed,
            push: change.push,
            members: change.members.len() as u64,
            settings,
            content: Object::of(&bytes),
            created: output::now(),
            tool: tool(),
        };
        let signed = bundle::assemble(&item, &Default::default(), std::slice::from_ref(key))?;
        for file in made.files.into_values() {
            put(&self.store, file)?;
        }
        put(&self.store, bytes)?;
        let name = numbered(ITEMS, number);
        let created = self.store.create(&name, signed.clone())?;
        // A bucket may have taken it although its answer was lost.
        if !created && self.store.read(&name, MAX_RECORD)?.as_ref() != Some(&signed) {
            return Ok(None);
        }
        self.parse_item(number, Some(signed)).map(Some)
    }
}

/// What an item of `members` and this model holds.
pub(super) fn content_of(members: &[Member], made: &Made) -> Content {
    let files = made.files.iter().map(|(name, bytes)| (name.clone(), Object::of(bytes)));
    Content { members: members.to_vec(), record: made.record.clone(), files: files.collect() }
}

/// Whether an item's model is made from its first member on, and goes on from none before.
pub(super) fn begins(kind: Kind, removed: Option<&Member>) -> bool {
    kind == Kind::Again || removed.is_some()
}

impl Member {
    pub(super) fn of(pushed: &Pushed) -> Self {
        let (name, contribution) =
            (pushed.signed.description().name.clone(), pushed.signed.id().to_owned());
        Member { name, contribution, push: pushed.number }
    }
}

impl Change {
    /// The contribution `pushed` comes to `members`, in place of an older one of its name.
    pub fn merge(members: &[Member], pushed: &Pushed) -> Self {
        let added = Member::of(pushed);
        let removed = members.iter().find(|member| member.name == added.name).cloned();
        let mut members: Vec<_> =
            members.iter().filter(|member| member.name != added.name).cloned().collect();
        members.push(added.clone());
        Change { kind: Kind::Merge, added: Some(added), removed, push: pushed.number, members }
    }

    /// The contribution `pushed` is passed over.
    pub fn skip(members: &[Member], pushed: &Pushed) -> Self {
        let (removed, members) = (Some(Member::of(pushed)), members.to_vec());
        Change { kind: Kind::Skip, added: None, removed, push: pushed.number, members }
    }

    /// The contribution `leaving` goes; none if it is no member.
    pub fn revert(members: &[Member], leaving: &Member, push: u64) -> Option<Self> {
        let left: Vec<_> = members.iter().filter(|member| *member != leaving).cloned().collect();
        let change = Change {
            kind: Kind::Revert,
            added: None,
            removed: Some(leaving.clone()),
            push,
            members: left,
        };
        (change.members.len() < members.len()).then_some(change)
    }

    /// The contribution `returning` comes back to `members`; none if one of its name is there.
    pub fn restore(members: &[Member], returning: &Member, push: u64) -> Option<Self> {
        let free = members.iter().all(|member| member.name != returning.name);
        let members = members.iter().chain([returning]).cloned().collect();
        let added = Some(returning.clone());
        free.then_some(Change { kind: Kind::Restore, added, removed: None, push, members })
    }

    /// Whether the model is made from the first member on.
    fn begins(&self) -> bool {
        begins(self.kind, self.removed.as_ref())
    }

    /// The same members.
    pub fn again(members: &[Member], push: u64) -> Self {
        Change { kind: Kind::Again, added: None, removed: None, push, members: members.to_vec() }
    }
}
