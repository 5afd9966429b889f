//! Attributes: what is known of images besides class and group (site, scanner, sex, age, ...). They
//! are the other columns of a list, or values of DICOM headers.
//!
//! Evaluation tells results apart by them; training never sees them. A column of ages is told in
//! bands.
//!
//! A column that cannot be used is refused only where somebody asks for it. Such are columns after
//! the first 32, columns that are there twice, and columns with a value that is over 64 bytes, not
//! UTF-8, or holds a control character or one that nobody sees.

use std::collections::HashSet;
use std::sync::Arc;

use medforge_runtime::words::{is_unseen, turns};

use super::ages;

/// The most columns that are kept.
const MAX_COLUMNS: usize = 32;
/// The longest name or value, in bytes.
pub(super) const MAX_VALUE: usize = 64;

/// One value for each image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    /// In the order of the data set's items; empty text where nothing is stated. Equal values share
    /// their memory.
    pub values: Vec<Arc<str>>,
    /// Why it cannot be used, if so. It has no values then.
    pub fault: Option<String>,
}

/// Attributes while their values are read.
#[derive(Default)]
pub(super) struct Attributes {
    all: Vec<Attribute>,
    /// The columns of the list that are kept: index into `all`, and column.
    columns: Vec<(usize, usize)>,
    /// Every value so far, once.
    texts: HashSet<Arc<str>>,
}

impl Attributes {
    /// Begins the attribute `name`, which is the column `column` of a list.
    pub fn begin(&mut self, name: &str, column: usize) {
        // A name that no command line can hold is never asked for.
        if check("the name", name).is_err() {
            return;
        }
        let fault = match (
            self.all.iter_mut().find(|other| other.name == name),
            self.columns.len() == MAX_COLUMNS,
        ) {
            (Some(first), _) => {
                first.fault = Some(format!("column {name} is there twice"));
                return;
            }
            (None, true) => Some(format!(
                "{name}: only the first {MAX_COLUMNS} columns besides path, label, group and split \
                 are kept; move it forward"
            )),
            (None, false) => None,
        };
        if fault.is_none() {
            self.columns.push((self.all.len(), column));
        }
        self.all.push(Attribute { name: name.to_owned(), values: Vec::new(), fault });
    }

    /// Whether there is one of that name.
    pub fn has(&self, name: &str) -> bool {
        self.all.iter().any(|attribute| attribute.name == name)
    }

    /// Takes the next image's values, which `field` gives by column. They stand in row `row`.
    pub fn push<'a>(&mut self, row: u64, field: impl Fn(usize) -> &'a [u8]) {
        for at in 0..self.columns.len() {
            let (number, column) = self.columns[at];
            let name = &self.all[number].name;
            let value =
                std::str::from_utf8(field(column)).map_err(|_| format!("{name} is not UTF-8"));
            let value = value.and_then(|value| check(name, value).map(|()| value));
            match value {
                _ if self.all[number].fault.is_some() => {}
                Ok(value) => {
                    let value = self.shared(value);
                    self.all[number].values.push(value);
                }
                Err(what) => self.all[number].fault = Some(format!("row {row}: {what}")),
            }
        }
    }

    /// Adds an attribute that is no column of the list. Its values must already be free of refused
    /// characters.
    pub fn add<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str>) {
        let values = values.map(|value| self.shared(value)).collect();
        self.all.push(Attribute { name: name.to_owned(), values, fault: None });
    }

    /// The attributes with all their values, ages in bands.
    pub fn finish(mut self) -> Vec<Attribute> {
        for attribute in &mut self.all {
            if attribute.fault.is_some() {
                attribute.values = Vec::new();
            } else if ages::is_age(&attribute.name) {
                let banded = |value: &Arc<str>| {
                    ages::of_value(value).map_or_else(|| value.clone(), Arc::from)
                };
                attribute.values = attribute.values.iter().map(banded).collect();
            }
        }
        self.all
    }

    fn shared(&mut self, value: &str) -> Arc<str> {
        if let Some(text) = self.texts.get(value) {
            return text.clone();
        }
        let value: Arc<str> = value.into();
        self.texts.insert(value.clone());
        value
    }
}

fn check(what: &str, value: &str) -> Result<(), String> {
    if value.len() > MAX_VALUE {
        let length = value.len();
        return Err(format!("{what} is {length} bytes long; the limit is {MAX_VALUE}: shorten it"));
    }
    if value.chars().any(is_refused) {
        Err(format!(
            "{what} {value:?} holds a control character, or one that nobody sees; remove it"
        ))
    } else {
        Ok(())
    }
}

/// Whether bundles refuse this character in a name or value.
pub(super) fn is_refused(c: char) -> bool {
    c.is_control() || turns(c) || is_unseen(c)
}
