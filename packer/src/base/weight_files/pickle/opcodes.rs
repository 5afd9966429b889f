//! The opcodes of pickle that are not read, for refusals.

use super::NO_CODE;

/// The refusal of an opcode.
pub fn unread(code: u8) -> String {
    let name = UNREAD.iter().find(|(known, _)| *known == code).map_or("", |(_, name)| name);
    format!("is the opcode {name} ({code:#04x}), which is not read: {NO_CODE}")
}

/// Opcodes of pickle that are not read, by pickle's names for them.
const UNREAD: [(u8, &str); 28] = [
    (b'0', "POP"),
    (b'1', "POP_MARK"),
    (b'2', "DUP"),
    (b'F', "FLOAT"),
    (b'I', "INT"),
    (b'L', "LONG"),
    (b'P', "PERSID"),
    (b'S', "STRING"),
    (b'V', "UNICODE"),
    (b'd', "DICT"),
    (b'g', "GET"),
    (b'i', "INST"),
    (b'l', "LIST"),
    (b'o', "OBJ"),
    (b'p', "PUT"),
    (0x82, "EXT1"),
    (0x83, "EXT2"),
    (0x84, "EXT4"),
    (0x8b, "LONG4"),
    (0x8d, "BINUNICODE8"),
    (0x8e, "BINBYTES8"),
    (0x8f, "EMPTY_SET"),
    (0x90, "ADDITEMS"),
    (0x91, "FROZENSET"),
    (0x92, "NEWOBJ_EX"),
    (0x96, "BYTEARRAY8"),
    (0x97, "NEXT_BUFFER"),
    (0x98, "READONLY_BUFFER"),
];
