//! All that a training reads before its images: base, list, device, and the plan made of them.

use medforge_runtime::preprocess::Preprocessing;

use super::args::Args;
use crate::Error;
use crate::base::Vit;
use crate::cli::device::{Opened, on_device};
use crate::cli::input::{bytes, fingerprint};
use crate::data::{Dataset, Images};
use crate::lora::{Head, TextHead};
use crate::train::{Cut, ImageCounts, Plan, TrainSettings};

/// A training, ready to begin.
pub(super) struct Prepared {
    pub settings: TrainSettings,
    pub vit: Vit,
    pub preprocessing: Preprocessing,
    pub data: Dataset,
    /// The texts that stand for a head, and the head; none where one is trained.
    pub texts: TextHead,
    pub head: Option<Head>,
    /// Indices into the data's items.
    pub training: Vec<usize>,
    pub validation: Vec<usize>,
    pub counts: ImageCounts,
    pub device: Opened,
    /// What the process may take, in bytes.
    pub bound: Option<u64>,
    pub plan: Plan,
}

impl Prepared {
    pub fn new(args: &Args, settings: TrainSettings) -> Result<Self, Error> {
        let bound = args.memory.as_deref().map(|text| bytes("--memory", text)).transpose()?;
        let half = args.precision == "f16";
        if half && args.full {
            let what = "f16 is for frozen weights, and --full freezes none; leave it at f32".into();
            return Err(Error::Option { name: "--precision", what });
        }
        let vit = base(args)?;
        let size = args.size.unwrap_or(vit.preprocessing.output_size().height);
        let settings = TrainSettings { size: size as usize, ..settings };
        let preprocessing = vit.preprocessing_for(size)?;
        let data = args.data.open()?;
        let (texts, head) = args.head(&data.classes)?;
        let (training, validation) = match args.validation {
            Some(share) => data.hold_out(share, args.seed)?,
            None => data.stated_parts()?,
        };
        let counts = ImageCounts {
            classes: data.classes.len(),
            training: training.len(),
            validation: validation.len(),
        };
        let device = args.device.open(half)?;
        let plan = on_device!(device, device => Plan::new(device, &vit, &settings, counts, bound)?);
        Ok(Prepared {
            settings,
            vit,
            preprocessing,
            data,
            texts,
            head,
            training,
            validation,
            counts,
            device,
            bound,
            plan,
        })
    }

    /// Reads the images: those to train on, then those to validate on.
    pub fn images(&self) -> Result<Images, Error> {
        Images::load(&self.data, &self.both(), &self.preprocessing)
    }

    /// What must be the same when a stopped training goes on.
    pub fn fingerprint(&self) -> String {
        let Prepared { vit, preprocessing, training, texts, .. } = self;
        let data = fingerprint(&self.data, &self.both());
        format!("{} {preprocessing:?} {} {data} {texts:?}", vit.digest(), training.len())
    }

    /// How batches are cut, where there is a bound.
    pub fn cut(&self) -> Option<Cut> {
        self.bound.map(|_| self.plan.cut)
    }

    fn both(&self) -> Vec<usize> {
        self.training.iter().chain(&self.validation).copied().collect()
    }
}

fn base(args: &Args) -> Result<Vit, Error> {
    let mut vit = if args.from_scratch {
        Vit::random(&args.base, args.seed)?
    } else {
        Vit::open(&args.base)?
    };
    if let Some(fit) = args.fit.get() {
        vit.preprocessing = fit.of(&vit.preprocessing);
    }
    Ok(vit)
}
