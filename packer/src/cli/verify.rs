//! `packer verify`: whether a bundle is whole, signed by enough trusted keys, and runs here as its
//! maker says. Exit code 0 if so, 3 if it is refused, 1 if it could not be looked at.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use medforge_runtime::bundle::{Trust, VerifiedBundle, sha256_hex};
use medforge_runtime::classify::{Classifier, Options, Precision};
use medforge_runtime::{Class, Error as RuntimeError, file};
use serde_json::{Value, json};

use super::hints;
use super::trusted::TrustArgs;
use crate::output::Places;
use crate::{Error, output};

/// Check that a bundle is whole, signed by keys you trust, and runs on this machine as its maker
/// says
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer verify breast.medforge --trust k.pub\n  \
    packer verify breast.medforge --trust trust.toml --state device.json --explain\n\n\
    Exit code: 0 verified, 3 refused, 1 could not be checked.")]
pub struct Args {
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    #[command(flatten)]
    trusted: TrustArgs,
    /// Stop after signatures and digests: do not load the base and run the golden vectors
    #[arg(long)]
    quick: bool,
    /// Say what was checked, or what the refusal means and the bytes that show it
    #[arg(long)]
    explain: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    match check(&args, places) {
        Ok(report) if args.json => output::print(&format!("{report:#}\n")),
        Ok(report) => output::print(&words(&report, args.explain)),
        Err(error) => {
            let class = class(&error);
            let printed = match class {
                _ if args.json => output::print(&format!("{:#}\n", refusal(&error, class))),
                Some(class) if args.explain => {
                    output::print(&explanation(&error, class, &args.bundle))
                }
                _ => Ok(()),
            };
            // The bundle is still refused, even where that could not be printed.
            if let Err(lost) = printed {
                output::say(&format!("packer: {lost}"));
            }
            Err(error)
        }
    }
}

fn check(args: &Args, places: &Places) -> Result<Value, Error> {
    if args.quick {
        args.trusted.forgets()?;
    }
    args.trusted.open(&args.bundle, places, |bundle, trust| {
        let report = report(&bundle, trust, args.quick)?;
        if !args.quick {
            // In 32 bits, and in eight if the bundle has golden vectors for these.
            Classifier::load_with(&bundle, Options::default())?;
            if !bundle.manifest().int8.is_empty() {
                Classifier::load_with(
                    &bundle,
                    Options { precision: Precision::Int8, ..Options::default() },
                )?;
            }
        }
        Ok(report)
    })
}

/// What a verified bundle is.
fn report(bundle: &VerifiedBundle, trust: &Trust, quick: bool) -> Result<Value, Error> {
    let manifest = bundle.manifest();
    let signers: Vec<Value> = bundle
        .signers()
        .iter()
        .map(|key| json!({ "name": trust.name_of(key), "public_key": hex::encode(key.as_bytes()) }))
        .collect();
    let digest = |entry: &str| bundle.entry(entry).map(sha256_hex);
    Ok(json!({
        "verified": true,
        "id": bundle.id(),
        "name": manifest.name,
        "counter": manifest.counter,
        "created": manifest.created,
        "packed_by": format!("{} {}", manifest.tool.name, manifest.tool.version),
        "trust_version": trust.version(),
        "checked_at": trust.now().map(ToString::to_string),
        "signers": signers,
        "model_card_sha256": digest("model_card.md")?,
        "sbom_sha256": digest("sbom.json")?,
        "golden_vectors": match quick {
            true => "not run",
            false if manifest.int8.is_empty() => "agree",
            false => "agree, in 32 bits and in eight",
        },
    }))
}

fn words(report: &Value, explain: bool) -> String {
    let text = |key: &str| report[key].as_str().unwrap_or("-").to_owned();
    let mut all = format!(
        "verified   {}, version {}, packed {}\n",
        text("name"),
        report["counter"],
        text("created")
    );
    all += &format!("id         {}\npacked by  {}\n", text("id"), text("packed_by"));
    for signer in report["signers"].as_array().into_iter().flatten() {
        let (name, key) = (
            signer["name"].as_str().unwrap_or_default(),
            signer["public_key"].as_str().unwrap_or_default(),
        );
        all += &if name == key {
            format!("signed by  {key}\n")
        } else {
            format!("signed by  {name} ({key})\n")
        };
    }
    all += &format!(
        "card       SHA-256 {}\nSBOM       SHA-256 {}\n",
        text("model_card_sha256"),
        text("sbom_sha256")
    );
    all += &format!("golden vectors {}\n", text("golden_vectors"));
    if explain {
        all += &format!(
            "\nchecked: the archive is the one byte form of its entries; every signature holds, \
             and enough trusted keys signed; manifest.json is\n\
             canonical and agrees with itself; every entry has the signed length and SHA-256; time \
             of checking: {}\n",
            text("checked_at")
        );
    }
    all
}

/// The class of an error that is a refusal.
fn class(error: &Error) -> Option<Class> {
    source(error).and_then(RuntimeError::class)
}

fn source(error: &Error) -> Option<&RuntimeError> {
    match error {
        Error::Runtime(source) | Error::TrustFile { source, .. } => Some(source),
        _ => None,
    }
}

fn refusal(error: &Error, class: Option<Class>) -> Value {
    let mut verdict = json!({ "verified": false, "refused": error.exit_code() == 3,
        "reason": hints::worded(error) });
    if let Some(class) = class {
        verdict["class"] = json!(class.name());
        verdict["meaning"] = json!(class.meaning());
    }
    if let Some(RuntimeError::Refused(refusal)) = source(error) {
        verdict["entry"] = json!(refusal.entry);
        verdict["bytes"] = json!(refusal.bytes.as_ref().map(|b| [b.start, b.end]));
    }
    verdict
}

/// The class in words, and the first bytes of the place in the file that shows it.
fn explanation(error: &Error, class: Class, bundle: &Path) -> String {
    const SHOWN: usize = 64;
    let mut text = format!("class      {class}\nmeaning    {}\n", class.meaning());
    let Some(RuntimeError::Refused(refusal)) = source(error) else { return text };
    if let Some(entry) = &refusal.entry {
        text += &format!("entry      {entry}\n");
    }
    if let Some(bytes) = &refusal.bytes {
        text += &format!("bytes      {} to {}\n", bytes.start, bytes.end);
        let shown = part(bundle, bytes.start, bytes.len().min(SHOWN)).unwrap_or_default();
        for (row, line) in shown.chunks(16).enumerate() {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let print = |&b: &u8| if b.is_ascii_graphic() { char::from(b) } else { '.' };
            let plain: String = line.iter().map(print).collect();
            text += &format!("  {:>10}  {:<48}{plain}\n", bytes.start + 16 * row, hex.join(" "));
        }
    }
    text
}

fn part(path: &Path, from: usize, length: usize) -> std::io::Result<Vec<u8>> {
    let mut file = file::open(path)?;
    file.seek(SeekFrom::Start(from as u64))?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
