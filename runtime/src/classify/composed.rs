//! Modules that act together, laid out for the base: from features to probabilities.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use super::base::{Adapter, Base, Factors};
use super::head::Head;
use super::parts;
use super::result::{Abstain, Assessment};
use crate::Error;
use crate::bundle::manifest::{Mode, WeightedModule};
use crate::bundle::sha256_hex;

/// A module, as it came in a bundle.
pub(super) struct Module {
    pub id: String,
    /// The task that it was trained for.
    pub task: String,
    pub factors: BTreeMap<String, Factors>,
    /// Laid out when it is first asked for, and then for all.
    adapter: OnceLock<Arc<Adapter>>,
}

/// Modules that act together, laid out.
pub(super) struct Composed {
    /// SHA-256 of the base, the head, the mode and the parts.
    pub id: Arc<str>,
    mode: Mode,
    /// One for a fusion (of no modules: the frozen base), else one a module.
    pub networks: Vec<Arc<Adapter>>,
    /// Each module with its weight. In a routed composition that is multiplied with the share of
    /// the module's task in an image.
    parts: Vec<(Arc<Module>, f64)>,
    /// The network of the task's own module, where this is the composition that the head was
    /// calibrated for.
    calibrated: Option<usize>,
}

/// What a composition's id is made of, as JSON in this order of keys.
#[derive(Serialize)]
struct Identity<'a> {
    base: &'a str,
    head: &'a str,
    mode: Mode,
    parts: &'a [WeightedModule],
}

impl Composed {
    /// `parts` of `modules` under `mode`, for the base with this digest.
    pub fn new(
        base: &Base,
        digest: &str,
        head: &Head,
        mode: Mode,
        parts: &[WeightedModule],
        modules: &BTreeMap<String, Arc<Module>>,
    ) -> Result<Self, Error> {
        let known = parts.iter().map(|part| match modules.get(&part.module) {
            Some(module) => Ok((module.clone(), part.weight)),
            None => {
                let known = modules.keys().cloned().collect::<Vec<_>>().join(", ");
                Err(Error::UnknownModule { module: part.module.clone(), known })
            }
        });
        let known: Vec<_> = known.collect::<Result<_, _>>()?;
        let networks = match mode {
            Mode::Fusion if matches!(&known[..], [(_, 1.0)]) => vec![known[0].0.adapter(base)?],
            Mode::Fusion => {
                if let Some((module, _)) = known.iter().find(|(module, _)| module.is_scaled()) {
                    let what = format!(
                        "DoRA modules mix but do not fuse: module {} has scales; take it alone \
                         with weight 1, or mix the modules",
                        module.id
                    );
                    return Err(Error::Selection { what });
                }
                let rank: usize = known.iter().map(|(module, _)| module.rank()).sum();
                if rank > MOST_RANKS {
                    let what = format!(
                        "the modules have rank {rank} together, more than {MOST_RANKS}; mix them \
                         instead"
                    );
                    return Err(Error::Selection { what });
                }
                let all: Vec<_> =
                    known.iter().map(|(module, weight)| (&module.factors, *weight)).collect();
                vec![Arc::new(base.adapter(&parts::fused(&all, &base.signature.sites))?)]
            }
            Mode::Mixture | Mode::Routed => {
                known.iter().map(|(module, _)| module.adapter(base)).collect::<Result<_, _>>()?
            }
        };
        let identity = Identity { base: digest, head: &head.digest, mode, parts };
        let json = serde_json::to_vec(&identity)
            .map_err(|error| Error::Selection { what: error.to_string() })?;
        Ok(Composed {
            id: sha256_hex(&json).into(),
            mode,
            networks,
            parts: known,
            calibrated: None,
        })
    }

    /// The same as the composition that `head` was calibrated for, if it was.
    pub fn calibrated(self, head: &Head) -> Self {
        let own = self.parts.iter().position(|(module, _)| module.task == head.task);
        Composed { calibrated: own.filter(|_| head.calibration.is_some()), ..self }
    }

    /// What calibration says of an image with these features and probabilities; none where the head
    /// was not calibrated for this composition.
    pub fn assessment(
        &self,
        head: &Head,
        features: &[Vec<f32>],
        probabilities: &[f32],
    ) -> Option<Assessment> {
        let (own, stated) = (self.calibrated?, head.calibration.as_ref()?);
        let score = head.logits.familiar.as_ref()?.score(features.get(own)?);
        let largest = probabilities.iter().copied().fold(0.0, f32::max);
        let abstain = if score.is_nan() || score > stated.threshold {
            Some(Abstain::Unfamiliar)
        } else if f64::from(largest) < stated.least_probability {
            Some(Abstain::Unsure)
        } else {
            None
        };
        Some(Assessment { score, threshold: stated.threshold, abstain })
    }

