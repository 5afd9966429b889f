//! The images of a split by the values of an attribute.

use std::collections::BTreeMap;

use crate::Error;
use crate::data::Dataset;

/// An attribute of more values is free text or a number.
const MAX_VALUES: usize = 50;

/// The images of a split by the values of an attribute.
pub struct Division<'a> {
    pub(super) by: &'a str,
    /// Of each value, the places of its images in the split.
    pub(super) values: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Division<'a> {
    /// Divides the items `indices` of `data` by the attribute `by`.
    ///
    /// # Errors
    /// [`Error::Option`] for an attribute that is not there, cannot be used or has more than 50
    /// values.
    pub fn new(data: &'a Dataset, indices: &[usize], by: &'a str) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Option { name: "the attribute", what });
        let Some(attribute) = data.attributes.iter().find(|attribute| attribute.name == by) else {
            let names: Vec<&str> =
                data.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
            return refuse(if names.is_empty() {
                format!(
                    "{by}: nothing is known of the images of {} but class and group",
                    data.root.display()
                )
            } else {
                format!("{by}: there is no such column; there are {}", names.join(", "))
            });
        };
        if let Some(fault) = &attribute.fault {
            return refuse(fault.clone());
        }
        let mut values: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, &index) in indices.iter().enumerate() {
            values.entry(&attribute.values[index]).or_default().push(place);
        }
        if values.len() > MAX_VALUES {
            refuse(format!(
                "{by}: the column has {} values here, and at most {MAX_VALUES} can be told apart; \
                 is it free text or a number? Make a column of ranges",
                values.len()
            ))
        } else {
            Ok(Division { by, values })
        }
    }
}
