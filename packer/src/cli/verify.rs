//! `packer verify`: whether a bundle is whole and signed by a trusted key. Exit code 0 if so, 3 if it is refused, 1 if it
//! could not be looked at.

use std::path::PathBuf;

use medforge_runtime::bundle::frame::LIMITS;
use medforge_runtime::bundle::verify;
use serde_json::json;

use crate::export::keys;
use crate::{Error, output};

/// Check that a bundle is whole and signed by a key you trust
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer verify breast.medforge --trust k.pub\n\n\
    Exit code: 0 verified, 3 refused, 1 could not be checked.")]
pub struct Args {
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Public keys in PEM; a signature by one of them is enough
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Error> {
    let trust = keys::read_trust(&args.trust)?;
    let bytes = output::read_file(&args.bundle, LIMITS.bundle as u64)?;
    let bundle = match verify(bytes, &trust) {
        Ok(bundle) => bundle,
        Err(error) => {
            if args.json {
                let verdict = json!({ "verified": false, "reason": error.to_string() });
                output::print(&format!("{verdict:#}\n"))?;
            }
            return Err(error.into());
        }
    };
    let signers: Vec<String> = bundle.signers().iter().map(|key| hex::encode(key.as_bytes())).collect();
    let manifest = bundle.manifest();
    if args.json {
        let (name, counter) = (&manifest.name, manifest.counter);
        let verdict =
            json!({ "verified": true, "id": bundle.id(), "name": name, "counter": counter, "signers": signers });
        return output::print(&format!("{verdict:#}\n"));
    }
    let mut text = format!("verified   {}, version {}\n", manifest.name, manifest.counter);
    text += &format!("id         {}\n", bundle.id());
    for signer in signers {
        text += &format!("signed by  {signer}\n");
    }
    output::print(&text)
}
