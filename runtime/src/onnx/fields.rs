//! How many fields a model has, counted before any of it is read.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Counts the fields of the model in `bytes`; none where it cannot be read. No field takes memory
/// here. A field of two bytes may become a message of a hundred.
pub fn fields(bytes: &[u8]) -> Option<usize> {
    fields_of(bytes, Kind::Model)
}

/// A message that holds others of which there may be many.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
}

impl Kind {
    /// What the field `tag` holds, if it is one of these.
    fn inside(self, tag: u32) -> Option<Kind> {
        match (self, tag) {
            (Kind::Model, 7) => Some(Kind::Graph),
            (Kind::Graph, 1) => Some(Kind::Node),
            (Kind::Graph, 5) => Some(Kind::Tensor),
            (Kind::Graph, 11 | 12) => Some(Kind::Value),
            (Kind::Node, 5) => Some(Kind::Attribute),
            (Kind::Value, 2) => Some(Kind::Type),
            (Kind::Type, 1) => Some(Kind::TensorType),
            (Kind::TensorType, 2) => Some(Kind::Shape),
            _ => None,
        }
    }
}

fn fields_of(mut bytes: &[u8], kind: Kind) -> Option<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        let (tag, wire) = decode_key(&mut bytes).ok()?;
        count += 1;
        if wire == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
            let (inside, rest) = bytes.split_at_checked(length)?;
            bytes = rest;
            count += kind.inside(tag).map_or(Some(0), |kind| fields_of(inside, kind))?;
        } else {
            skip_field(wire, tag, &mut bytes, DecodeContext::default()).ok()?;
        }
    }
    Some(count)
}
