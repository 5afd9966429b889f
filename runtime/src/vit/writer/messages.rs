//! The messages of a graph as they are gathered: weights, constants, inputs, nodes.

use crate::onnx::{
    AttributeProto, AttributeType, DataLocation, DataType, Dimension, DimensionValue, GraphProto,
    NodeProto, TensorProto, TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
};

/// A graph that grows.
pub(super) struct Messages {
    pub graph: GraphProto,
}

/// A dimension of an input or output.
pub(super) enum Dim {
    Size(usize),
    /// One that each call gives.
    Symbol(String),
}

impl Dim {
    /// How many images there are.
    pub fn batch() -> Self {
        Dim::Symbol("N".into())
    }
}

impl Default for Messages {
    fn default() -> Self {
        Messages { graph: GraphProto { name: "base".into(), ..GraphProto::default() } }
    }
}

impl Messages {
    pub fn input(&mut self, name: &str, dims: &[Dim]) {
        self.graph.input.push(value(name, dims));
    }

    pub fn output(&mut self, name: &str, dims: &[Dim]) {
        self.graph.output.push(value(name, dims));
    }

    /// Adds a weight, whose values are elsewhere.
    pub fn weight(&mut self, name: &str, dims: &[usize]) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: dims.iter().map(|&side| side as i64).collect(),
            data_type: DataType::Float as i32,
            data_location: Some(DataLocation::External as i32),
            ..TensorProto::default()
        });
    }

    /// Adds a number as a constant.
    pub fn number(&mut self, name: &str, value: f64) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            data_type: DataType::Float as i32,
            raw_data: (value as f32).to_le_bytes().to_vec(),
            ..TensorProto::default()
        });
    }

    /// Adds a list of whole numbers as a constant.
    pub fn integers(&mut self, name: &str, values: &[i64]) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ..TensorProto::default()
        });
    }

    /// Adds an operation and gives the name of its output.
    pub fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = format!("{name}.out");
        self.node_to(op, name, inputs, attributes, &output);
        output
    }

    /// Adds an operation whose output has this name.
    pub fn node_to(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
        output: &str,
    ) {
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            name: name.into(),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute,
            ..NodeProto::default()
        });
    }
}

fn value(name: &str, dims: &[Dim]) -> ValueInfoProto {
    let dim = dims.iter().map(|dim| match dim {
        Dim::Size(size) => DimensionValue::DimValue(*size as i64),
        Dim::Symbol(symbol) => DimensionValue::DimParam(symbol.clone()),
    });
    let dim = dim.map(|value| Dimension { value: Some(value) }).collect();
    let tensor =
        TensorType { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

/// An attribute that is one whole number.
pub(super) fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..Default::default() }
}

/// An attribute that is several whole numbers.
pub(super) fn integers(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: ints.to_vec(),
        ..AttributeProto::default()
    }
}

/// An attribute that is a number.
pub(super) fn number(name: &str, value: f64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value as f32,
        ..AttributeProto::default()
    }
}
