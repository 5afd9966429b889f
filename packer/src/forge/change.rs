//! What a step changes among the members, for each kind of item.

use super::{Kind, Member, Pushed};

/// What a step changes.
pub(super) struct Change {
    pub kind: Kind,
    pub added: Option<Member>,
    pub removed: Option<Member>,
    pub push: u64,
    pub members: Vec<Member>,
}

impl Member {
    pub(super) fn of(pushed: &Pushed) -> Self {
        let (name, contribution) =
            (pushed.signed.description().name.clone(), pushed.signed.id().to_owned());
        Member { name, contribution, push: pushed.number }
    }
}

impl Change {
    /// The contribution `pushed` joins `members`, in place of an older one of its name.
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

    /// The contribution `leaving` goes. None if it is no member.
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

    /// The contribution `returning` comes back to `members`. None if one of its name is there.
    pub fn restore(members: &[Member], returning: &Member, push: u64) -> Option<Self> {
        let free = members.iter().all(|member| member.name != returning.name);
        let members = members.iter().chain([returning]).cloned().collect();
        let added = Some(returning.clone());
        free.then_some(Change { kind: Kind::Restore, added, removed: None, push, members })
    }

    /// Whether the model is built from the first member on.
    pub fn begins(&self) -> bool {
        begins(self.kind, self.removed.as_ref())
    }

    /// The members stay the same.
    pub fn again(members: &[Member], push: u64) -> Self {
        Change { kind: Kind::Again, added: None, removed: None, push, members: members.to_vec() }
    }
}

/// Whether an item's model is built from its first member on, without any model before it.
pub(super) fn begins(kind: Kind, removed: Option<&Member>) -> bool {
    kind == Kind::Again || removed.is_some()
}
