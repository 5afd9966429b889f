//! The end of a forge's history: the newest item, and the next one after it.

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::description::canonical;
use medforge_runtime::bundle::{self, Description, Verified};
use serde_json::Value;

use super::change::Change;
use super::objects::{ITEMS, MAX_NUMBER, MAX_RECORD, numbered, put};
use super::{Content, Forge, Item, ItemModel, Member, Merge, Object};
use crate::contribution::tool;
use crate::{Error, interrupt, output};

/// The newest item and its content; none in a forge without items.
pub(super) type Tip = Option<(Verified<Item>, Content)>;

/// The members of the newest item.
pub(super) fn members(tip: &Tip) -> &[Member] {
    tip.as_ref().map(|(_, content)| content.members.as_slice()).unwrap_or_default()
}

/// The number of the last push that the newest item, or one before it, merged or passed over.
pub(super) fn merged(tip: &Tip) -> u64 {
    tip.as_ref().map_or(0, |(item, _)| item.manifest().push)
}

impl Forge {
    /// The newest item with its content.
    pub(super) fn tip_and_content(&self) -> Result<Tip, Error> {
        let Some(tip) = self.tip()? else { return Ok(None) };
        let content = self.content(tip.manifest())?;
        Ok(Some((tip, content)))
    }

    /// The model of the item `tip`, if `method` continues from it. With `begins`, the next item
    /// starts from its first member and needs no model.
    pub(super) fn before(
        &self,
        method: &dyn Merge,
        begins: bool,
        tip: Option<&(Verified<Item>, Content)>,
    ) -> Result<Option<ItemModel>, Error> {
        let goes_on = |item: &Item| method.goes_on_from(&item.settings) && !begins;
        let tip =
            tip.filter(|(item, content)| goes_on(item.manifest()) && !content.members.is_empty());
        tip.map(|(_, content)| self.stored_model(content)).transpose()
    }

    /// Stores an item after `tip`. None if somebody else was first.
    pub(super) fn add(
        &self,
        tip: Tip,
        change: Change,
        settings: Value,
        model: ItemModel,
        key: &SigningKey,
    ) -> Result<Option<Verified<Item>>, Error> {
        interrupt::check()?;
        let number = tip.as_ref().map_or(0, |(item, _)| item.manifest().number) + 1;
        if number > MAX_NUMBER {
            return Err(Error::ForgeHistory {
                what: format!("{MAX_NUMBER} items are all that a forge takes"),
            });
        }
        let content = content_of(&change.members, &model);
        content.check()?;
        let bytes = canonical(&content, "the content")?;
        let item = Item {
            format: Item::FORMAT.into(),
            version: Item::VERSION,
            number,
            predecessor: tip.map_or(self.id.clone(), |(item, _)| item.id().to_owned()),
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
        for file in model.files.into_values() {
            put(&self.store, file)?;
        }
        put(&self.store, bytes)?;
        let name = numbered(ITEMS, number);
        let created = self.store.create(&name, signed.clone())?;
        // A bucket may have stored it although its answer was lost.
        if !created && self.store.read(&name, MAX_RECORD)?.as_ref() != Some(&signed) {
            return Ok(None);
        }
        self.parse_item(number, Some(signed)).map(Some)
    }
}

/// What an item of `members` and this model holds.
pub(super) fn content_of(members: &[Member], model: &ItemModel) -> Content {
    let files = model.files.iter().map(|(name, bytes)| (name.clone(), Object::of(bytes)));
    Content { members: members.to_vec(), record: model.record.clone(), files: files.collect() }
}
