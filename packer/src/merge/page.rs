//! A merge as a page. Names are whatever somebody chose; [`crate::report`] escapes every text.

use super::folder::MergedModel;
use super::overlap::{SiteOverlap, between};
use crate::lora::Module;
use crate::report::{Block, Interval, Metrics, Report, facts_of};

/// The merge of `modules` as one page that loads nothing; `sites` are what
/// [`overlaps`](super::overlap::overlaps) gives.
pub fn page(model: &MergedModel, modules: &[&Module], sites: &[SiteOverlap]) -> Report {
    let record = &model.record;
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let names: Vec<String> = record.members.iter().map(|member| member.task.clone()).collect();
    let exact = |value: f64| Some(Interval { value, interval: None });
    let members = record.members.iter().map(|member| {
        let who = format!("{}, {}", member.contributor, member.licence);
        fact(
            &member.task,
            format!(
                "weight {:.4}; {who}; classes {}; factors {}",
                member.weight,
                member.classes.join(", "),
                member.factors
            ),
        )
    });
    let mut columns = vec!["merged, norm".to_owned()];
    columns
        .extend(names.iter().flat_map(|name| [format!("{name}, norm"), format!("{name}, cosine")]));
    let rows = sites.iter().map(|site| {
        let own = site.modules.iter().flat_map(|own| [exact(own.norm), own.cosine.and_then(exact)]);
        (site.site.clone(), [exact(site.merged)].into_iter().chain(own).collect())
    });
    let cosines = between(modules).into_iter().zip(&names);
    let cosines = cosines
        .map(|(row, name)| (name.clone(), row.into_iter().map(|c| c.and_then(exact)).collect()));
    let cosines = cosines.collect();
    let options = serde_json::to_value(&record.options).expect("options are plain data");
    let blocks = vec![
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
        ]),
        Block::Heading("Members".into()),
        Block::Facts(members.collect()),
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
            rows: cosines,
            bars: None,
        }),
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
        Block::Heading("Settings".into()),
        Block::Facts(facts_of(&options)),
    ];
    Report {
        title: format!("Merge of {} modules by {}", modules.len(), record.options.method),
        summary: "One change of the base for several tasks. How well it does, only patients whom \
                  no member saw can tell: packer eval."
            .into(),
        blocks,
    }
}
