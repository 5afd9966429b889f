//! The input of a method: one site of every module, checked. The order of modules does not depend
//! on the caller's.

use std::collections::BTreeMap;

use faer::Mat;
use medforge_runtime::tensors::Tensor;
use sha2::{Digest, Sha256};

use super::{Grams, Method, Options, delta};
use crate::Error;
use crate::lora::{Module, dora};
use crate::random::{Purpose, Stream};

mod check;
use check::check;

/// One site of all modules.
pub struct Site<'a> {
    pub name: &'a str,
    pub outputs: usize,
    pub inputs: usize,
    /// One for each module. For RegMean, only modules with a Gram matrix.
    pub parts: Vec<WeightedFactors>,
    /// One for each part, for RegMean alone.
    pub grams: Vec<&'a Tensor>,
    seed: u64,
}

/// One module's change of a site: weight * B * A. The rank is 0 if it does not change it.
pub struct WeightedFactors {
    /// The module's weight times its alpha/rank.
    pub weight: f64,
    /// [out, rank]
    pub b: Mat<f64>,
    /// [rank, in]
    pub a: Mat<f64>,
    /// The start of the digest of the module's factors.
    key: u64,
}

impl Site<'_> {
    /// The random numbers of a module at this site. They depend on the module's factors, not on its
    /// place.
    pub fn stream(&self, part: &WeightedFactors, what: &str) -> Stream {
        let digest = Sha256::digest(format!("{what} of {}", self.name));
        Stream::at(self.seed, Purpose::Merge, part.key, first_word(&digest))
    }

    /// Each module's weighted delta, row by row.
    pub fn dense(&self) -> Vec<Vec<f64>> {
        self.parts.iter().map(|part| delta::values(&(part.scaled() * &part.a))).collect()
    }
}

impl WeightedFactors {
    /// B times the weight.
    pub fn scaled(&self) -> Mat<f64> {
        faer::Scale(self.weight) * &self.b
    }
}

/// All sites of `modules` by name, after every check that a merge needs.
pub fn gather<'a>(
    modules: &[&'a Module],
    options: &Options,
    grams: &[&'a Grams],
) -> Result<Vec<Site<'a>>, Error> {
    options.check(modules.len())?;
    let reads_grams = options.method == Method::RegMean;
    if reads_grams && grams.len() != modules.len() {
        let (given, wanted) = (grams.len(), modules.len());
        let what = format!(
            "regmean needs the Gram matrices of every module's inputs; {given} were given for \
             {wanted} modules"
        );
        return Err(Error::Merge { what });
    }
    for (index, module) in modules.iter().enumerate() {
        if dora::has_magnitudes(&module.sites) {
            return Err(dora::unfusable(&named(index, module)));
        }
        check(module, modules[0]).map_err(|what| refusal(index, module, &what))?;
    }
    let order = in_order(modules, options)?;
    let mut sites = BTreeMap::new();
    for module in modules {
        for (name, factors) in &module.sites {
            sites.entry(name.as_str()).or_insert((factors.b.shape[0], factors.a.shape[1]));
        }
    }
    let gather = |(name, (outputs, inputs))| {
        let mut site = Site {
            name,
            outputs,
            inputs,
            parts: Vec::new(),
            grams: Vec::new(),
            seed: options.seed,
        };
        for (digest, weight, index) in &order {
            let refuse =
                |what: String| refusal(*index, modules[*index], &format!("site {name}: {what}"));
            // A contributor measures Gram matrices at its own sites only.
            if reads_grams
                && !modules[*index].sites.contains_key(name)
                && !grams[*index].sites.contains_key(name)
            {
                continue;
            }
            site.parts.push(
                part(modules[*index], name, (outputs, inputs), digest, *weight).map_err(refuse)?,
            );
            if reads_grams {
                site.grams.push(gram(grams[*index], name, inputs).map_err(refuse)?);
            }
        }
        Ok(site)
    };
    sites.into_iter().map(gather).collect()
}

/// The digest of each module's factors, its weight times its scale, and its place. They are sorted,
/// so that the caller's order does not count.
fn in_order(modules: &[&Module], options: &Options) -> Result<Vec<(String, f64, usize)>, Error> {
    let weights = options.weights_of(modules.len());
    let mut order = Vec::new();
    for (index, module) in modules.iter().enumerate() {
        order.push((module.factors_digest()?, weights[index] * module.scale(), index));
    }
    order.sort_by(|x, y| x.0.cmp(&y.0).then(x.1.total_cmp(&y.1)));
    Ok(order)
}

/// How errors name a module.
fn refusal(index: usize, module: &Module, what: &str) -> Error {
    Error::Merge { what: format!("{} {what}", named(index, module)) }
}

fn named(index: usize, module: &Module) -> String {
    format!("module {} (task {}, from {})", index + 1, module.card.task, module.card.contributor)
}

/// A module's change of the site `name`.
fn part(
    module: &Module,
    name: &str,
    shape: (usize, usize),
    digest: &str,
    weight: f64,
) -> Result<WeightedFactors, String> {
    let key = first_word(&hex::decode(digest).unwrap_or_default());
    let Some(factors) = module.sites.get(name) else {
        let (b, a) = (Mat::zeros(shape.0, 0), Mat::zeros(0, shape.1));
        return Ok(WeightedFactors { weight, b, a, key });
    };
    let own = (factors.b.shape[0], factors.a.shape[1]);
    if own != shape {
        return Err(format!("has shape {own:?} (out, in) where another module has {shape:?}"));
    }
    Ok(WeightedFactors { weight, b: widened(&factors.b), a: widened(&factors.a), key })
}

fn gram<'a>(grams: &'a Grams, name: &str, inputs: usize) -> Result<&'a Tensor, String> {
    let gram = grams.sites.get(name).ok_or("its Gram matrix is missing")?;
    if gram.shape != [inputs, inputs] || gram.data.len() != inputs * inputs {
        return Err(format!(
            "its Gram matrix has shape {:?} where {:?} is expected",
            gram.shape,
            [inputs, inputs]
        ));
    }
    match gram.data.iter().find(|v| !v.is_finite()) {
        Some(value) => Err(format!("its Gram matrix holds {value}")),
        None => Ok(gram),
    }
}

/// The matrix in f64.
pub fn widened(tensor: &Tensor) -> Mat<f64> {
    let columns = tensor.shape[1];
    Mat::from_fn(tensor.shape[0], columns, |i, j| f64::from(tensor.data[i * columns + j]))
}

/// The first eight bytes as a number.
fn first_word(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
