//! The weights being trained, with AdamW's moments: made, stepped, saved, restored, and split into
//! module, head and base.

use std::collections::BTreeMap;

use medforge_runtime::tensors::{Dtype, Tensor};

use crate::Error;
use crate::base::Vit;
use crate::device::{AdamW, Device, Update};
use crate::lora::dora::row_norms;
use crate::lora::{Factors, Head};
use crate::random::{Purpose, Stream};
use crate::tape::{LowRank, Tape, Tensor as Matrix, Var};

use super::checkpoint::{Best, Checkpoint, Progress};
use super::{MAGNITUDE, Method, TrainSettings, branches, targets};

/// Trained weights by name: `SITE.lora_a`, `SITE.lora_b`, with DoRA `SITE.lora_magnitude_vector`,
/// the base's own names, `head.weight`, `head.bias`.
pub struct Parameters<D: Device> {
    list: BTreeMap<String, Parameter<D>>,
    scale: f64,
    /// A head that stays as it is; else `list` has one.
    fixed: Option<Fixed<D>>,
}

/// A head of texts on the device.
struct Fixed<D: Device> {
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

/// Weights on the host, by name.
pub type Host = BTreeMap<String, Tensor>;

impl<D: Device + 'static> Parameters<D> {
    /// A starts uniform within 1/sqrt(in) (as PEFT starts it), B at zero, magnitudes at the norms
    /// of the frozen weight's rows, and a head for `classes` classes at zero, unless `fixed` is to
    /// stay as it is; full training starts from the base.
    pub fn new(
        device: &D,
        vit: &Vit,
        classes: usize,
        fixed: Option<&Head>,
        settings: &TrainSettings,
    ) -> Result<Self, Error> {
        let mut host = Host::new();
        let mut scale = 1.0;
        match &settings.method {
            Method::Lora { rank, alpha, targets: text, last_layers, dora, .. } => {
                scale = alpha / *rank as f64;
                let sites = targets(text)?.sites(&vit.config, *last_layers)?;
                for (i, (site, target)) in sites.into_iter().enumerate() {
                    let (out, inputs) = target.shape(&vit.config);
                    let mut stream = Stream::at(settings.seed, Purpose::Initial, i as u64, 0);
                    let bound = 1.0 / (inputs as f64).sqrt();
                    let a =
                        (0..rank * inputs).map(|_| stream.range(-bound, bound) as f32).collect();
                    host.insert(format!("{site}.lora_a"), Tensor::f32(vec![*rank, inputs], a));
                    host.insert(
                        format!("{site}.lora_b"),
                        Tensor::f32(vec![out, *rank], vec![0.0; out * rank]),
                    );
                    if *dora {
                        let norms = row_norms(&vit.tensors[&format!("{site}.weight")]);
                        host.insert(format!("{site}.{MAGNITUDE}"), Tensor::f32(vec![out], norms));
                    }
                }
            }
            Method::Full => host.extend(vit.tensors.iter().map(|(n, t)| (n.clone(), t.clone()))),
        }
        let features = vit.config.features();
        if fixed.is_none() {
            host.insert(
                "head.weight".into(),
                Tensor::f32(vec![classes, features], vec![0.0; classes * features]),
            );
            host.insert("head.bias".into(), Tensor::f32(vec![classes], vec![0.0; classes]));
        }
        let fixed = fixed.map(|head| {
            let scale = head.logit_scale.unwrap_or(1.0);
            let rows: Vec<f32> = head.weight.data.iter().map(|w| w * scale).collect();
            Fixed {
                head: head.clone(),
                weight: Var::constant(Matrix::frozen(device, &rows, classes, features)),
            }
        });
        let list = host.into_iter().map(|(name, tensor)| {
            let len = tensor.data.len();
            let (first, second) = (device.zeros(len), device.zeros(len));
            (
                name,
                Parameter {
                    shape: tensor.shape,
                    weight: device.upload(&tensor.data),
                    first,
                    second,
                },
            )
        });
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
        let variable = |(name, p): (&String, &Parameter<D>)| {
            (name.clone(), tape.parameter(matrix::<D>(&p.shape, p.weight.clone())))
        };
        self.list.iter().map(variable).collect()
    }

    /// Every weight as a constant, for predictions.
    pub fn constants(&self) -> BTreeMap<String, Var<D>> {
        let constant = |(name, p): (&String, &Parameter<D>)| {
            (name.clone(), Var::constant(matrix::<D>(&p.shape, p.weight.clone())))
        };
        self.list.iter().map(constant).collect()
    }

    /// The low-rank branches among `vars`.
    pub fn low_rank(&self, vars: &BTreeMap<String, Var<D>>) -> BTreeMap<String, LowRank<D>> {
        branches(vars, self.scale)
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
    pub fn weights(&self, device: &D) -> Result<Host, Error> {
        self.list.iter().map(|(name, p)| Ok((name.clone(), p.host(device, &p.weight)?))).collect()
    }

    /// Everything that is needed to go on after `progress`.
    pub fn checkpoint(
        &self,
        device: &D,
        settings: &TrainSettings,
        progress: &Progress,
        best: &Option<Best>,
    ) -> Result<Checkpoint, Error> {
        let moments = |pick: fn(&Parameter<D>) -> &D::Buffer| {
            self.list
                .iter()
                .map(|(name, p)| Ok((name.clone(), p.host(device, pick(p))?)))
                .collect::<Result<_, Error>>()
        };
        Ok(Checkpoint {
            settings: settings.clone(),
            progress: Progress { best: best.clone(), ..progress.clone() },
            weights: self.weights(device)?,
            first: moments(|p| &p.first)?,
            second: moments(|p| &p.second)?,
        })
    }

    /// Takes over the weights and moments of a checkpoint of the same settings.
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
}

impl<D: Device> Parameter<D> {
    fn host(&self, device: &D, buffer: &D::Buffer) -> Result<Tensor, Error> {
        Ok(Tensor { shape: self.shape.clone(), data: device.download(buffer)?, dtype: Dtype::F32 })
    }
}

/// A feature shorter than this is not made longer.
const LEAST_LENGTH: f64 = 1e-12;

/// Trained weights as the factors of each site, the head (`fixed` if there is one), and after full
/// training the base's weights.
#[expect(clippy::type_complexity)]
pub fn split(
    mut weights: Host,
    classes: &[String],
    fixed: Option<&Head>,
    settings: &TrainSettings,
) -> Result<(BTreeMap<String, Factors>, Head, Option<Host>), Error> {
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
        return Ok((BTreeMap::new(), head, Some(weights)));
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
    Ok((sites, head, None))
}

fn matrix<D: Device>(shape: &[usize], buffer: D::Buffer) -> Matrix<D> {
    let rows = if shape.len() == 1 { 1 } else { shape[0] };
    Matrix { buffer, rows, columns: shape.iter().product::<usize>() / rows }
}
