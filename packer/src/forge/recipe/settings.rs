//! A method and its numbers, as an item records them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::merge::Options;
use crate::merge::fusion::FusionSettings;
use crate::merge::mixture::MixtureSettings;

/// A method and all of its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeSettings {
    pub method: Method,
    /// The condensed sets that a search uses.
    pub condensed: SearchSets,
    /// Whether each task's head is fitted again on its condensed set, under the merged network.
    pub refit_heads: bool,
    /// Whether the model can tell an image's task by itself. A routed model always can.
    pub routing: bool,
}

/// How members become one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// One network of all members at once, without data.
    Free(Options),
    /// One network, from the previous model and the new member.
    Fusion(FusionSettings),
    /// Every member's network, their probabilities weighted.
    Mixture(Mixture),
    /// Every member's network. The base's feature of an image decides the weights.
    Routed,
}

/// How a mixture's weights are found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// All weights together. If not, the new weight is found beside the old ones, which are scaled.
    pub joint: bool,
    pub search: MixtureSettings,
}

/// The condensed sets that a search uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchSets {
    /// Those of the members.
    SoFar,
    /// Those of the members, and of all else that was pushed up to this number.
    All(u64),
}

/// More evaluations than any search needs.
const MOST_EVALUATIONS: usize = 100_000;

impl Method {
    /// The name, as written on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Free(options) => options.method.name(),
            Method::Fusion(_) => "fusion",
            Method::Mixture(_) => "mixture",
            Method::Routed => "routed",
        }
    }
}

impl RecipeSettings {
    /// The name of the method in the settings that an item records; `?` if it is unknown.
    pub fn method_name(recorded: &Value) -> &'static str {
        serde_json::from_value(recorded.clone())
            .map_or("?", |settings: RecipeSettings| settings.method.name())
    }

    /// Refuses numbers out of range and combinations without meaning.
    pub(super) fn check(&self) -> Result<(), Error> {
        let refuse = |what: &str| Err(Error::Merge { what: what.into() });
        let evaluations = match &self.method {
            Method::Free(options) => {
                if !options.weights.is_empty() {
                    return refuse(
                        "a forge's members come and go; weights of their own are not for it",
                    );
                }
                options.check(1)?;
                1
            }
            Method::Fusion(search) => search.evaluations,
            Method::Mixture(mixture) if mixture.search.shares => 1,
            Method::Mixture(mixture) => mixture.search.evaluations,
            Method::Routed => 1,
        };
        if !(1..=MOST_EVALUATIONS).contains(&evaluations) {
            return Err(Error::Merge {
                what: format!("{evaluations} evaluations are not 1 to {MOST_EVALUATIONS}"),
            });
        }
        let one_network = matches!(self.method, Method::Free(_) | Method::Fusion(_));
        if self.refit_heads && !one_network {
            return refuse(
                "heads are refitted under one network; a mixture or a routed model has several",
            );
        }
        let searches = matches!(self.method, Method::Fusion(_) | Method::Mixture(_));
        if self.condensed != SearchSets::SoFar && !searches {
            return refuse("only fusion and mixture search on condensed sets, so-far or all");
        }
        Ok(())
    }
}
