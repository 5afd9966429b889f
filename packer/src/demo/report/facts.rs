//! Facts with their units.

/// A fact by its name.
pub fn fact(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

/// A number of bytes in kB or MB.
pub fn megabytes(bytes: usize) -> String {
    match bytes {
        0..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A time in ms or s.
pub fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", 1e3 * seconds) } else { format!("{seconds:.1} s") }
}
