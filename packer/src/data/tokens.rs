//! The words of a name, as people join them: `Training Set`, `imagesTr`, `age_years`.

/// The words of `name` in lower case. A word is a run of letters or of digits; a capital after a
/// small letter begins a new one.
pub(super) fn tokens(name: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = (before.is_lowercase() && c.is_uppercase())
            || (before.is_alphanumeric() && before.is_numeric() != c.is_numeric());
        if begins || !c.is_alphanumeric() {
            tokens.push(String::new());
        }
        if let (Some(token), true) = (tokens.last_mut(), c.is_alphanumeric()) {
            token.extend(c.to_lowercase());
        }
        before = c;
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}
