//! JSON values as names and texts.

use serde_json::Value;

/// The values of a JSON object by their names. A value of an object inside has both names; a list
/// is one line.
pub fn facts_of(value: &Value) -> Vec<(String, String)> {
    fn text(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Null => "none".into(),
            Value::Array(all) if all.is_empty() => "none".into(),
            Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        }
    }
    let Value::Object(fields) = value else { return vec![] };
    let fact = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => facts_of(value)
            .into_iter()
            .map(|(inner, text)| (format!("{}: {inner}", name.replace('_', " ")), text))
            .collect(),
        _ => vec![(name.replace('_', " "), text(value))],
    };
    fields.iter().flat_map(fact).collect()
}
