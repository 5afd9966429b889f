//! `packer sign`: a further signature on a bundle, also by a key that never touches the machine where the bundle is; and signatures on
//! trust files.

use std::path::{Path, PathBuf};

use medforge_runtime::bundle::frame::LIMITS;

use crate::export::{keys, signing};
use crate::{Error, output};

/// Add a signature to a bundle or a trust file
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer sign breast.medforge --key b.key --out signed.medforge\n  \
    packer sign trust.toml --key b.key --out trust.sig\n\n\
    With the key on a machine that has no network, and never the bundle:\n  \
    packer sign breast.medforge --export-request breast.request\n  \
    packer sign breast.request --key b.key --out breast.signature        (there)\n  \
    packer sign breast.medforge --import-signature breast.signature --out signed.medforge")]
pub struct Args {
    /// A bundle, a trust file (TOML), or a request that --export-request wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The secret key to sign with
    #[arg(long, value_name = "KEY", required_unless_present_any = ["export_request", "import_signature"])]
    key: Option<PathBuf>,
    /// Where the signed bundle, or the signature, goes; a signature file of a trust file gets one more
    #[arg(long, value_name = "OUT", required_unless_present = "export_request")]
    out: Option<PathBuf>,
    /// Write what must be signed, for a key on another machine
    #[arg(long, value_name = "REQUEST", conflicts_with_all = ["key", "out", "import_signature"])]
    export_request: Option<PathBuf>,
    /// Add the signature that was made there
    #[arg(long, value_name = "SIGNATURE", conflicts_with = "key")]
    import_signature: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<(), Error> {
    let bytes = output::read_file(&args.file, LIMITS.bundle as u64)?;
    if let Some(request) = &args.export_request {
        output::write_file(request, &signing::request(&args.file, &bytes)?)?;
        return output::print(&format!("{}: sign it with `packer sign` where the key is\n", request.display()));
    }
    let out = args.out.as_deref().unwrap_or_else(|| Path::new(""));
    let signed = match (&args.import_signature, &args.key) {
        (Some(path), _) => signing::import(&args.file, bytes, path, &output::read_file(path, signing::LONGEST)?)?,
        (None, Some(key)) => {
            let before = match out.exists() && signing::is_trust_file(&bytes) {
                true => Some(output::read_file(out, signing::LONGEST)?),
                false => None,
            };
            signing::sign(&args.file, bytes, &keys::read_secret(key)?, before.as_deref())?
        }
        (None, None) => return Err(Error::Option { name: "--key", what: "is needed to sign".into() }),
    };
    output::write_file(out, &signed)?;
    output::print(&format!("{}: signed\n", out.display()))
}
