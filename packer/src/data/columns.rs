//! The header of a list: which column is what, whatever people call it, and which character stands
//! between fields.
//!
//! Refused: a needed column that is missing, and a column that is there twice.

use std::str::FromStr;

/// The columns that a list may have for each image.
pub(super) const FIELDS: [&str; 4] = ["path", "label", "group", "split"];
/// The characters that may stand between the fields of a list.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What a list calls its columns path, label, group and split: by default just that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns([Option<String>; 4]);

impl FromStr for Columns {
    type Err = String;

    /// `path=file,label=diagnosis`: packer's name of a column, then the list's.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut columns = Columns::default();
        for pair in text.split(',') {
            let parts = pair.split_once('=').map(|(field, name)| (field.trim(), name.trim()));
            let Some((field, name)) = parts.filter(|(_, name)| !name.is_empty()) else {
                return Err(format!("{pair:?} is not like label=diagnosis"));
            };
            let Some(slot) =
                FIELDS.iter().position(|name| *name == field).map(|i| &mut columns.0[i])
            else {
                return Err(format!(
                    "there is no column {field:?}; the columns are {}",
                    FIELDS.join(", ")
                ));
            };
            if slot.replace(name.to_owned()).is_some() {
                return Err(format!("{field} is named twice"));
            }
        }
        Ok(columns)
    }
}

/// Where each of the four columns stands, if the list has it.
pub(super) type Positions = [Option<usize>; 4];

impl Columns {
    /// The delimiter of the list that begins with `text`, its header, and where the columns stand.
    /// The first `needed` columns must be there.
    pub(super) fn of_header(
        &self,
        text: &[u8],
        needed: usize,
    ) -> Result<(u8, Vec<String>, Positions), String> {
        let mut all = DELIMITERS.map(|delimiter| (delimiter, header(text, delimiter)));
        for (delimiter, header) in &mut all {
            if let Ok(positions) = self.positions(header, needed) {
                return Ok((*delimiter, std::mem::take(header), positions));
            }
        }
        // The delimiter that makes the most fields was meant; a comma where none makes any.
        let most = all.iter().rev().max_by_key(|(_, header)| header.len());
        let header = most.map(|(_, header)| header.as_slice()).unwrap_or_default();
        match self.positions(header, needed) {
            Err(what) => Err(what),
            Ok(_) => Err("the header cannot be read".into()),
        }
    }

    fn positions(&self, header: &[String], needed: usize) -> Result<Positions, String> {
        let mut positions = [None; 4];
        for (number, (position, field)) in positions.iter_mut().zip(FIELDS).enumerate() {
            let given = self.0[number].as_deref();
            let name = given.unwrap_or(field);
            let exact: Vec<usize> = (0..header.len()).filter(|&i| header[i] == name).collect();
            let alike =
                || (0..header.len()).filter(|&i| header[i].eq_ignore_ascii_case(name)).collect();
            let found: Vec<usize> = if exact.is_empty() { alike() } else { exact };
            *position = found.first().copied();
            if found.len() > 1 {
                return Err(format!("column {name} is there twice"));
            }
            if position.is_none() && (number < needed || given.is_some()) {
                let names =
                    if needed == 4 { "path, label, group and split" } else { "path and label" };
                let have: Vec<&str> = header.iter().take(20).map(String::as_str).collect();
                return Err(format!(
                    "column {name} is missing; the header must name {names}, or choose \
                     among {:?} by {field}=NAME",
                    have.join(", ")
                ));
            }
        }
        Ok(positions)
    }
}

/// The first record's fields. A field that is not UTF-8 matches no name.
fn header(text: &[u8], delimiter: u8) -> Vec<String> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).delimiter(delimiter).from_reader(text);
    let fields = reader.byte_headers().ok().cloned().unwrap_or_default();
    fields.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_in_pairs() {
        let columns: Columns = "path=file, label=diagnosis ,group=patient id".parse().unwrap();
        let (delimiter, header, positions) =
            columns.of_header(b"file;x;diagnosis;patient id\n1;2;3;4\n", 2).unwrap();
        assert_eq!(
            (delimiter, header.len(), positions),
            (b';', 4, [Some(0), Some(2), Some(3), None])
        );
        for (text, words) in [
            ("label", "not like label=diagnosis"),
            ("label=", "not like label=diagnosis"),
            ("class=x", "there is no column \"class\""),
            ("label=a,label=b", "label is named twice"),
        ] {
            assert!(text.parse::<Columns>().unwrap_err().contains(words), "{text}");
        }
    }

    #[test]
    fn what_is_between_fields_is_what_makes_the_columns() {
        for (text, delimiter) in [
            ("path,label\n", b','),
            ("path;label;a,b\n", b';'),
            ("path\tlabel\tnote, more\n", b'\t'),
            ("Path|LABEL\n", b'|'),
            ("\"path\";\"label\"\n", b';'),
        ] {
            let (found, _, positions) = Columns::default().of_header(text.as_bytes(), 2).unwrap();
            assert_eq!((found, positions), (delimiter, [Some(0), Some(1), None, None]), "{text}");
        }
        let missing = Columns::default().of_header(b"file;diagnosis\n", 2).unwrap_err();
        assert!(
            missing.contains("column path is missing") && missing.contains("file, diagnosis"),
            "{missing}"
        );
    }
}
