//! A file read in one thread or two is the same bytes, with the digests that they have.

use super::*;
use crate::Class;
use crate::bundle::{Trust, frame, inspect, sha256_hex, verify};

const BUNDLE: &[u8] = include_bytes!("../../../../tests/frozen/bundle.medforge");
const KEY: &str = include_str!("../../../../tests/frozen/k.pub");

/// Both ways to read a file of these bytes.
fn both(bytes: &[u8]) -> [Bytes; 2] {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    [Bytes::read(file.path()).unwrap(), Bytes::read_on_two_threads(file.path()).unwrap()]
}

/// An archive with entries larger and smaller than what is read at a time.
fn large() -> Vec<u8> {
    let data = |length: usize| (0..length).map(|i| (i * 31 % 251) as u8).collect::<Vec<_>>();
    let entries = [
        ("manifest.json", data(7)),
        ("signatures.json", data(0)),
        ("a", data(CHUNK * 2 + 5)),
        ("b", data(CHUNK)),
        ("c", data(1)),
    ];
    frame::write(&entries.each_ref().map(|(name, data)| (*name, &data[..]))).unwrap()
}

#[test]
fn digests_taken_while_reading_are_those_of_the_entries() {
    for archive in [BUNDLE.to_vec(), large()] {
        let [one, two] = both(&archive);
        assert!(*one == *archive && *two == *archive && one.digests.is_empty());
        let entries: Vec<_> = frame::parse(&archive)
            .unwrap()
            .into_iter()
            .filter(|(_, range)| !range.is_empty())
            .collect();
        assert_eq!(two.digests.len(), entries.len());
        for (name, range) in entries {
            let expected = sha256_hex(&archive[range.clone()]);
            assert_eq!(two.digests.get(&(range.start, range.len())), Some(&expected), "{name}");
            assert_eq!(
                [one.sha256_hex(range.clone()), two.sha256_hex(range)],
                [expected.clone(), expected],
                "{name}"
            );
        }
    }
}

#[test]
fn what_is_accepted_and_refused_does_not_depend_on_how_it_was_read() {
    let trust = Trust::from_pem(KEY).unwrap();
    let id = |bytes: Bytes| {
        verify(bytes, &trust)
            .map(|bundle| bundle.id().to_owned())
            .map_err(|error| error.to_string())
    };
    let expected = id(BUNDLE.to_vec().into()).unwrap();
    both(BUNDLE).into_iter().for_each(|bytes| assert_eq!(id(bytes).as_ref(), Ok(&expected)));
    for at in (0..BUNDLE.len()).step_by(BUNDLE.len() / 97) {
        let mut changed = BUNDLE.to_vec();
        changed[at] ^= 1;
        let expected = id(changed.clone().into()).unwrap_err();
        both(&changed)
            .into_iter()
            .for_each(|bytes| assert_eq!(id(bytes).as_ref(), Err(&expected), "byte {at}"));
        let cut = &BUNDLE[..at];
        let expected = id(cut.to_vec().into()).unwrap_err();
        both(cut)
            .into_iter()
            .for_each(|bytes| assert_eq!(id(bytes).as_ref(), Err(&expected), "{at} bytes"));
    }
}

#[test]
fn files_that_are_no_archives_and_none_at_all_are_errors() {
    for bytes in [&b""[..], b"PK\x03\x04", &[0x50; 40], &[0; 3 * CHUNK]] {
        both(bytes)
            .into_iter()
            .for_each(|bytes| assert!(matches!(inspect(bytes), Err(Error::Refused(_)))));
    }
    assert!(Bytes::read(Path::new("/nowhere/at/all")).is_err());
    assert!(Bytes::read_on_two_threads(Path::new("/nowhere/at/all")).is_err());
}

/// No room is made for bytes that nobody will read, where a process may have little of it.
#[test]
fn a_file_of_more_than_a_bundle_may_have_is_not_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(LIMITS.bundle as u64 + 1).unwrap();
    for bytes in
        [Bytes::read(file.path()).unwrap(), Bytes::read_on_two_threads(file.path()).unwrap()]
    {
        assert!(bytes.is_empty());
        assert_eq!(inspect(bytes).unwrap_err().class(), Some(Class::TooLarge));
    }
}
