//! `packer sign`: a further signature on a bundle, or one on a trust file. The key may be on
//! another machine.

use std::path::PathBuf;

use medforge_runtime::bundle::frame::LIMITS;

use crate::export::keys;
use crate::export::signing::{self, Payload};
use crate::output::Places;
use crate::{Error, input, output};

/// Add a signature to a bundle or a trust file
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer sign breast.medforge --key b.key --out signed.medforge\n  \
    packer sign trust.toml --key b.key --out trust.sig\n\n\
    With the key on a machine that has no network, and never the bundle:\n  \
    packer sign breast.medforge --export-request breast.request\n  \
    packer sign breast.request --key b.key --out breast.signature        (there)\n  \
    packer sign breast.medforge --import-signature breast.signature --out signed.medforge"
)]
pub struct Args {
    /// A bundle, a trust file (TOML), or a request that --export-request wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The secret key to sign with
    #[arg(long, value_name = "KEY", required_unless_present_any = ["export_request",
        "import_signature"])]
    key: Option<PathBuf>,
    /// Where the signed bundle goes, or else the signature, beside those that are in the file
    /// already
    #[arg(long, value_name = "OUT", required_unless_present = "export_request")]
    out: Option<PathBuf>,
    /// Write what must be signed, for a key on another machine
    #[arg(long, value_name = "REQUEST", conflicts_with_all = ["key", "out", "import_signature"])]
    export_request: Option<PathBuf>,
    /// Add the signature that was made there
    #[arg(long, value_name = "SIGNATURE", conflicts_with = "key")]
    import_signature: Option<PathBuf>,
    /// Replace what stands at --export-request, or the bundle at --out
    #[arg(long)]
    force: bool,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    let file = input::read(&args.file, LIMITS.bundle as u64)?;
    let payload = Payload::read(&args.file, &file)?;
    if let Some(request) = &args.export_request {
        places.file("--export-request", request, args.force)?.write(&payload.request())?;
        let request = request.display();
        return output::print(&format!(
            "{request}: {}; sign it with `packer sign` where the key is\n",
            payload.about
        ));
    }
    let Some(out) = &args.out else {
        return Err(Error::Option { name: "--out", what: "is needed".into() });
    };
    // One signature is added to the file; the others stay.
    let place = if payload.apart() {
        places.updated("--out", out)?
    } else {
        places.file("--out", out, args.force)?
    };
    let signatures = match (&args.import_signature, &args.key) {
        (Some(path), _) => input::read(path, signing::LONGEST)?,
        (None, Some(key)) => payload.sign(&keys::read_secret(key)?)?,
        (None, None) => {
            return Err(Error::Option { name: "--key", what: "is needed to sign".into() });
        }
    };
    let before = (payload.apart() && out.exists())
        .then(|| input::read(out, signing::LONGEST))
        .transpose()?;
    let placed = payload.placed(file, signatures, before.as_deref())?;
    place.write(&placed)?;
    output::print(&format!("{}: signed {}\n", out.display(), payload.about))
}
