//! JSON as hostile input, before anything is made of it. It must be UTF-8 and well formed, not
//! nested too deep, and have no key twice in any object. The number of values is bounded: an empty
//! text takes three bytes in a file and twenty-four in memory.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::Class;

/// Values in one text, those in objects and lists too.
pub const MOST_VALUES: usize = 1 << 18;

/// Refuses what libraries read in different ways, or at great cost. `deepest` is how many objects
/// and lists may stand in one another.
///
/// # Errors
/// The class, and what is wrong in words.
pub fn check(text: &[u8], deepest: usize) -> Result<(), (Class, String)> {
    let text = std::str::from_utf8(text)
        .map_err(|error| (Class::NotUtf8, format!("byte {} is not UTF-8", error.valid_up_to())))?;
    let (found, values) = (Cell::new(Class::BadJson), Cell::new(0));
    let mut json = serde_json::Deserializer::from_str(text);
    let result = Any { left: deepest, found: &found, values: &values }
        .deserialize(&mut json)
        .and_then(|()| json.end());
    result.map_err(|error| (found.get(), error.to_string()))
}

/// Any JSON value in which no object has a key twice; what was found wrong goes to `found`.
#[derive(Clone, Copy)]
struct Any<'a> {
    left: usize,
    found: &'a Cell<Class>,
    values: &'a Cell<usize>,
}

impl Any<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1).ok_or_else(|| {
            self.found.set(Class::DeepJson);
            E::custom("nested too deep")
        })?;
        Ok(Any { left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > MOST_VALUES {
            self.found.set(Class::JsonTooLarge);
            return Err(D::Error::custom(format!("more than {MOST_VALUES} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let below = self.deeper()?;
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(below)?;
            if let Some(key) = keys.replace(key) {
                self.found.set(Class::DupJsonKey);
                return Err(A::Error::custom(format!("duplicate key {key:?}")));
            }
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let below = self.deeper()?;
        while seq.next_element_seed(below)?.is_some() {}
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_has_its_class() {
        let class = |text: &[u8]| check(text, 3).err().map(|(class, _)| class);
        assert_eq!(class(br#"{"a":[1,-1,2.5,"x",null,true,{"b":1}],"c":{"a":1}}"#), None);
        assert_eq!(class(br#"{"a":{"b":1,"b":2}}"#), Some(Class::DupJsonKey));
        assert_eq!(class(b"[[[[1]]]]"), Some(Class::DeepJson));
        assert_eq!(class("[".repeat(100_000).as_bytes()), Some(Class::DeepJson));
        assert_eq!(class(b"\"\xff\""), Some(Class::NotUtf8));
        let many = |count: usize| format!("[{}1]", "1,".repeat(count - 2)).into_bytes();
        assert_eq!(class(&many(MOST_VALUES)), None);
        assert_eq!(class(&many(MOST_VALUES + 1)), Some(Class::JsonTooLarge));
        for text in [&b""[..], b"{", b"{} {}", b"nul", b"[1,]"] {
            assert_eq!(class(text), Some(Class::BadJson));
        }
    }
}
