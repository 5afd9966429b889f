//! What `packer base inspect` says, as JSON and in words.

use std::fmt::Write;
use std::path::Path;

use medforge_runtime::preprocess::{Preprocessing, Resize};
use serde::Serialize;

use crate::base::{Crop, Feature, Origin, Vit, VitConfig};
use crate::cli::hints;
use crate::cli::input::mebibytes;
use crate::data::Augment;
use crate::device::cpu::Cpu;
use crate::export::weights_fit;
use crate::lora::Targets;
use crate::train::{ImageCounts, Method, Plan, TrainSettings};
use crate::{Error, predict};

/// Where a LoRA goes by default, and the rank that is counted with.
const TARGETS: &str = "q,v";
const RANK: usize = 8;
/// Images of the step that is counted.
const BATCH: usize = 8;

/// What a base is.
#[derive(Serialize)]
pub struct Report {
    family: &'static str,
    digest: String,
    parameters: usize,
    config: VitConfig,
    tokens: Tokens,
    feature: Pooled,
    preprocessing: Preprocessing,
    #[serde(flatten)]
    origin: Origin,
    lora: Lora,
    memory: Memory,
    /// Why no bundle can hold it, if so.
    no_bundle: Option<String>,
}

/// Tokens of an image as the base's preprocessing makes it.
#[derive(Serialize)]
struct Tokens {
    image_size: usize,
    class: usize,
    registers: usize,
    patches: usize,
}

/// What becomes the feature.
#[derive(Serialize)]
struct Pooled {
    name: &'static str,
    width: usize,
    /// What could be instead.
    others: Vec<&'static str>,
}

/// What a module adapts by default.
#[derive(Serialize)]
struct Lora {
    targets: &'static str,
    rank: usize,
    sites: usize,
    parameters: usize,
}

/// Bytes that the program takes on the processor; none for images that are too large.
#[derive(Serialize)]
struct Memory {
    inference: Option<u64>,
    lora_step: Option<u64>,
    batch: usize,
}

impl Report {
    /// What `vit`, which comes from `origin`, is.
    pub fn of(vit: &Vit, origin: Origin) -> Result<Self, Error> {
        let config = &vit.config;
        let size = vit.preprocessing.output_size().height as usize;
        let shape = config.shape(size);
        let others = Feature::ALL.into_iter().filter(|feature| {
            *feature != Feature::of(config)
                && feature.fits(config)
                && (*feature != Feature::Attention || origin.attention)
        });
        Ok(Report {
            family: config.family.name(),
            digest: vit.digest(),
            parameters: vit.tensors.values().map(|tensor| tensor.values.len()).sum(),
            tokens: Tokens {
                image_size: size,
                class: usize::from(!config.no_class_token),
                registers: config.registers,
                patches: shape.patches().len(),
            },
            feature: Pooled {
                name: Feature::of(config).name(),
                width: config.features(),
                others: others.map(Feature::name).collect(),
            },
            lora: lora(config)?,
            memory: memory(vit, size),
            no_bundle: no_bundle(vit.tensors.values().map(|tensor| tensor.values.bytes()).sum()),
            preprocessing: vit.preprocessing.clone(),
            config: config.clone(),
            origin,
        })
    }

    /// The same for people.
    pub fn words(&self) -> String {
        let mut text = String::new();
        let mut row = |key: &str, value: String| {
            let _ = writeln!(text, "{key:<13}{value}");
        };
        let c = &self.config;
        row("family", self.family.to_owned());
        row("digest", self.digest.clone());
        row(
            "network",
            format!(
                "{} parameters: {} blocks, {} wide, {} heads of {}, patches of {} pixels",
                self.parameters,
                c.layers,
                c.hidden,
                c.heads,
                c.hidden / c.heads,
                c.patch
            ),
        );
        row("tokens", self.tokens());
        row("positions", positions(c));
        row("MLP", mlp(c));
        let others = self.feature.others.join(", ");
        let others = if others.is_empty() { String::new() } else { format!(" (or {others})") };
        row("feature", format!("{} of {} values{others}", self.feature.name, self.feature.width));
        row("images", images(&self.preprocessing));
        if let Some(note) = self.origin.crop.and_then(crop_note) {
            row("", note);
        }
        let licence = self.origin.licence.as_ref();
        row(
            "licence",
            licence.map_or("not said".into(), |said| format!("{} ({})", said.name, said.file)),
        );
        row("trained", {
            let Lora { targets, rank, sites, parameters } = &self.lora;
            format!("LoRA at {targets} of rank {rank}: {parameters} parameters at {sites} sites")
        });
        row("memory", self.memory());
        row("weights", self.weights());
        if let Some(note) = &self.no_bundle {
            row("", note.clone());
        }
        text
    }

