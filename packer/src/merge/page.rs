//! A merge as a page. Names may hold any text, so [`crate::report`] escapes them.

use super::folder::{Member, MergedModel, Record};
use super::overlap::{SiteOverlap, between};
use crate::lora::Module;
use crate::report::{Block, Interval, Metrics, Report, facts_of};

/// The merge of `modules` as one page that loads nothing. `sites` come from
/// [`overlaps`](super::overlap::overlaps).
pub fn page(model: &MergedModel, modules: &[&Module], sites: &[SiteOverlap]) -> Report {
    let record = &model.record;
    let options = serde_json::to_value(&record.options).expect("options are plain data");
    let mut blocks = vec![
        facts(model),
        Block::Heading("Members".into()),
        Block::Facts(record.members.iter().map(member).collect()),
    ];
    blocks.extend(alike(record, modules));
    blocks.extend(site_by_site(record, sites));
    blocks.extend([Block::Heading("Settings".into()), Block::Facts(facts_of(&options))]);
    Report {
        title: format!("Merge of {} modules by {}", modules.len(), record.options.method),
        summary: "One change of the base for several tasks. How well it does, only patients whom \
                  no member saw can tell: packer eval."
            .into(),
        blocks,
    }
}

/// The model as a whole.
fn facts(model: &MergedModel) -> Block {
    let record = &model.record;
    let fact = |name: &str, value: String| (name.to_owned(), value);
    Block::Facts(vec![
        fact("Method", record.options.method.to_string()),
        fact("Base", record.base_digest.clone()),
        fact("Rank", model.rank().to_string()),
        fact(
            "Kept",
            format!(
                "{:.2} % of the deltas' squared norm, after the cut to that rank",
                100.0 * record.kept
            ),
        ),
        fact("Factors", record.factors.clone()),
        fact("Made", model.created().unwrap_or("at a time that is not known").to_owned()),
    ])
}

/// A member: its task, and the facts about it.
fn member(member: &Member) -> (String, String) {
    let who = format!("{}, {}", member.contributor, member.licence);
    let (classes, factors) = (member.classes.join(", "), &member.factors);
    let what = format!("weight {:.4}; {who}; classes {classes}; factors {factors}", member.weight);
    (member.task.clone(), what)
}

/// The cosines between the members.
fn alike(record: &Record, modules: &[&Module]) -> [Block; 3] {
    let names = names(record);
    let rows = between(modules).into_iter().zip(&names);
    let rows = rows
        .map(|(row, name)| (name.clone(), row.into_iter().map(|c| c.and_then(exact)).collect()));
    let rows = rows.collect();
    [
        Block::Heading("How like the members are".into()),
        Block::Text(
            "The cosine of the angle between two members' changes of the base, over all sites \
             together: near 0 they change different things, near 1 the \
             same, below 0 they undo one another."
                .into(),
        ),
        Block::Metrics(Metrics {
            caption: "Cosines between members".into(),
            columns: names,
            rows,
            bars: None,
        }),
    ]
}

/// The norms of the changes, and the members' cosines to the merged one.
fn site_by_site(record: &Record, sites: &[SiteOverlap]) -> [Block; 3] {
    let mut columns = vec!["merged, norm".to_owned()];
    columns.extend(
        names(record).iter().flat_map(|name| [format!("{name}, norm"), format!("{name}, cosine")]),
    );
    let rows = sites.iter().map(|site| {
        let own = site.modules.iter().flat_map(|own| [exact(own.norm), own.cosine.and_then(exact)]);
        (site.site.clone(), [exact(site.merged)].into_iter().chain(own).collect())
    });
    [
        Block::Heading("Site by site".into()),
        Block::Text(
            "The Frobenius norm of each change of a weight, each member's times its weight, and \
             its cosine to the merged one: how much of a member is in \
             the result. All are computed from the factors and have no spread."
                .into(),
        ),
        Block::Metrics(Metrics {
            caption: "Norms and cosines".into(),
            columns,
            rows: rows.collect(),
            bars: None,
        }),
    ]
}

fn names(record: &Record) -> Vec<String> {
    record.members.iter().map(|member| member.task.clone()).collect()
}

/// A number without an interval.
fn exact(value: f64) -> Option<Interval> {
    Some(Interval { value, interval: None })
}
