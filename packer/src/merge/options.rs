//! How to merge: the method and its numbers. Numbers out of range are refused, whether they come
//! from options or from a file.

use serde::{Deserialize, Serialize};

use crate::Error;

mod names;

/// The largest rank of a module's file.
pub const MAX_RANK: usize = 1024;

/// How to merge. Everything that changes the result is here, and is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    pub method: Method,
    /// The factor of each module's delta before the method is applied. If empty, it is 1/n each for
    /// `average`, and 1 each otherwise.
    pub weights: Vec<f64>,
    pub space: Space,
    pub rank: Rank,
    /// The share of values that `ties`, `dare-*`, `della`, `breadcrumbs`, `knots` and `core-space`
    /// keep, in (0, 1].
    pub density: f64,
    /// The share of values, the largest, that `breadcrumbs` drops.
    pub outliers: f64,
    /// How far apart `della`'s highest and lowest drop probability are.
    pub window: f64,
    /// What `regmean` multiplies the Gram matrices' off-diagonal values with, in [0, 1].
    pub off_diagonal: f64,
    pub seed: u64,
}

/// The methods. Each has a file that says what it computes and where it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Method {
    Average,
    TaskArithmetic,
    Ties,
    DareLinear,
    DareTies,
    Della,
    Breadcrumbs,
    Svd,
    Knots,
    CoreSpace,
    Tsv,
    IsoC,
    RegMean,
}

/// What is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Space {
    /// The deltas s*B*A: exact.
    Delta,
    /// A and B apart, as PEFT and the paper's code do. This squares weights and adds cross terms.
    Factors,
}

/// The rank of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Rank {
    /// As much as the method needs: the sum of the ranks if it sums, else the numerical rank.
    Exact,
    /// This rank at most: the best approximation of each site's delta.
    AtMost(usize),
}

impl Options {
    /// The method with the numbers of its paper, or of its authors' code: density 0.2 where TIES
    /// trims (Yadav et al.), 0.1 for DARE (Yu et al. drop 0.9), 0.7 and a window of 0.14 for DELLA,
    /// 0.09 and 0.01 of outliers for Breadcrumbs, off-diagonals times 0.9 for RegMean.
    pub fn new(method: Method) -> Self {
        let density = match method {
            Method::DareLinear | Method::DareTies => 0.1,
            Method::Della => 0.7,
            Method::Breadcrumbs => 0.09,
            _ => 0.2,
        };
        Options {
            method,
            weights: Vec::new(),
            space: Space::Delta,
            rank: Rank::Exact,
            density,
            outliers: 0.01,
            window: 0.14,
            off_diagonal: 0.9,
            seed: 0,
        }
    }

    /// The weights of `modules` modules: those given, or the method's own.
    pub fn weights_of(&self, modules: usize) -> Vec<f64> {
        match (self.weights.is_empty(), self.method) {
            (false, _) => self.weights.clone(),
            (true, Method::Average) => vec![1.0 / modules as f64; modules],
            (true, _) => vec![1.0; modules],
        }
    }

    /// Whether a single module comes out unchanged.
    pub(super) fn keeps_one(&self) -> bool {
        let sums = matches!(self.method, Method::Average | Method::TaskArithmetic);
        sums && (self.space, self.rank) == (Space::Delta, Rank::Exact)
            && self.weights_of(1) == [1.0]
    }

    /// Refuses numbers out of range, since options may come from a file.
    pub fn check(&self, modules: usize) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Merge { what });
        if modules == 0 {
            return refuse("there is no module to merge".into());
        }
        let weights = self.weights.len();
        if weights != 0 && weights != modules {
            return refuse(format!(
                "{weights} weights were given for {modules} modules; give one for each, or none"
            ));
        }
        if let Some(weight) = self.weights.iter().find(|w| !w.is_finite()) {
            return refuse(format!("the weight {weight} is not a finite number"));
        }
        if !(self.density > 0.0 && self.density <= 1.0) {
            return refuse(format!("the density is {}, outside (0, 1]", self.density));
        }
        let shares = [
            ("share of outliers", self.outliers),
            ("window", self.window),
            ("off-diagonal factor", self.off_diagonal),
        ];
        if let Some((name, value)) = shares.iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            return refuse(format!("the {name} is {value}, outside 0 to 1"));
        }
        // Sums of decimal fractions may be off by rounding.
        if self.method == Method::Breadcrumbs
            && self.density < 1.0
            && self.density + self.outliers > 1.0 + 1e-9
        {
            let (density, outliers) = (self.density, self.outliers);
            return refuse(format!(
                "a density of {density} and {outliers} of outliers are more than everything"
            ));
        }
        let half = self.window / 2.0 - 1e-9;
        if self.method == Method::Della
            && self.density < 1.0
            && (self.density < half || self.density + half > 1.0)
        {
            let (density, window) = (self.density, self.window);
            return refuse(format!(
                "a window of {window} around the density {density} leaves 0 to 1; narrow it"
            ));
        }
        match self.rank {
            Rank::AtMost(rank) if !(1..=MAX_RANK).contains(&rank) => {
                refuse(format!("the rank is {rank}, outside 1 to {MAX_RANK}"))
            }
            _ => Ok(()),
        }
    }
}

impl Method {
    pub const ALL: [Method; 13] = [
        Method::Average,
        Method::TaskArithmetic,
        Method::Ties,
        Method::DareLinear,
        Method::DareTies,
        Method::Della,
        Method::Breadcrumbs,
        Method::Svd,
        Method::Knots,
        Method::CoreSpace,
        Method::Tsv,
        Method::IsoC,
        Method::RegMean,
    ];

    /// As written on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Method::Average => "average",
            Method::TaskArithmetic => "task-arithmetic",
            Method::Ties => "ties",
            Method::DareLinear => "dare-linear",
            Method::DareTies => "dare-ties",
            Method::Della => "della",
            Method::Breadcrumbs => "breadcrumbs",
            Method::Svd => "svd",
            Method::Knots => "knots",
            Method::CoreSpace => "core-space",
            Method::Tsv => "tsv",
            Method::IsoC => "iso-c",
            Method::RegMean => "regmean",
        }
    }
}
