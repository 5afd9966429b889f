//! Outputs that are whole or absent. They are written beside their place under a temporary name,
//! flushed to disk, then renamed. Also standard output, so that no pipe or full disk causes a
//! panic.

mod console;
mod dir;
mod folders;
mod leftovers;
mod pair;
mod stage;
mod standing;
mod target;

pub use console::{arrived, print, say};
pub use dir::OutputDir;
pub use pair::NewPair;
pub use target::{NewFile, NewFolder, Place, Places, folder_for};

/// The time now: RFC 3339, UTC, whole seconds.
pub fn now() -> String {
    jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;
