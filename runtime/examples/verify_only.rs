//! Verifies a bundle and runs nothing of it: `cargo run --release -p medforge-runtime
//! --no-default-features --example verify_only -- BUNDLE TRUST`. It ends with 0 for a good bundle,
//! with 3 for a refused one, and with 1 if it could not look.

use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

use medforge_runtime::bundle::{self, Trust};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(lines) => {
            print!("{lines}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            let ours = error.downcast_ref::<medforge_runtime::Error>();
            ExitCode::from(if ours.is_some_and(|ours| ours.is_refusal()) { 3 } else { 1 })
        }
    }
}

/// What was verified: the bundle, who signed it, and its modules.
pub fn run(arguments: &[String]) -> Result<String, Box<dyn Error>> {
    let [bundle, trust] = arguments else {
        return Err("give BUNDLE TRUST".into());
    };
    let trust = Trust::read(&std::fs::read(trust)?)?;
    let verified = bundle::verify(std::fs::read(bundle)?, &trust)?;
    let manifest = verified.manifest();
    let mut lines = format!("bundle {} {}\n", manifest.name, verified.id());
    for key in verified.signers() {
        writeln!(lines, "signed by {}", trust.name_of(key).unwrap_or("a key without a name"))?;
    }
    for module in &manifest.modules {
        writeln!(lines, "module {} for {}", module.id, module.task)?;
    }
    Ok(lines)
}
