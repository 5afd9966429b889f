//! Verifying a whole forge: every signature, the chain of items, every contribution, and the digest
//! of every object that any of them names. If the caller can build the methods again, every model
//! is rebuilt from the contributions and must have the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_runtime::bundle::{self, Verified};
use serde::Serialize;

use super::append::content_of;
use super::change::{Change, begins};
use super::objects::{OBJECTS, PUSHES, numbered};
use super::push::{admissible, fits};
use super::{Content, Forge, Item, ItemModel, Kind, Member, Methods, Object, Pushed};
use crate::contribution::Contribution;
use crate::{Error, interrupt};

/// Counts of the verified parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub items: u64,
    pub contributions: u64,
    /// Contributions that no item has merged yet.
    pub waiting: u64,
    pub objects: u64,
    /// Objects that nothing names. Processes that were stopped left them; they do no harm.
    pub unnamed: u64,
    /// Items whose model was rebuilt with the same bytes.
    pub rebuilt: u64,
}

impl Forge {
    /// Verifies everything. With `methods`, every item is also rebuilt and compared.
    ///
    /// # Errors
    /// The first fault found: [`Error::ForgeHistory`], [`Error::ForgeRecord`],
    /// [`Error::ForgeObject`], what [`Contribution::open`] refuses, [`Error::NotRebuilt`].
    pub fn verify(&self, methods: Option<Methods>) -> Result<Report, Error> {
        let mut report = Report::default();
        let mut named: BTreeSet<String> =
            self.root.base.iter().map(|entry| entry.sha256.clone()).collect();
        self.base()?;

        // Items are listed before pushes, so that every push that an item merged is in the list.
        let items = self.items()?;
        let pushes = self.pushes()?;
        let mut newest = BTreeMap::new();
        for pushed in &pushes {
            self.verify_push(pushed)?;
            let manifest = pushed.signed.description();
            let before = newest.insert(&manifest.name, manifest.counter);
            if before.is_some_and(|before| manifest.counter <= before) {
                let what = format!(
                    "push {} is {} number {}, after a newer one",
                    pushed.number, manifest.name, manifest.counter
                );
                return Err(Error::ForgeHistory { what });
            }
            named.extend(manifest.entries.iter().map(|entry| entry.sha256.clone()));
        }
        report.contributions = pushes.len() as u64;

        let mut before: Option<(Verified<Item>, Content)> = None;
        for item in items {
            let content = self.content(item.manifest())?;
            self.follows(&item, &content, before.as_ref(), &pushes)?;
            named.insert(item.manifest().content.sha256.clone());
            for file in content.files.values() {
                interrupt::check()?;
                if named.insert(file.sha256.clone()) {
                    self.object(file)?;
                }
            }
            if let Some(methods) = methods {
                self.rebuild(item.manifest(), &content, before.as_ref(), methods)?;
                report.rebuilt += 1;
            }
            report.items += 1;
            before = Some((item, content));
        }
        report.waiting = report.contributions - before.map_or(0, |(item, _)| item.manifest().push);
        report.objects = named.len() as u64;
        report.unnamed =
            self.store.list(OBJECTS)?.iter().filter(|name| !named.contains(*name)).count() as u64;
        Ok(report)
    }

    /// Puts a contribution's archive together again, and repeats all checks of the push.
    pub fn verify_push(&self, pushed: &Pushed) -> Result<(), Error> {
        interrupt::check()?;
        let entries = &pushed.signed.description().entries;
        let payload = entries.iter().map(|entry| {
            let object = Object { length: entry.length, sha256: entry.sha256.clone() };
            Ok((entry.name.clone(), self.object(&object)?))
        });
        let archive = bundle::refill(&pushed.envelope, &payload.collect::<Result<_, Error>>()?)?;
        let place = format!("push {}", pushed.number);
        let opened = Contribution::open(Path::new(&place), archive, &self.contributors, &self.base);
        opened.map(drop).map_err(|error| Error::Refused(Box::new(error)))
    }

    /// Rebuilds an item's model and compares it.
    fn rebuild(
        &self,
        item: &Item,
        content: &Content,
        before: Option<&(Verified<Item>, Content)>,
        methods: Methods,
    ) -> Result<(), Error> {
        if item.kind == Kind::Skip {
            return Ok(());
        }
        let method = methods(&item.settings)?;
        let before = self.before(&*method, begins(item.kind, item.removed.as_ref()), before)?;
        let model = self.build_model(&*method, &content.members, item.push, before)?;
        if content_of(&content.members, &model) == *content {
            Ok(())
        } else {
            Err(Error::NotRebuilt { number: item.number })
        }
    }

    /// Refuses an item that does not follow from the pushes and the item before it, or the root.
    fn follows(
        &self,
        item: &Verified<Item>,
        content: &Content,
        before: Option<&(Verified<Item>, Content)>,
        pushes: &[Pushed],
    ) -> Result<(), Error> {
        let (id, item) = (item.id(), item.manifest());
        let refuse =
            |what: String| Error::ForgeHistory { what: format!("v{} ({id}) {what}", item.number) };
        if item.predecessor != before.map_or(self.id.as_str(), |(item, _)| item.id()) {
            return Err(refuse("does not name the item before it".into()));
        }
        let members = before.map(|(_, content)| content.members.as_slice()).unwrap_or_default();
        let merged = before.map_or(0, |(item, _)| item.manifest().push);
        let next = pushes.get(merged as usize);
        let change = match (item.kind, &item.removed, next) {
            (Kind::Merge, _, Some(pushed)) => {
                let (name, earlier) = (numbered(PUSHES, pushed.number), &pushes[..merged as usize]);
                let admitted = admissible(
                    Path::new(&name),
                    pushed.signed.description(),
                    earlier,
                    members,
                    merged,
                );
                admitted.map_err(|error| refuse(format!("merges what may not be: {error}")))?;
                Some(Change::merge(members, pushed))
            }
            (Kind::Skip, _, Some(pushed)) => Some(Change::skip(members, pushed)),
            (Kind::Revert, Some(leaving), _) => Change::revert(members, leaving, merged),
            (Kind::Restore, ..) => restored(item, members, merged, pushes)
                .map_err(|error| refuse(format!("brings back what may not be: {error}")))?,
            (Kind::Again, ..) => Some(Change::again(members, merged)),
            _ => None,
        };
        let change =
            change.ok_or_else(|| refuse("names a contribution that is not there".into()))?;
        let same = (&change.added, &change.removed, change.push)
            == (&item.added, &item.removed, item.push);
        if !same || change.members != content.members {
            return Err(refuse(
                "has other members than the item before it and the pushes make".into(),
            ));
        }
        let nothing = content_of(&[], &ItemModel::default());
        if item.kind == Kind::Skip && before.map_or(&nothing, |(_, before)| before) != content {
            Err(refuse("passes over a contribution and yet changes the model".into()))
        } else {
            Ok(())
        }
    }
}

/// The change that a restore makes. Its contribution was merged or passed over before, and fits the
/// members. None if that is not so, or if it is a member already.
fn restored(
    item: &Item,
    members: &[Member],
    merged: u64,
    pushes: &[Pushed],
) -> Result<Option<Change>, Error> {
    let earlier = &pushes[..merged as usize];
    let pushed = item
        .added
        .as_ref()
        .and_then(|added| earlier.iter().find(|pushed| Member::of(pushed) == *added));
    let Some(pushed) = pushed else { return Ok(None) };
    let name = numbered(PUSHES, pushed.number);
    fits(Path::new(&name), pushed.signed.description(), earlier, members, merged)?;
    Ok(Change::restore(members, &Member::of(pushed), merged))
}
