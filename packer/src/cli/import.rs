//! `packer import`: an adapter that PEFT saved with its head in, a module out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::input::{check_task, check_text};
use crate::base::Vit;
use crate::lora::{Module, ModuleCard, Run, peft};
use crate::output::Places;
use crate::{Error, input, output};

/// Make a module of an adapter that PEFT trained and saved together with its head
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer import --base vit --adapter peft-folder --task breast --class \
                  benign --class malignant --out m/breast\n\n\
    The folder is what save_pretrained writes of a LoRA with modules_to_save=[\"classifier\"] \
    (transformers) or [\"head\"] (timm).\n\
    Classes are given in the order of the head's rows, that of id2label. It is taken that the \
    images were prepared as the base's\n\
    own settings say: if the training did otherwise, the module's answers are worse, and only \
    packer eval shows it."
)]
pub struct Args {
    /// The base that the adapter was trained on
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// PEFT's folder: adapter_config.json and adapter_model.safetensors
    #[arg(long, value_name = "DIR")]
    adapter: PathBuf,
    /// The task's name: lower-case letters, digits, '.', '_', '-'
    #[arg(long)]
    task: String,
    /// The name of a class; once for each row of the head, in their order
    #[arg(long = "class", value_name = "NAME", required = true)]
    classes: Vec<String>,
    /// Where the module goes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Side of the images in pixels that it was trained on [default: what the base's preprocessor
    /// says]
    #[arg(long)]
    size: Option<u32>,
    /// Who contributes the module
    #[arg(long, default_value = "unnamed")]
    contributor: String,
    /// The module's licence
    #[arg(long, default_value = "unspecified")]
    licence: String,
    /// Replace --out
    #[arg(long)]
    force: bool,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    check_task(&args.task)?;
    check_text("--contributor", &args.contributor)?;
    check_text("--licence", &args.licence)?;
    args.classes.iter().try_for_each(|class| check_text("--class", class))?;
    let twice =
        |(n, class): (usize, &String)| args.classes[..n].contains(class).then(|| class.clone());
    if let Some(class) = args.classes.iter().enumerate().find_map(twice) {
        return Err(Error::Option { name: "--class", what: format!("names {class} twice") });
    }
    let out = places.folder("--out", &args.out, args.force, "module.json")?;
    let vit = Vit::open(&args.base)?;
    let image_size = args.size.unwrap_or(vit.preprocessing.output_size().height);
    let preprocessing = vit.preprocessing_for(image_size)?;
    let peft::Adapter { rank, alpha, sites, saved } =
        peft::read(&args.adapter, input::folder(&args.adapter), &vit.config)?;
    let Some(saved) = saved else {
        let what =
            "saves no head: modules_to_save is neither [\"classifier\"] nor [\"head\"]".into();
        return Err(Error::Config { path: args.adapter.join("adapter_config.json"), what });
    };
    let path = args.adapter.join("adapter_model.safetensors");
    let head = saved.head(&path, &vit.config, &args.classes)?;
    let card = ModuleCard {
        format: ModuleCard::FORMAT.into(),
        version: ModuleCard::VERSION,
        task: args.task.clone(),
        contributor: args.contributor,
        licence: args.licence,
        family: vit.config.family,
        gated: vit.config.gated,
        base_digest: vit.digest(),
        image_size,
        preprocessing,
        created: None,
        run: Run::now(),
        classes: args.classes,
        class_texts: BTreeMap::new(),
        calibration: None,
        uncalibrated: Some("it was trained elsewhere".into()),
        training: json!({ "imported": "an adapter that PEFT saved with its head" }),
        metrics: Vec::new(),
        measured: None,
        subgroups: Vec::new(),
    };
    let module = Module { rank, alpha, sites, head, card };
    let dir = out.begin()?;
    for (name, bytes) in module.files()? {
        dir.write(name, &bytes)?;
    }
    dir.commit()?;
    let (rank, sites) = (module.rank, module.sites.len());
    output::print(&format!(
        "{}: task {}, rank {rank} at {sites} sites\n",
        args.out.display(),
        args.task
    ))
}
