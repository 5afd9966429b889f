//! The methods that are compared: every method of a forge with its usual numbers, and its name.

use super::Question;
use crate::Error;
use crate::forge::Members;
use crate::forge::recipe::{Method, Mixture, RecipeSettings, SearchSets};
use crate::merge::fusion::FusionSettings;
use crate::merge::mixture::MixtureSettings;
use crate::merge::{self, Options, fusion};

/// A method with its numbers.
pub struct Candidate {
    pub name: String,
    pub settings: RecipeSettings,
}

/// Evaluations of a search without gradients, and of one with them.
const EVALUATIONS: usize = 40;
const STEPS: usize = 10;

/// The names of all methods.
pub fn methods() -> Vec<&'static str> {
    merge::Method::ALL
        .into_iter()
        .map(merge::Method::name)
        .chain(["fusion", "mixture", "routed"])
        .collect()
}

/// The methods that are compared on `members`, in the order of the rows.
pub fn candidates(question: &Question, members: &dyn Members) -> Result<Vec<Candidate>, Error> {
    let seed = question.seed;
    let free = |method| Method::Free(Options { seed, ..Options::new(method) });
    let fused = |level, finder, evaluations| {
        Method::Fusion(FusionSettings { level, finder, evaluations, seed })
    };
    let mixed = |joint, per_task, shares| {
        let search = MixtureSettings { per_task, shares, evaluations: EVALUATIONS, seed };
        Method::Mixture(Mixture { joint, search })
    };
    use fusion::{Finder, Level};
    let by_gradient = fused(Level::Whole, Finder::Gradient, STEPS);
    let one_network = [
        fused(Level::Whole, Finder::CmaEs, EVALUATIONS),
        by_gradient.clone(),
        fused(Level::Site, Finder::Gradient, STEPS),
    ];
    let several = [
        mixed(false, false, false),
        mixed(true, false, false),
        mixed(false, true, true),
        Method::Routed,
    ];
    let methods = merge::Method::ALL.into_iter().map(free).chain(one_network).chain(several);

    let mut candidates = Vec::new();
    for method in methods {
        let refitted =
            question.refit && (matches!(method, Method::Free(_)) || method == by_gradient);
        for refit_heads in [false, true].into_iter().take(1 + usize::from(refitted)) {
            let settings = RecipeSettings {
                method: method.clone(),
                condensed: SearchSets::SoFar,
                refit_heads,
                routing: false,
            };
            candidates.push(Candidate { name: words(&settings), settings });
        }
    }
    let name = |candidate: &Candidate| candidate.settings.method.name();
    match question.methods.is_empty() {
        true if !all_gave_grams(members)? => {
            candidates.retain(|c| name(c) != merge::Method::RegMean.name())
        }
        true => (),
        false => candidates.retain(|c| question.methods.iter().any(|chosen| chosen == name(c))),
    }
    Ok(candidates)
}

/// A method in the words that follow `packer forge merge --method`, without its numbers.
pub fn words(settings: &RecipeSettings) -> String {
    let mut words = settings.method.name().to_owned();
    match &settings.method {
        Method::Fusion(search) => {
            let level = if search.level == fusion::Level::Whole { "whole" } else { "site" };
            let finder = if search.finder == fusion::Finder::CmaEs { "cma-es" } else { "gradient" };
            words += &format!(" --level {level} --search {finder}");
        }
        Method::Mixture(Mixture { joint, search }) => {
            for (option, given) in [
                (" --joint", *joint),
                (" --per-task", search.per_task),
                (" --shares", search.shares),
            ] {
                words += if given { option } else { "" };
            }
        }
        Method::Free(_) | Method::Routed => (),
    }
    if let SearchSets::All(_) = settings.condensed {
        words += " --condensed all";
    }
    for (option, given) in
        [(" --refit-heads", settings.refit_heads), (" --routing", settings.routing)]
    {
        words += if given { option } else { "" };
    }
    words
}

fn all_gave_grams(members: &dyn Members) -> Result<bool, Error> {
    for i in 0..members.len() {
        if members.grams(i)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}
