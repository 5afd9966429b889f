//! What a training writes.

use super::args::Args;
use crate::Error;
use crate::base::Vit;
use crate::cli::keep;
use crate::lora::Module;
use crate::output::{NewFile, NewFolder, Places};

/// The places of all that a training writes.
pub(super) struct Outputs {
    pub out: NewFolder,
    pub report: Option<NewFile>,
    pub checkpoint: NewFile,
}

impl Outputs {
    pub fn of(args: &Args, places: &Places) -> Result<Self, Error> {
        let out = places.folder("--out", &args.out, args.force, "module.json")?;
        let report = args
            .report
            .as_ref()
            .map(|path| places.file("--report", path, args.force))
            .transpose()?;
        let checkpoint = keep::place(places, out.path(), args.resume, args.force)?;
        Ok(Outputs { out, report, checkpoint })
    }
}

/// Writes the module, and after full training the base around it.
pub(super) fn save(out: NewFolder, base: Option<&Vit>, module: &Module) -> Result<(), Error> {
    let dir = out.begin()?;
    if let Some(base) = base {
        for (name, bytes) in base.files()? {
            dir.write(name, &bytes)?;
        }
    }
    for (name, bytes) in module.files()? {
        dir.write(name, &bytes)?;
    }
    dir.commit()
}