    /// Bytes of networks that are not its modules' own.
    pub fn bytes(&self) -> usize {
        let own = |network: &&Arc<Adapter>| {
            !self.modules().any(|module| {
                module.adapter.get().is_some_and(|adapter| Arc::ptr_eq(adapter, network))
            })
        };
        self.networks.iter().filter(own).map(|network| network.bytes()).sum()
    }

    /// How the modules act together, and each with its weight where nothing is routed.
    pub fn parts(&self) -> (Mode, impl Iterator<Item = (&str, f64)>) {
        (self.mode, self.parts.iter().map(|(module, weight)| (module.id.as_str(), *weight)))
    }

    /// Whether modules are weighted by what the frozen base sees.
    pub fn routed(&self) -> bool {
        self.mode == Mode::Routed
    }

    /// The modules.
    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.parts.iter().map(|(module, _)| &**module)
    }

    /// Each module's weight for an image with these shares of the tasks.
    pub fn weights(&self, shares: Option<&BTreeMap<&str, f64>>) -> Vec<f64> {
        let share = |task: &String| {
            shares
                .filter(|_| self.routed())
                .map_or(1.0, |s| s.get(task.as_str()).copied().unwrap_or(0.0))
        };
        self.parts.iter().map(|(module, weight)| weight * share(&module.task)).collect()
    }

    /// The probabilities of the classes from the features under each network, computed in f64.
    ///
    /// For one network that is the head's softmax. For several it is the sum with `weights`, which
    /// is then divided by its total. Negative sums count as zero. Where nothing is left, all
    /// classes have the same probability.
    pub fn probabilities(
        &self,
        head: &Head,
        features: &[Vec<f32>],
        weights: &[f64],
    ) -> Result<Vec<f32>, Error> {
        let stated = self.calibrated.and(head.calibration.as_ref());
        let temperature = stated.map_or(1.0, |stated| stated.temperature);
        let mut sum = match (self.mode, features) {
            (Mode::Fusion, [feature]) => head.softmax(feature, temperature),
            _ => {
                let mut sum = vec![0.0; head.classes.len()];
                for (feature, weight) in features.iter().zip(weights) {
                    sum.iter_mut()
                        .zip(head.softmax(feature, temperature))
                        .for_each(|(s, p)| *s += weight * p);
                }
                sum
            }
        };
        if sum.iter().any(|p| !p.is_finite()) {
            return Err(Error::Device {
                what: "the head gave probabilities that are not finite".into(),
            });
        }
        sum.iter_mut().for_each(|p| *p = p.max(0.0));
        let total: f64 = sum.iter().sum();
        let even = 1.0 / sum.len() as f64;
        Ok(sum.iter().map(|p| if total > LEAST { p / total } else { even } as f32).collect())
    }
}

impl Module {
    pub fn new(id: &str, task: &str, factors: BTreeMap<String, Factors>) -> Self {
        Module { id: id.to_owned(), task: task.to_owned(), factors, adapter: OnceLock::new() }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let scale = |f: &Factors| f.magnitude_scale.as_deref().map_or(0, size_of_val);
        let factors = self
            .factors
            .values()
            .map(|f| size_of_val(&*f.a) + size_of_val(&*f.b) + scale(f))
            .sum::<usize>();
        factors + self.adapter.get().map_or(0, |adapter| adapter.bytes())
    }

    fn adapter(&self, base: &Base) -> Result<Arc<Adapter>, Error> {
        match self.adapter.get() {
            Some(adapter) => Ok(adapter.clone()),
            None => {
                let adapter = Arc::new(base.adapter(&self.factors)?);
                Ok(self.adapter.get_or_init(|| adapter).clone())
            }
        }
    }

    /// Whether it has magnitude scales, as DoRA has.
    fn is_scaled(&self) -> bool {
        self.factors.values().any(|factors| factors.magnitude_scale.is_some())
    }

    /// The largest at any site.
    fn rank(&self) -> usize {
        self.factors.values().map(|factors| factors.rank).max().unwrap_or(0)
    }
}

/// A sum of probabilities below this is nothing.
const LEAST: f64 = 1e-12;

/// Ranks of a fusion: more than any site has inputs, so that its sum of products would be smaller
/// as a matrix.
const MOST_RANKS: usize = 8192;
