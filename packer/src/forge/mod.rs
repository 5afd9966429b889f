//! The forge: contributions come in one after another and become forge items v1, v2, ...
//!
//! A forge is a store (a folder or a bucket) in which nothing is ever changed:
//!
//! ```text
//! forge.zip            the base, who may contribute, the forge's key; signed by it
//! objects/<sha256>     bytes, named by their digest
//! pushes/000001.zip    a contribution's signed manifest; its entries are objects
//! items/000001.zip     a forge item, signed by the forge's key; its content is an object
//! ```
//!
//! A writer stores objects first, then creates the next number. When several create the same
//! number, one succeeds. The others read what is new, check again and take the next. So a process
//! may stop at any point, and any number of them may run at once.
//!
//! The caller hands in the method that merges ([`Merge`]); the forge keeps the store and the
//! history. The newest item is the tip.

mod append;
mod change;
pub mod compare;
mod item;
mod leave;
mod members;
mod method;
mod objects;
mod open;
mod push;
pub mod recipe;
mod records;
mod root;
mod steps;
mod store;
#[cfg(test)]
mod tests;
mod verify;

pub use item::{Content, Item, Kind, Member, Object};
pub use method::{ItemModel, Members, Merge, Methods, TaskData};
pub use open::Forge;
pub use records::Pushed;
pub use root::{Root, read_contributors};
pub use store::Store;
pub use verify::Report;
