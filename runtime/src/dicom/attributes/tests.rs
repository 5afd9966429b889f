//! Numbers as files have them, right and wrong.

use super::*;

#[test]
fn decimal_strings_are_numbers_or_nothing() {
    for (text, value) in [
        ("0.25", 0.25),
        ("-1024", -1024.0),
        ("+1.5E+3", 1500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e-2", 0.01),
    ] {
        assert_eq!(decimal(text), Some((value, false)), "{text}");
    }
    for text in ["", "40 HU", "4 0", "nan", "inf", "1e999", "0x10", "--1", "1.2.3", "١"] {
        assert_eq!(decimal(text), None, "{text}");
    }
}

#[test]
fn a_decimal_comma_is_a_point_where_it_can_be_nothing_else() {
    for (text, value) in
        [("0,25", 0.25), ("499,5", 499.5), ("-1024,0", -1024.0), ("0,125", 0.125), ("1,5E1", 15.0)]
    {
        assert_eq!(decimal(text), Some((value, true)), "{text}");
    }
    // Thousands, or a point: nobody knows.
    for text in ["1,024", "-1,024", "1,024.5", "1.024,5", "1,2,3", "40,", ","] {
        let found = decimal(text);
        assert!(found.is_none() || text == "40,", "{text}: {found:?}");
    }
}
