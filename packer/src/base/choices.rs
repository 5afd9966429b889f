//! What a reader of a base may be told: what no file of some bases says, and what a user wants
//! otherwise than the files have it.
//!
//! Refused: a feature that the network has no parts for, heads other than those that the files
//! give, a crop of images that are not cropped, sizes that the patches do not fill, and a type that
//! is too small for a weight.

use std::collections::BTreeMap;
use std::str::FromStr;

use medforge_runtime::preprocess::{Preprocessing, Resize, Size};
use medforge_runtime::tensors::Dtype;

use super::stored::StoredTensor;
use super::vit_config::{Family, MAX_IMAGE_SIZE, Pooling, VitConfig};
use crate::Error;

/// What is chosen when a base is read; nothing by default, so that the files decide.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choices {
    /// Heads of each attention, where no file says how many there are.
    pub heads: Option<usize>,
    /// What becomes the feature.
    pub feature: Option<Feature>,
    /// The share of an image's shorter side that is seen: above 0, up to 1.
    pub crop_pct: Option<f64>,
    /// Side in pixels of the images that the base is for.
    pub size: Option<u32>,
    /// The type that matrices and tables are rounded to. Vectors (norms, biases, scales of layers)
    /// stay as they are: they are few, and small values lose most.
    pub dtype: Option<Dtype>,
}

/// What of the last tokens becomes the feature: [`Pooling`] without its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The class token.
    Class,
    /// The mean of the patches, each after the last norm.
    Mean,
    /// The last norm of the mean of the patches.
    NormOfMean,
    /// Class token and mean side by side.
    ClassMean,
    /// What one learned query attends to.
    Attention,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 5] = [
        Feature::Class,
        Feature::Mean,
        Feature::NormOfMean,
        Feature::ClassMean,
        Feature::Attention,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Feature::Class => "class",
            Feature::Mean => "mean",
            Feature::NormOfMean => "norm-of-mean",
            Feature::ClassMean => "class-mean",
            Feature::Attention => "attention",
        }
    }

    /// What the feature of `config` is.
    pub fn of(config: &VitConfig) -> Self {
        match config.pooling {
            Pooling::Class => Feature::Class,
            Pooling::Mean => Feature::Mean,
            Pooling::NormOfMean => Feature::NormOfMean,
            Pooling::ClassMean => Feature::ClassMean,
            Pooling::Attention { .. } => Feature::Attention,
        }
    }

    /// Whether a network as `config` has what this feature is made of. That a head for pooling by
    /// attention is in the file is taken for granted.
    ///
    /// A projection was made for one feature. A last norm of the mean was trained for no tokens.
    pub fn fits(self, config: &VitConfig) -> bool {
        let own = Feature::of(config);
        let class = !config.no_class_token;
        self == own
            || config.projection.is_none()
                && own != Feature::NormOfMean
                && match self {
                    Feature::Class | Feature::ClassMean => class,
                    Feature::Mean | Feature::NormOfMean => true,
                    Feature::Attention => config.family == Family::Siglip,
                }
    }

    /// The pooling of a network as `config`; `mlp` is the inner width of a head that pools by
    /// attention.
    pub fn pooling(self, config: &VitConfig, mlp: usize) -> Pooling {
        match self {
            Feature::Class => Pooling::Class,
            Feature::Mean => Pooling::Mean,
            Feature::NormOfMean => Pooling::NormOfMean,
            Feature::ClassMean => Pooling::ClassMean,
            Feature::Attention => Pooling::Attention { heads: config.heads, mlp },
        }
    }
}

impl FromStr for Feature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Feature::ALL.map(Feature::name).join(", ");
        let found = Feature::ALL.into_iter().find(|feature| feature.name() == text);
        found.ok_or_else(|| format!("{text:?} is none of {names}"))
    }
}

impl Choices {
    /// The heads of a base whose files say `said`; none where neither says it.
    ///
    /// # Errors
    /// [`Error::Option`]: the files say another number.
    pub fn heads(&self, said: Option<usize>) -> Result<Option<usize>, Error> {
        match (self.heads, said) {
            (Some(chosen), Some(said)) if chosen != said => {
                let what = format!("are {chosen}, and the base's files say that there are {said}");
                Err(Error::Option { name: "the heads", what })
            }
            (chosen, said) => Ok(chosen.or(said)),
        }
    }

    /// Gives `config` the feature that was chosen.
    ///
    /// # Errors
    /// [`Error::Option`]: the network has no parts for it.
    pub fn pool(&self, config: &mut VitConfig) -> Result<(), Error> {
        let Some(feature) = self.feature.filter(|feature| *feature != Feature::of(config)) else {
            return Ok(());
        };
        if !feature.fits(config) {
            let possible = Feature::ALL.into_iter().filter(|feature| feature.fits(config));
            let possible: Vec<&str> = possible.map(Feature::name).collect();
            let what = format!(
                "is {}, which this base has no parts for; it has {}",
                feature.name(),
                possible.join(", ")
            );
            return Err(Error::Option { name: "the feature", what });
        }
        config.pooling = feature.pooling(config, config.mlp);
        Ok(())
    }

    /// Rounds `tensors` to the type that was chosen.
    ///
    /// # Errors
    /// [`Error::Option`]: a value is too large for it.
    pub fn round(&self, tensors: &mut BTreeMap<String, StoredTensor>) -> Result<(), Error> {
        let Some(dtype) = self.dtype else { return Ok(()) };
        for (name, tensor) in tensors.iter_mut().filter(|(_, tensor)| tensor.shape.len() > 1) {
            *tensor = tensor.rounded(dtype).map_err(|value| {
                let what = format!("is too small a type for {value} in {name}; take bfloat16");
                Error::Option { name: "the type of the weights", what }
            })?;
        }
        Ok(())
    }

    /// `own`, with the crop that was chosen.
    ///
    /// # Errors
    /// [`Error::Option`]: it is none, or images are padded.
    pub fn crop(&self, own: Preprocessing) -> Result<Preprocessing, Error> {
        self.crop_pct.map_or_else(|| Ok(own.clone()), |share| cropped(&own, share))
    }
}

/// `own`, with images brought to such a size that the crop is `share` of their shorter side.
fn cropped(own: &Preprocessing, share: f64) -> Result<Preprocessing, Error> {
    let refuse = |what: String| Err(Error::Option { name: "the crop", what });
    let side = own.output_size();
    let edges = [side.height, side.width].map(|side| (f64::from(side) / share).floor());
    let most = 2.0 * MAX_IMAGE_SIZE as f64;
    if !(share > 0.0 && share <= 1.0 && edges.iter().all(|edge| *edge <= most)) {
        return refuse(format!("is {share}; it is the share that is seen, such as 0.875 or 1"));
    }
    let [height, width] = edges.map(|edge| edge as u32);
    let resize = match own.resize {
        Resize::ShortestEdge(_) => Resize::ShortestEdge(height.min(width)),
        Resize::Exact(_) => Resize::Exact(Size { height, width }),
        Resize::Pad(_) => return refuse("crops, and this base pads its images".into()),
    };
    Ok(Preprocessing { resize, crop: Some(side), ..own.clone() })
}
