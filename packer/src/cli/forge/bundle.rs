//! `packer forge bundle`: an item's model as a signed bundle for devices.

use std::collections::BTreeMap;

use super::{At, Version};
use crate::cli::bundle::Release;
use crate::export::Packed;
use crate::forge::recipe::Recipes;
use crate::output::Places;
use crate::{Error, export};

/// Pack the model of a forge item into one signed bundle
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer forge bundle F v3 --key release.key --out \
                  hospital.medforge\n\n\
    The signing key says who releases; it need not be the forge's. The members' modules, \
    contributors and licences are named inside.")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// The item [default: the newest]
    #[arg(value_name = "vN")]
    item: Option<Version>,
    #[command(flatten)]
    release: Release,
    /// Counts the releases of this name [default: the item's number]
    #[arg(long, value_name = "N")]
    counter: Option<u64>,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    let forge = args.at.open()?;
    let item = super::item(&forge, args.item)?;
    let item = item.manifest();
    args.release.write(args.counter.unwrap_or(item.number), places, |options, keys| {
        let recipes = Recipes::new(&forge, &|_, _| ());
        let content = forge.content(item)?;
        let (model, modules) = recipes.model(&item.settings, &content)?;
        let origins = forge.origins(&content, &modules)?;
        let packed = Packed {
            model: &model,
            modules: &modules,
            measured: BTreeMap::new(),
            origins: &origins,
        };
        export::build_merged_bundle(recipes.vit()?, packed, options, keys)
    })
}
