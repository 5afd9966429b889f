//! The forge item: one step of a forge's history, and its content.
//!
//! The item itself is small and signed. It names its content by digest: the members in order, the
//! merge's record (weights, search trace) and the model's files. So the history is fast to read,
//! however many members there are.

use std::collections::{BTreeMap, BTreeSet};

use medforge_runtime::Error as RuntimeError;
use medforge_runtime::bundle::description::{
    check_count, check_digest, check_numbers, check_text, check_time, check_version, require,
};
use medforge_runtime::bundle::manifest::{Entry, Tool};
use medforge_runtime::bundle::{Description, Role, frame, sha256_hex};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A signed step of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// `medforge-forge-item`.
    pub format: String,
    /// 1.
    pub version: u32,
    /// 1 for v1.
    pub number: u64,
    /// The id of the item before; of the first, the root's.
    pub predecessor: String,
    pub kind: Kind,
    /// The contribution that a merge adds or a restore brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Member>,
    /// The contribution that a revert takes out or a skip passes over. In a merge, the older
    /// contribution of the same name that is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Member>,
    /// All pushes up to this number are merged or passed over, in this item or before it.
    pub push: u64,
    /// How many members it has.
    pub members: u64,
    /// The method and its settings, seed included.
    pub settings: Value,
    /// The [`Content`].
    pub content: Object,
    /// UTC, to the second.
    pub created: String,
    pub tool: Tool,
}

/// The step that an item records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Merge,
    Revert,
    /// A contribution that was taken out, replaced or passed over becomes a member again.
    Restore,
    /// The same members are merged by another method.
    Again,
    /// A push is passed over: the model stays as it was.
    Skip,
}

/// A contribution that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// `CONTRIBUTOR/TASK`.
    pub name: String,
    /// The contribution's id.
    pub contribution: String,
    /// The number of its push.
    pub push: u64,
}

/// Bytes in the store, named by their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    pub length: u64,
    pub sha256: String,
}

/// The content of an item: an object of the store, in canonical JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// In the order in which they came.
    pub members: Vec<Member>,
    /// The method's account of its result: weights, search trace.
    pub record: Value,
    /// The model, by file name.
    pub files: BTreeMap<String, Object>,
}

impl Object {
    /// The object of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Object { length: bytes.len() as u64, sha256: sha256_hex(bytes) }
    }

    fn check(&self, of: &str) -> Result<(), RuntimeError> {
        check_digest(of, &self.sha256)?;
        check_count(of, self.length)
    }
}

impl Member {
    fn check(&self) -> Result<(), RuntimeError> {
        check_text("the name of a member", &self.name)?;
        check_digest(&self.name, &self.contribution)?;
        check_count("push", self.push)
    }
}

impl Content {
    /// Refuses a content that contradicts itself.
    ///
    /// # Errors
    /// A refusal that says what is wrong.
    pub fn check(&self) -> Result<(), RuntimeError> {
        let mut names = BTreeSet::new();
        for member in &self.members {
            member.check()?;
            require(names.insert(&member.name), || format!("{} is a member twice", member.name))?;
        }
        for (name, object) in &self.files {
            frame::check_name(name)?;
            object.check(name)?;
        }
        check_numbers("record", &self.record)
    }
}

impl Description for Item {
    const PAYLOAD_TYPE: &'static str = "application/vnd.medforge.forge-item+json";
    const FORMAT: &'static str = "medforge-forge-item";
    const VERSION: u32 = 1;
    const ROLE: Role = Role::Maintainer;

    fn check(&self) -> Result<(), RuntimeError> {
        check_version::<Self>(&self.format, self.version.into())?;
        for (field, value) in
            [("number", self.number), ("push", self.push), ("members", self.members)]
        {
            check_count(field, value)?;
        }
        require(self.number > 0, || "the first item is 1".into())?;
        check_digest("predecessor", &self.predecessor)?;
        let adds = matches!(self.kind, Kind::Merge | Kind::Restore);
        require(self.added.is_some() == adds, || {
            "a merge or a restore, and nothing else, adds a member".into()
        })?;
        let removes = matches!(self.kind, Kind::Revert | Kind::Skip);
        require(self.kind == Kind::Merge || self.removed.is_some() == removes, || {
            "a revert removes a member, a skip names what it passes over, and nothing else but a \
             merge names one"
                .into()
        })?;
        self.added.iter().chain(&self.removed).try_for_each(Member::check)?;
        check_numbers("settings", &self.settings)?;
        self.content.check("content")?;
        check_time("created", &self.created)?;
        check_text("tool.name", &self.tool.name)?;
        check_text("tool.version", &self.tool.version)
    }

    fn entries(&self) -> &[Entry] {
        &[]
    }
}
