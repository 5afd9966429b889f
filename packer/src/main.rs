//! The `packer` program: reads the command line, runs it, prints one sentence on failure.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use medforge_packer::{cli, interrupt};

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    interrupt::install();
    match cli::run(std::env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("packer: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
