//! Ages in bands, so that results can be told apart by them. An age is a number of years, or what
//! DICOM writes (`034Y`, `007M`).

use super::tokens::tokens;

/// The last year of age in each band, and the band's name.
const BANDS: [(u32, &str); 4] = [(17, "0-17"), (39, "18-39"), (64, "40-64"), (u32::MAX, "65+")];
/// A larger number is no age in years.
const OLDEST: f64 = 130.0;
/// Words that a column of ages in years may have in its name.
const BESIDE: [&str; 21] = [
    "age",
    "ages",
    "yr",
    "yrs",
    "year",
    "years",
    "y",
    "patient",
    "subject",
    "participant",
    "person",
    "at",
    "of",
    "in",
    "the",
    "diagnosis",
    "dx",
    "scan",
    "exam",
    "study",
    "approx",
];

/// Whether a column of this name holds ages in years, if it holds numbers.
pub(super) fn is_age(column: &str) -> bool {
    let tokens = tokens(column);
    tokens.iter().any(|token| token == "age")
        && tokens.iter().all(|token| BESIDE.contains(&token.as_str()))
}

/// The band of an age such as `034Y` or `007M` (PS3.5, table 6.2-1, AS), also with fewer digits.
/// None for any other text.
pub(super) fn of_dicom(age: &str) -> Option<&'static str> {
    let (number, unit) = age.split_at_checked(age.len().checked_sub(1)?)?;
    let digits =
        (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = number.parse().ok().filter(|_| digits)?;
    let years = match unit {
        "Y" => number,
        "M" => number / 12,
        "W" => number * 7 / 365,
        "D" => number / 365,
        _ => return None,
    };
    of_years(years)
}

/// The band of a value in a list: years, with a decimal point or comma, or as DICOM writes it.
pub(super) fn of_value(value: &str) -> Option<&'static str> {
    let digits = value.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b',');
    let years = value
        .replace(',', ".")
        .parse::<f64>()
        .ok()
        .filter(|years| digits && (0.0..=OLDEST).contains(years));
    years.map_or_else(|| of_dicom(value), |years| of_years(years as u32))
}

fn of_years(years: u32) -> Option<&'static str> {
    BANDS.iter().find(|(last, _)| years <= *last).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_fall_into_bands() {
        for (age, expected) in [
            ("000D", Some("0-17")),
            ("017Y", Some("0-17")),
            ("018Y", Some("18-39")),
            ("216M", Some("18-39")),
            ("999W", Some("18-39")),
            ("040Y", Some("40-64")),
            ("064Y", Some("40-64")),
            ("065Y", Some("65+")),
            ("999Y", Some("65+")),
            ("34Y", Some("18-39")),
            ("34", None),
            ("+34Y", None),
            ("0034Y", None),
            ("abcY", None),
            ("034X", None),
            ("äöü", None),
        ] {
            assert_eq!(of_dicom(age), expected, "{age}");
        }
    }

    #[test]
    fn years_of_a_list_fall_into_the_same_bands() {
        for (value, expected) in [
            ("34", Some("18-39")),
            ("17.9", Some("0-17")),
            ("17,9", Some("0-17")),
            ("0", Some("0-17")),
            ("130", Some("65+")),
            ("034Y", Some("18-39")),
            ("131", None),
            ("-1", None),
            ("40-49", None),
            ("unknown", None),
            ("inf", None),
            ("", None),
        ] {
            assert_eq!(of_value(value), expected, "{value}");
        }
    }

    #[test]
    fn only_columns_of_ages_in_years_are_banded() {
        for name in [
            "age",
            "Age",
            "AGE",
            "age_years",
            "Age (years)",
            "patient age",
            "PatientAge",
            "Age at diagnosis",
        ] {
            assert!(is_age(name), "{name}");
        }
        for name in ["age_group", "age_months", "bone age", "stage", "image", "dosage", "years"] {
            assert!(!is_age(name), "{name}");
        }
    }
}
