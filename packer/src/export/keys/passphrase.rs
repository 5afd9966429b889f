//! Pass phrases, from a file descriptor or the terminal.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::sync::OnceLock;

use crate::Error;

/// The file descriptor that pass phrases come from, if not from the terminal. It is set once, from
/// the command line.
pub static PASSPHRASE_FD: OnceLock<u32> = OnceLock::new();

/// A pass phrase: the first line of [`PASSPHRASE_FD`], or what is typed on the terminal, twice if
/// it is `new`.
///
/// # Errors
/// [`Error::Option`] where there is none; [`Error::Io`].
pub fn passphrase(prompt: &str, new: bool) -> Result<String, Error> {
    if let Some(fd) = PASSPHRASE_FD.get() {
        return first_line(*fd);
    }
    if !std::io::stdin().is_terminal() {
        return Err(refuse(
            "is needed where there is no terminal to ask for the pass phrase".into(),
        ));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map_err(|error| Error::io("the terminal", error))
    };
    let typed = ask(prompt)?;
    if typed.is_empty() {
        return Err(refuse("or the terminal must give a pass phrase that is not empty".into()));
    }
    if new && ask("The same again: ")? != typed {
        return Err(refuse("was not given, and the two pass phrases typed differ".into()));
    }
    Ok(typed)
}

/// The first line of a file descriptor.
fn first_line(fd: u32) -> Result<String, Error> {
    let unreadable = |error: std::io::Error| refuse(format!("{fd} cannot be read: {error}"));
    let file = File::open(format!("/dev/fd/{fd}")).map_err(unreadable)?;
    let mut text = String::new();
    file.take(1 << 16).read_to_string(&mut text).map_err(unreadable)?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    if line.is_empty() {
        Err(refuse(format!("{fd} has no pass phrase in its first line")))
    } else {
        Ok(line)
    }
}

fn refuse(what: String) -> Error {
    Error::Option { name: "the descriptor of the pass phrase", what }
}
