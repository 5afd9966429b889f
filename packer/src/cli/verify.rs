//! `packer verify`: whether a bundle is whole and signed by a trusted key. Exit code 0 if so, 3 if it is refused, 1 if it
//! could not be looked at.

use std::fs;
use std::path::PathBuf;

use medforge_runtime::bundle::verify;
use serde_json::json;

use crate::Error;
use crate::export::keys;

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
    let bytes = fs::read(&args.bundle).map_err(|e| Error::io(&args.bundle, e))?;
    let bundle = match verify(bytes, &trust) {
        Ok(bundle) => bundle,
        Err(error) => {
            if args.json {
                println!("{:#}", json!({ "verified": false, "reason": error.to_string() }));
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
        println!("{verdict:#}");
        return Ok(());
    }
    println!("verified   {}, version {}", manifest.name, manifest.counter);
    println!("id         {}", bundle.id());
    for signer in signers {
        println!("signed by  {signer}");
    }
    Ok(())
}
