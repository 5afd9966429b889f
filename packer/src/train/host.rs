//! Trained weights on the host: how they start, and how the trained ones become module, head and
//! base.

use std::collections::BTreeMap;

use medforge_runtime::tensors::Tensor;

use crate::Error;
use crate::base::Vit;
use crate::lora::dora::row_norms;
use crate::lora::{Factors, Head};
use crate::random::{Purpose, Stream};

use super::settings::{Method, TrainSettings, targets};

/// Weights on the host, by name: `SITE.lora_a`, `SITE.lora_b`, with DoRA
/// `SITE.lora_magnitude_vector`, the base's own names, `head.weight`, `head.bias`.
pub type Host = BTreeMap<String, Tensor>;

/// What the name of a site's magnitudes ends with.
pub const MAGNITUDE: &str = "lora_magnitude_vector";

/// The weights that a training starts from, but for a head. A is uniform within 1/sqrt(in) (as PEFT
/// starts it), B zero, magnitudes the norms of the frozen weight's rows. Full training starts from
/// the base.
///
/// # Errors
/// Targets that the base does not have.
pub fn initial(vit: &Vit, settings: &TrainSettings) -> Result<Host, Error> {
    let Method::Lora { rank, targets: text, last_layers, dora, .. } = &settings.method else {
        return Ok(vit.tensors.iter().map(|(n, t)| (n.clone(), t.read())).collect());
    };
    let mut host = Host::new();
    let sites = targets(text)?.sites(&vit.config, *last_layers)?;
    for (i, (site, target)) in sites.into_iter().enumerate() {
        let (out, inputs) = target.shape(&vit.config);
        let mut stream = Stream::at(settings.seed, Purpose::Initial, i as u64, 0);
        let bound = 1.0 / (inputs as f64).sqrt();
        let a = (0..rank * inputs).map(|_| stream.range(-bound, bound) as f32).collect();
        host.insert(format!("{site}.lora_a"), Tensor::f32(vec![*rank, inputs], a));
        let b = vec![0.0; out * rank];
        host.insert(format!("{site}.lora_b"), Tensor::f32(vec![out, *rank], b));
        if *dora {
            let norms = row_norms(&vit.tensor(&format!("{site}.weight")));
            host.insert(format!("{site}.{MAGNITUDE}"), Tensor::f32(vec![out], norms));
        }
    }
    Ok(host)
}

/// A head for `classes` classes of `features` features, all zero.
pub fn zero_head(classes: usize, features: usize) -> [(String, Tensor); 2] {
    let zeros = |shape: Vec<usize>| {
        let len = shape.iter().product();
        Tensor::f32(shape, vec![0.0; len])
    };
    [
        ("head.weight".into(), zeros(vec![classes, features])),
        ("head.bias".into(), zeros(vec![classes])),
    ]
}

/// Trained weights, told apart.
pub struct TrainedWeights {
    /// The factors of each site; none after full training.
    pub sites: BTreeMap<String, Factors>,
    pub head: Head,
    /// The base's weights; only after full training.
    pub base: Option<Host>,
}

/// Tells trained weights apart. `fixed` is the head where none was trained.
///
/// # Errors
/// [`Error::Checkpoint`]: a head's tensor is missing.
pub fn divide(
    mut weights: Host,
    classes: &[String],
    fixed: Option<&Head>,
    settings: &TrainSettings,
) -> Result<TrainedWeights, Error> {
    let mut take = |name: &str| {
        let missing = || Error::Checkpoint { what: format!("tensor {name} is missing") };
        weights.remove(name).ok_or_else(missing)
    };
    let head = match fixed {
        Some(head) => head.clone(),
        None => Head {
            classes: classes.to_vec(),
            weight: take("head.weight")?,
            bias: take("head.bias")?,
            logit_scale: None,
            temperature: 1.0,
            familiar: None,
        },
    };
    if settings.method == Method::Full {
        return Ok(TrainedWeights { sites: BTreeMap::new(), head, base: Some(weights) });
    }
    let names: Vec<String> =
        weights.keys().filter_map(|n| n.strip_suffix(".lora_a").map(str::to_owned)).collect();
    let mut sites = BTreeMap::new();
    for site in names {
        let mut half = |half: &str| {
            weights.remove(&format!("{site}.{half}")).expect("both halves are made together")
        };
        let (a, b) = (half("lora_a"), half("lora_b"));
        let factors = Factors { a, b, magnitude: weights.remove(&format!("{site}.{MAGNITUDE}")) };
        sites.insert(site, factors);
    }
    Ok(TrainedWeights { sites, head, base: None })
}
