//! The weights being trained, on the device, with AdamW's moments: made, stepped, saved, restored.

use std::collections::BTreeMap;

use medforge_runtime::tensors::{Dtype, Tensor};

use crate::Error;
use crate::base::Vit;
use crate::device::{AdamW, Device, Update};
use crate::lora::Head;
use crate::tape::{LowRank, Tape, Tensor as Matrix, Var};

use super::checkpoint::{Best, Checkpoint, Progress};
use super::host::{Host, MAGNITUDE, initial, zero_head};
use super::settings::{Method, TrainSettings};

/// Trained weights by name: `SITE.lora_a`, `SITE.lora_b`, with DoRA `SITE.lora_magnitude_vector`,
/// the base's own names, `head.weight`, `head.bias`.
pub struct Parameters<D: Device> {
    list: BTreeMap<String, Parameter<D>>,
    /// Alpha / rank.
    scale: f64,
    /// A head that stays as it is; else `list` has one.
    fixed: Option<FixedHead<D>>,
}

/// A head of texts on the device.
struct FixedHead<D: Device> {
    head: Head,
    /// The rows times the logit scale.
    weight: Var<D>,
}

struct Parameter<D: Device> {
    shape: Vec<usize>,
    weight: D::Buffer,
    first: D::Buffer,
    second: D::Buffer,
}

