//! Extra fields of entries, and numbers of eight bytes: what ZIP64 is made of.

/// ZIP64's numbers.
pub(super) const ZIP64_FIELD: u16 = 1;
/// Info-ZIP's Unicode path.
pub(super) const UNICODE_PATH: u16 = 0x7075;

/// The content of an extra field of this kind.
pub(super) fn field(mut extra: &[u8], kind: u16) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let content = rest.get(..length)?;
        if u16::from_le_bytes([head[0], head[1]]) == kind {
            return Some(content);
        }
        extra = &rest[length..];
    }
    None
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk::<8>().map(|b| u64::from_le_bytes(*b))
}
