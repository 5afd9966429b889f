//! What a manifest may say of its modules and members.

use std::collections::{BTreeMap, BTreeSet};

use crate::Class;
use crate::bundle::manifest::content::{Manifest, Module};
use crate::bundle::rules::{check_digest as digest, require, unlisted};
use crate::bundle::texts::{check_task as task, check_text as name};
use crate::error::{Error, Refusal};

/// Above the rank of any full matrix in a base that is read here.
const MAX_RANK: u32 = 4096;

impl Manifest {
    pub(super) fn check_modules(
        &self,
        entries: &mut BTreeMap<&str, &str>,
    ) -> Result<BTreeMap<&str, &Module>, Error> {
        let mut modules = BTreeMap::new();
        for module in &self.modules {
            digest("module", &module.id)?;
            require(modules.insert(module.id.as_str(), module).is_none(), || {
                format!("module {} is there twice", module.id)
            })?;
            require(module.entry == format!("modules/{}.safetensors", module.id), || {
                format!(
                    "module {} is in entry {:?}; it must be in modules/ID.safetensors",
                    module.id, module.entry
                )
            })?;
            let found =
                entries.remove(module.entry.as_str()).ok_or_else(|| unlisted(&module.entry))?;
            require(found == module.id, || {
                format!("module {} has another digest than its entry ({found})", module.id)
            })?;
            digest("module.base", &module.base)?;
            if module.base != self.base.digest {
                let what = format!(
                    "module {} is for base {}, and the bundle has {}",
                    module.id, module.base, self.base.digest
                );
                return Err(Refusal::new(Class::ModuleWrongBase, what).entry(&module.entry).into());
            }
            name("contributor", &module.contributor)?;
            name("licence", &module.licence)?;
            task(&module.task)?;
            require((1..=MAX_RANK).contains(&module.rank), || {
                format!("module {} has rank {}", module.id, module.rank)
            })?;
            require(!module.sites.is_empty() && module.sites.is_sorted_by(|a, b| a < b), || {
                format!("module {} needs sites, sorted and each once", module.id)
            })?;
            module.sites.iter().try_for_each(|site| name("site", site))?;
        }
        Ok(modules)
    }

    /// Several members may have one card.
    pub(super) fn check_members(
        &self,
        tasks: &BTreeSet<&str>,
        entries: &mut BTreeMap<&str, &str>,
    ) -> Result<(), Error> {
        let (mut members, mut cards) = (BTreeSet::new(), BTreeSet::new());
        for member in &self.members {
            name("contributor", &member.contributor)?;
            name("licence", &member.licence)?;
            let of = format!("the member {}/{}", member.contributor, member.task);
            require(tasks.contains(member.task.as_str()), || {
                format!("{of} is for a task that has no head")
            })?;
            require(members.insert((&member.contributor, &member.task)), || {
                format!("{of} is there twice")
            })?;
            member.contribution.iter().try_for_each(|id| digest(&of, id))?;
            member.measured.iter().try_for_each(|measured| measured.check(&of))?;
            let Some(card) = &member.card else { continue };
            if let Some(found) = entries.remove(card.as_str()) {
                require(*card == format!("cards/{found}.md"), || {
                    format!("the card of {of} is in entry {card:?}; it must be in cards/SHA256.md")
                })?;
                cards.insert(card);
            }
            require(cards.contains(card), || {
                format!("the card of {of} is in entry {card:?}, which is not there")
            })?;
        }
        Ok(())
    }
}
