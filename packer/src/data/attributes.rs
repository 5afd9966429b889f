//! What is known of images besides class and group (site, scanner, sex, age, ...): the further columns of a list, or values of DICOM headers.
//! Evaluation tells results apart by them; training never sees them.
//!
//! Refused: more than 32 further columns, one that is there twice, names and values over 64 bytes or with control characters.

use std::collections::HashSet;
use std::sync::Arc;

/// Further columns of a list.
const MAX_COLUMNS: usize = 32;
/// The longest name or value, in bytes.
pub(super) const MAX_VALUE: usize = 64;

/// One value an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    /// In the order of the data set's items; empty where nothing is stated. Equal values share their memory.
    pub values: Vec<Arc<str>>,
}

/// Attributes while their values are read.
#[derive(Default)]
pub(super) struct Attributes {
    all: Vec<Attribute>,
    known: HashSet<Arc<str>>,
}

impl Attributes {
    /// Begins the attribute `name`; why it cannot be one.
    pub fn begin(&mut self, name: &str) -> Result<(), String> {
        check(&format!("the column name {name:?}"), name)?;
        if self.has(name) {
            return Err(format!("column {name} is there twice"));
        }
        if self.all.len() == MAX_COLUMNS {
            return Err(format!(
                "there are more than {MAX_COLUMNS} columns besides path, label, group and split; leave some out"
            ));
        }
        self.all.push(Attribute { name: name.to_owned(), values: Vec::new() });
        Ok(())
    }

    pub fn has(&self, name: &str) -> bool {
        self.all.iter().any(|attribute| attribute.name == name)
    }

    /// The next image's value of attribute `number`; why it cannot be one.
    pub fn push(&mut self, number: usize, value: &str) -> Result<(), String> {
        check(&self.all[number].name, value)?;
        let value = self.shared(value);
        self.all[number].values.push(value);
        Ok(())
    }

    /// An attribute that the list does not have, whose values are free of what is refused.
    pub fn add<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str>) {
        let values = values.map(|value| self.shared(value)).collect();
        self.all.push(Attribute { name: name.to_owned(), values });
    }

    pub fn finish(self) -> Vec<Attribute> {
        self.all
    }

    fn shared(&mut self, value: &str) -> Arc<str> {
        if let Some(known) = self.known.get(value) {
            return known.clone();
        }
        let value: Arc<str> = value.into();
        self.known.insert(value.clone());
        value
    }
}

fn check(what: &str, value: &str) -> Result<(), String> {
    if value.len() > MAX_VALUE {
        let length = value.len();
        return Err(format!(
            "{what} is {length} bytes long; the limit is {MAX_VALUE}: shorten it, or leave the column out"
        ));
    }
    match value.chars().any(char::is_control) {
        true => Err(format!("{what} {value:?} holds a control character; remove it, or leave the column out")),
        false => Ok(()),
    }
}
