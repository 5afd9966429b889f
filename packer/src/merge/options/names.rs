//! The names of methods, spaces and ranks, on the command line and in files.

use std::fmt;
use std::str::FromStr;

use super::{MAX_RANK, Method, Rank, Space};

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Method::ALL.map(Method::name).join(", ");
        Method::ALL
            .into_iter()
            .find(|m| m.name() == text)
            .ok_or_else(|| format!("{text:?} is none of {}", known()))
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Space::Delta => "delta",
            Space::Factors => "factors",
        })
    }
}

impl FromStr for Space {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "delta" => Ok(Space::Delta),
            "factors" => Ok(Space::Factors),
            _ => Err(format!("{text:?} is neither delta nor factors")),
        }
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rank::Exact => f.write_str("exact"),
            Rank::AtMost(rank) => write!(f, "{rank}"),
        }
    }
}

impl FromStr for Rank {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("exact", _) => Ok(Rank::Exact),
            (_, Ok(rank)) if (1..=MAX_RANK).contains(&rank) => Ok(Rank::AtMost(rank)),
            _ => Err(format!("{text:?} is neither exact nor a rank from 1 to {MAX_RANK}")),
        }
    }
}

/// Names in files are those of the command line.
macro_rules! by_name {
    ($($kind:ty),*) => {$(
        impl TryFrom<String> for $kind {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$kind> for String {
            fn from(value: $kind) -> String {
                value.to_string()
            }
        }
    )*};
}

by_name!(Method, Space, Rank);