impl<D: Device + 'static> Parameters<D> {
    /// The weights that a training starts from, and a head for `classes` classes at zero, unless
    /// `fixed` is to stay as it is.
    ///
    /// # Errors
    /// Targets that the base does not have.
    pub fn new(
        device: &D,
        vit: &Vit,
        classes: usize,
        fixed: Option<&Head>,
        settings: &TrainSettings,
    ) -> Result<Self, Error> {
        let mut host = initial(vit, settings)?;
        let scale = match settings.method {
            Method::Lora { rank, alpha, .. } => alpha / rank as f64,
            Method::Full => 1.0,
        };
        let features = vit.config.features();
        if fixed.is_none() {
            host.extend(zero_head(classes, features));
        }
        let fixed = fixed.map(|head| FixedHead::new(device, head, features));
        let list = host.into_iter().map(|(name, tensor)| (name, Parameter::new(device, tensor)));
        Ok(Parameters { list: list.collect(), scale, fixed })
    }

    /// Number of classes of the head.
    pub fn classes(&self) -> usize {
        self.fixed
            .as_ref()
            .map_or_else(|| self.list["head.weight"].shape[0], |fixed| fixed.head.classes.len())
    }

    /// The logits [batch, classes] of features [batch, features]; `vars` are all weights.
    pub fn logits(
        &self,
        tape: &Tape<D>,
        vars: &BTreeMap<String, Var<D>>,
        feature: &Var<D>,
    ) -> Var<D> {
        match &self.fixed {
            Some(fixed) => {
                tape.linear(&tape.l2_normalise(feature, LEAST_LENGTH), &fixed.weight, None, None)
            }
            None => tape.linear(feature, &vars["head.weight"], Some(&vars["head.bias"]), None),
        }
    }

    /// The head that stays as it is, if there is one.
    pub fn fixed(&self) -> Option<&Head> {
        self.fixed.as_ref().map(|fixed| &fixed.head)
    }

    /// The name of every weight and how many values it has.
    pub fn lengths(&self) -> impl Iterator<Item = (&String, usize)> {
        self.list.iter().map(|(name, p)| (name, p.shape.iter().product()))
    }

    /// Every weight as a variable of `tape`. [`Parameters::update`] copies weights that are still
    /// held this way.
    pub fn variables(&self, tape: &Tape<D>) -> BTreeMap<String, Var<D>> {
        let variable =
            |(name, p): (&String, &Parameter<D>)| (name.clone(), tape.parameter(p.matrix()));
        self.list.iter().map(variable).collect()
    }

    /// Every weight as a constant, for predictions.
    pub fn constants(&self) -> BTreeMap<String, Var<D>> {
        let constant =
            |(name, p): (&String, &Parameter<D>)| (name.clone(), Var::constant(p.matrix()));
        self.list.iter().map(constant).collect()
    }

    /// The low-rank branches among `vars`, by site.
    pub fn low_rank(&self, vars: &BTreeMap<String, Var<D>>) -> BTreeMap<String, LowRank<D>> {
        let sites = vars.keys().filter_map(|name| name.strip_suffix(".lora_a"));
        let branch = |site: &str| {
            let [a, b] = ["lora_a", "lora_b"].map(|half| vars[&format!("{site}.{half}")].clone());
            let magnitude = vars.get(&format!("{site}.{MAGNITUDE}")).cloned();
            (site.to_owned(), LowRank { magnitude, ..LowRank::plain(a, b, self.scale) })
        };
        sites.map(branch).collect()
    }

    /// One AdamW step on every weight that has a gradient.
    pub fn update(&mut self, device: &D, settings: AdamW, gradients: &BTreeMap<String, D::Buffer>) {
        let mut updates = Vec::new();
        for (name, p) in &mut self.list {
            if let Some(gradient) = gradients.get(name) {
                updates.push(Update {
                    weight: &mut p.weight,
                    gradient,
                    state: [&mut p.first, &mut p.second],
                });
            }
        }
        device.adamw(settings, updates);
    }

    /// The weights on the host.
    ///
    /// # Errors
    /// What the device reports.
    pub fn weights(&self, device: &D) -> Result<Host, Error> {
        self.download(device, |p| &p.weight)
    }

    /// Everything that is needed to go on after `progress`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn checkpoint(
        &self,
        device: &D,
        settings: &TrainSettings,
        progress: &Progress,
        best: &Option<Best>,
    ) -> Result<Checkpoint, Error> {
        Ok(Checkpoint {
            settings: settings.clone(),
            progress: Progress { best: best.clone(), ..progress.clone() },
            weights: self.weights(device)?,
            first: self.download(device, |p| &p.first)?,
            second: self.download(device, |p| &p.second)?,
        })
    }

    /// Takes over the weights and moments of a checkpoint of the same settings.
    ///
    /// # Errors
    /// [`Error::Checkpoint`]: its tensors are not those of this training.
    pub fn restore(&mut self, device: &D, checkpoint: &Checkpoint) -> Result<(), Error> {
        let best = checkpoint.progress.best.as_ref().map(|b| &b.weights);
        for weights in [Some(&checkpoint.weights), best].into_iter().flatten() {
            if !weights
                .iter()
                .map(|(n, t)| (n, &t.shape))
                .eq(self.list.iter().map(|(n, p)| (n, &p.shape)))
            {
                let what = "holds other tensors than this training has; begin again".into();
                return Err(Error::Checkpoint { what });
            }
        }
        for (name, p) in &mut self.list {
            let take = |from: &Host| match from.get(name) {
                Some(tensor) if tensor.shape == p.shape => Ok(device.upload(&tensor.data)),
                _ => Err(Error::Checkpoint {
                    what: format!("tensor {name} is missing or has another shape"),
                }),
            };
            let (weight, first, second) =
                (take(&checkpoint.weights)?, take(&checkpoint.first)?, take(&checkpoint.second)?);
            (p.weight, p.first, p.second) = (weight, first, second);
        }
        Ok(())
    }

    /// One buffer of each parameter on the host.
    fn download(&self, device: &D, pick: fn(&Parameter<D>) -> &D::Buffer) -> Result<Host, Error> {
        let one = |(name, p): (&String, &Parameter<D>)| {
            let (shape, data) = (p.shape.clone(), device.download(pick(p))?);
            Ok((name.clone(), Tensor { shape, data, dtype: Dtype::F32 }))
        };
        self.list.iter().map(one).collect()
    }
}

/// A feature shorter than this is not made longer.
const LEAST_LENGTH: f64 = 1e-12;

impl<D: Device> FixedHead<D> {
    fn new(device: &D, head: &Head, features: usize) -> Self {
        let scale = head.logit_scale.unwrap_or(1.0);
        let rows: Vec<f32> = head.weight.data.iter().map(|w| w * scale).collect();
        let matrix = Matrix::frozen(device, &rows, head.classes.len(), features);
        FixedHead { head: head.clone(), weight: Var::constant(matrix) }
    }
}

impl<D: Device> Parameter<D> {
    /// A weight with moments of zero.
    fn new(device: &D, tensor: Tensor) -> Self {
        let len = tensor.data.len();
        let (first, second) = (device.zeros(len), device.zeros(len));
        Parameter { shape: tensor.shape, weight: device.upload(&tensor.data), first, second }
    }

    /// The weight as a matrix; a vector is one row.
    fn matrix(&self) -> Matrix<D> {
        let rows = if self.shape.len() == 1 { 1 } else { self.shape[0] };
        let columns = self.shape.iter().product::<usize>() / rows;
        Matrix { buffer: self.weight.clone(), rows, columns }
    }
}
