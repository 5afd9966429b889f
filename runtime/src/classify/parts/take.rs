//! The tensors of an entry, checked one by one.

use std::collections::BTreeMap;

use super::super::graph::misfit;
use crate::tensors::Tensor;
use crate::{Class, Error};

/// The tensors of one entry, each taken once by name and shape; what goes wrong is gathered.
pub struct Take {
    entry: String,
    pub tensors: BTreeMap<String, Tensor>,
    wrong: Vec<String>,
    /// Of the first thing that is wrong.
    class: Option<Class>,
}

impl Take {
    /// Those of the entry of this name.
    pub fn new(entry: &str, tensors: BTreeMap<String, Tensor>) -> Self {
        Take { entry: entry.to_owned(), tensors, wrong: Vec::new(), class: None }
    }

    /// The values of a tensor; none where it is missing or has another shape, which is noted.
    pub fn tensor(&mut self, name: &str, shape: &[usize]) -> Vec<f32> {
        match self.tensors.remove(name) {
            None => self.refuse(Class::TensorsMisfit, format!("{name} is missing")),
            Some(tensor) if tensor.shape != shape => {
                let what = format!("{name} has shape {:?}, not {shape:?}", tensor.shape);
                self.refuse(Class::ModuleWrongShape, what);
            }
            Some(tensor) => return tensor.data,
        }
        Vec::new()
    }

    /// Notes something that is wrong.
    pub fn refuse(&mut self, class: Class, what: String) {
        self.class.get_or_insert(class);
        self.wrong.push(what);
    }

    /// `parts`, unless something was wrong or a tensor is left over.
    pub fn finish<T>(mut self, parts: T) -> Result<T, Error> {
        for name in std::mem::take(&mut self.tensors).into_keys() {
            self.refuse(Class::TensorsMisfit, format!("{name} is not in the manifest"));
        }
        match self.class {
            None => Ok(parts),
            Some(class) => Err(misfit(class, &self.entry, &self.wrong)),
        }
    }
}