    fn tokens(&self) -> String {
        let Tokens { image_size, class, registers, patches } = self.tokens;
        format!(
            "{}: {class} class, {registers} registers, {patches} patches of {image_size} x \
             {image_size} pixels",
            class + registers + patches
        )
    }

    fn memory(&self) -> String {
        let bytes = |bytes: Option<u64>| bytes.map_or("too much".into(), mebibytes);
        let Memory { inference, lora_step, batch } = self.memory;
        format!(
            "about {} for an image, {} for a step of that LoRA on {batch}",
            bytes(inference),
            bytes(lora_step)
        )
    }

    fn weights(&self) -> String {
        let types = self.origin.types.iter().map(|(name, values)| format!("{values} in {name}"));
        let name = self.origin.weights.file_name().map(Path::new).unwrap_or(&self.origin.weights);
        let types: Vec<String> = types.collect();
        format!("{}, {}: {}", name.display(), mebibytes(self.origin.bytes), types.join(", "))
    }
}

/// Why no bundle can hold weights of so many bytes.
fn no_bundle(bytes: u64) -> Option<String> {
    weights_fit(bytes).err().map(|error| hints::worded(&error))
}

/// What to know where timm's file does not say how images are cropped.
pub fn crop_note(crop: Crop) -> Option<String> {
    let note = format!(
        "config.json says no crop_pct: {} is timm's, and users of some bases take 1 (packer base \
         convert --crop-pct)",
        crop.share
    );
    (!crop.said).then_some(note)
}

fn positions(config: &VitConfig) -> String {
    use crate::base::{Interpolation, Positions};
    let interpolation = match config.interpolation {
        Interpolation::Plain => "bicubic",
        Interpolation::Antialias => "bicubic with antialias",
    };
    let size = config.image_size;
    match config.positions {
        Positions::Learned => {
            format!("a table for {size} x {size} pixels; for other sizes {interpolation}")
        }
        Positions::Rotary { theta } => format!("rotary, theta {theta}; made for {size} pixels"),
    }
}

fn mlp(config: &VitConfig) -> String {
    let activation = serde_json::to_value(config.activation).expect("plain data");
    let gate = if config.gated { ", with a gate" } else { "" };
    format!("{} wide, {}{gate}", config.mlp, activation.as_str().unwrap_or_default())
}

fn images(preprocessing: &Preprocessing) -> String {
    let side = preprocessing.output_size();
    let resized = match preprocessing.resize {
        Resize::ShortestEdge(edge) => format!("shorter side to {edge}"),
        Resize::Exact(edges) => format!("squashed to {} x {}", edges.width, edges.height),
        Resize::Pad(edges) => format!("padded to {} x {}", edges.width, edges.height),
    };
    let filter = format!("{:?}", preprocessing.filter).to_lowercase();
    format!(
        "{resized} ({filter}), {} x {} of it; mean {:?}, std {:?}",
        side.width, side.height, preprocessing.mean, preprocessing.std
    )
}

fn lora(config: &VitConfig) -> Result<Lora, Error> {
    let targets: Targets = TARGETS.parse().map_err(|what| Error::Targets { what })?;
    let sites = targets.sites(config, None)?;
    let each = sites.iter().map(|(_, target)| {
        let (outputs, inputs) = target.shape(config);
        RANK * (inputs + outputs)
    });
    let parameters = each.sum();
    Ok(Lora { targets: TARGETS, rank: RANK, sites: sites.len(), parameters })
}

/// What an image and a step of LoRA take on the processor.
fn memory(vit: &Vit, size: usize) -> Memory {
    let device = Cpu::<f32>::new();
    if vit.config.check_size(u32::try_from(size).unwrap_or(u32::MAX)).is_err() {
        return Memory { inference: None, lora_step: None, batch: BATCH };
    }
    let settings = TrainSettings {
        size,
        epochs: 1,
        batch: BATCH,
        learning_rate: 1e-3,
        weight_decay: 0.01,
        warm_up: 0.1,
        augment: Augment::default(),
        seed: 0,
        method: Method::Lora {
            rank: RANK,
            alpha: 16.0,
            targets: TARGETS.into(),
            last_layers: None,
            dora: false,
            dropout: 0.0,
        },
    };
    let counts = ImageCounts { classes: 2, training: BATCH, validation: 0 };
    let plan = Plan::new(&device, vit, &settings, counts, None);
    Memory {
        inference: predict::bytes(&device, vit, size).ok(),
        lora_step: plan.ok().map(|plan| plan.memory.total()),
        batch: BATCH,
    }
}
