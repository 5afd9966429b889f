//! Moments, as trust files and devices state them.

use serde::{Deserialize, Serialize};

use super::rules::is_utc_second;

/// A moment, UTC to the second: `2026-01-31T23:59:59Z`. The caller gives it; nothing here asks a
/// clock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(String);

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // In this form, of fixed width, the order of texts is that of moments.
        if is_utc_second(&text) {
            Ok(Moment(text))
        } else {
            Err(format!("{text:?} is not like 2026-01-31T23:59:59Z"))
        }
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> String {
        moment.0
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}
