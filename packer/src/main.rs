//! The `packer` program: reads the command line, runs it, prints one sentence on failure.
//!
//! On Linux the search for a GPU goes through a layer that looks for a display too. Where
//! `XDG_RUNTIME_DIR` is not set, that layer writes to standard error what looks like a failure. A
//! process cannot change its environment while others of its threads may read it, so packer begins
//! anew with it set.
#![forbid(unsafe_code)]
#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::process::ExitCode;

use medforge_packer::cli::{self, hints};
use medforge_packer::{interrupt, output};

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    runtime_dir::provide();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    interrupt::install();
    match cli::run(std::env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&format!("packer: {}", hints::shown(&error)));
            ExitCode::from(error.exit_code())
        }
    }
}

#[cfg(target_os = "linux")]
mod runtime_dir {
    use std::env;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::Command;

    const NAME: &str = "XDG_RUNTIME_DIR";
    /// Where nothing is and nobody can put anything: no display is found there.
    const NOWHERE: &str = "/nonexistent";
    /// The commands that may look for a GPU.
    const LOOKING: [&str; 5] = ["audit-privacy", "condense", "devices", "eval", "train"];

    /// Replaces this process by itself with the variable set, where a command may need it and it is
    /// not. If that fails, what is lost is quiet.
    pub fn provide() {
        let set = env::var_os(NAME).is_some_and(|dir| Path::new(&dir).is_absolute());
        let looks = env::args_os().skip(1).any(|word| LOOKING.iter().any(|name| word == *name));
        if set || !looks {
            return;
        }
        if let Ok(program) = env::current_exe() {
            let mut again = Command::new(program);
            again.args(env::args_os().skip(1)).env(NAME, NOWHERE);
            if let Some(name) = env::args_os().next() {
                again.arg0(name);
            }
            let _ = again.exec();
        }
    }
}
