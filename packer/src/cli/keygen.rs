//! `packer keygen`: a new key pair for signing bundles.

use std::path::{Path, PathBuf};

use crate::export::keys;
use crate::output::NewPair;
use crate::{Error, output};

/// Make a key pair: NAME.key signs bundles and stays secret, NAME.pub is for those who verify them
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer keygen --out k\n  packer keygen --out k --encrypt\n\n\
    k.key is PKCS#8 PEM, readable by its owner alone; k.pub is SPKI PEM. No key is ever replaced.")]
pub struct Args {
    /// Where the two files go, without the endings
    #[arg(long, value_name = "NAME")]
    out: PathBuf,
    /// Encrypt the secret key with a pass phrase, asked for on the terminal or read from
    /// --passphrase-fd
    #[arg(long)]
    encrypt: bool,
}

pub fn run(args: Args) -> Result<(), Error> {
    let (secret, public) = (with_ending(&args.out, ".key"), with_ending(&args.out, ".pub"));
    let pair = NewPair::new("--out", public.clone(), secret.clone())?;
    let key = keys::generate()?;
    let pem = if args.encrypt {
        keys::to_encrypted_pem(&key, &keys::passphrase("Pass phrase for the new key: ", true)?)?
    } else {
        keys::to_pem(&key)
    };
    pair.write(pem.public.as_bytes(), pem.secret.as_bytes())?;
    output::print(&format!(
        "{}: keep it secret; it signs bundles\n{}: give it to those who verify them\n",
        secret.display(),
        public.display()
    ))
}

/// `path` with `ending` added, even where its last part has dots.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
