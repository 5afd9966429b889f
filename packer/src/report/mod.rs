//! A report: one HTML page that holds everything it shows and loads nothing.
//!
//! A page is a list of blocks (facts, line charts, tables of metrics, confusion matrices, picture
//! galleries, notes). It follows the reader's light or dark setting and prints. What its colours
//! say stands there in words too. Every text is escaped, so that a class named `<script>` stays a
//! name; a content security policy forbids scripts and anything from elsewhere.

mod block;
mod chart;
mod escape;
mod facts;
mod gallery;
mod html;
mod table;

pub use block::{Block, Chart, Confusion, Gallery, Interval, Line, Metrics, Picture, Prediction};
pub use facts::facts_of;
pub use html::Report;

#[cfg(test)]
mod tests;
