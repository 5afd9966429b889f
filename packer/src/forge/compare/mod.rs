//! Every method on the members of one item, side by side. They are compared on the members'
//! condensed sets and, where the caller has them, on real images that the modules never saw. Each
//! model is built as the forge would build it; nothing is written to the forge.
//!
//! Refused: an item without members, unknown methods, images of a task that the item does not have,
//! or of other classes. A method that cannot be used with these members gets a row that says why.

mod answers;
mod candidates;
mod comparison;
mod judge;
mod page;
mod real;
mod run;
mod table;
#[cfg(test)]
mod tests;

pub use candidates::methods;
pub use comparison::{
    Comparison, Figures, OWN_MODULES, OnCondensed, Outcome, Question, Row, Scores, THIS_ITEM, Test,
};
pub use run::compare;
