//! What a pickle has built so far. Values are small and name their content by its place, so that a
//! pickle which puts things into themselves makes no circle of owners, and deep ones no recursion.

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::Dtype;

use super::globals::Global;

/// Bytes of a name.
const LONGEST_NAME: usize = 1024;

/// A value, or the place of its content in the [`Heap`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    Int(i128),
    /// Its bytes within the pickle.
    Text(Range<usize>),
    Global(Global),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Storage(usize),
    Tensor(usize),
    /// Plain data, of which nothing is kept.
    Inert,
}

impl Value {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Int(_) => "a whole number",
            Value::Text(_) => "a text",
            Value::Global(_) => "a name",
            Value::Tuple(_) => "a tuple",
            Value::List(_) => "a list",
            Value::Dict(_) => "a dictionary",
            Value::Storage(_) => "a storage",
            Value::Tensor(_) => "a tensor",
            Value::Inert => "plain data",
        }
    }
}

/// The values of one type that tensors are over.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    pub key: String,
    pub dtype: Dtype,
    /// How many values.
    pub length: u64,
}

/// A tensor over a storage, all of it within.
#[derive(Clone, Debug)]
pub struct Strided {
    pub storage: usize,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Values from one to the next, by dimension; zero where there is one alone.
    pub strides: Vec<usize>,
    /// The value of the storage that is the first.
    pub first: u64,
    /// Values of the storage from the first to the last, both included.
    pub span: u64,
}

#[derive(Debug, Default)]
pub struct Heap {
    /// Of tuples and lists.
    pub lists: Vec<Vec<Value>>,
    /// In the order in which they came; a key may be there twice.
    pub dicts: Vec<Vec<(Value, Value)>>,
    pub storages: Vec<Storage>,
    /// Places of storages by key.
    pub keys: BTreeMap<String, usize>,
    pub tensors: Vec<Strided>,
}

impl Heap {
    pub fn tuple(&mut self, values: Vec<Value>) -> Value {
        self.lists.push(values);
        Value::Tuple(self.lists.len() - 1)
    }

    pub fn list(&mut self) -> Value {
        self.lists.push(Vec::new());
        Value::List(self.lists.len() - 1)
    }

    pub fn dict(&mut self) -> Value {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    /// The values of a tuple.
    ///
    /// # Errors
    /// What is there instead.
    pub fn values(&self, tuple: &Value) -> Result<&[Value], String> {
        match tuple {
            Value::Tuple(place) => Ok(&self.lists[*place]),
            other => Err(format!("has {} where a tuple belongs", other.kind())),
        }
    }
}

/// The text at `range` of the pickle `bytes`.
///
/// # Errors
/// If it is no UTF-8 or longer than names are. It may be named again and again.
pub fn text(bytes: &[u8], range: &Range<usize>) -> Result<String, String> {
    if range.len() > LONGEST_NAME {
        return Err(format!("has a name of {} bytes", range.len()));
    }
    let text = std::str::from_utf8(&bytes[range.clone()]);
    text.map(str::to_owned).map_err(|_| "has a name that is no UTF-8".into())
}
