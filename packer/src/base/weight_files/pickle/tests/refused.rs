//! Checkpoints that ask for more than tensors, or for tensors that are not there. The names in them
//! are harmless ones.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::made::{storage, tuple, whole, zipped};
use super::*;

/// What refuses the archive of `pickle` with a storage `0` of 8 bytes.
#[track_caller]
fn said(pickle: &[&[u8]]) -> String {
    let pickle = [&[b"\x80\x02".as_slice()], pickle].concat().concat();
    refusal(&archive(&pickle, &[("0", &[0; 8])], "a/", false))
}

/// The same of a dictionary with a tensor.
#[track_caller]
fn of_tensor(tensor: &[u8]) -> String {
    said(&[b"}", &text("w"), tensor, b"s."])
}

#[test]
fn names_that_no_state_dict_uses_are_refused_wherever_they_stand() {
    let called = [global("builtins", "print"), b"(".to_vec(), text("read"), b"tR.".to_vec()];
    let by_stack = [text("made_up"), text("thing"), b"\x93)R.".to_vec()];
    let beside = [b"}".to_vec(), text("w"), global("made_up", "thing"), b"s.".to_vec()];
    for (pickle, name) in [
        (called.concat(), "builtins.print"),
        (by_stack.concat(), "made_up.thing"),
        (beside.concat(), "made_up.thing"),
        (global("torch", "made_up"), "torch.made_up"),
        (global("torch._utils", "_rebuild_tensor_v2.x"), "_rebuild_tensor_v2.x"),
    ] {
        let said = said(&[&pickle]);
        assert!(said.contains(name) && said.contains("runs no code of a file"), "{said}");
    }
    for (name, word) in [
        ("torch._utils _rebuild_tensor_v3", "f16"),
        ("torch ComplexFloatStorage", "complex"),
        ("torch._utils _rebuild_meta_tensor_no_storage", "meta"),
        ("__torch__.m Model", "TorchScript"),
    ] {
        let (module, name) = name.split_once(' ').unwrap();
        let said = said(&[&global(module, name)]);
        assert!(said.contains(word), "{said}");
    }
    assert!(said(&[&text(&"x".repeat(2000)), &text("y"), b"\x93."]).contains("2000 bytes"));
    assert!(said(&[b"NN\x93."]).contains("no text"));
    assert!(said(&[b"c\xff\nx\n."]).contains("UTF-8"));
}

#[test]
fn opcodes_that_make_objects_are_refused_by_name() {
    for (pickle, name) in [
        (b"(imade_up\nthing\n.".as_slice(), "INST"),
        (b"(Xo.", "begins what is cut off"),
        (b"(No.", "OBJ"),
        (b"\x82\x01.", "EXT1"),
        (b"\x83\x01\x00.", "EXT2"),
        (b"\x84\x01\x00\x00\x00.", "EXT4"),
        (b"Pmade up\n.", "PERSID"),
        (b"N)N\x92.", "NEWOBJ_EX"),
        (b"N0.", "POP"),
        (b"N2.", "DUP"),
        (b"\x97.", "NEXT_BUFFER"),
        (b"\xff.", "0xff"),
        (b"\x80\x09.", "protocol 9"),
        (b"\x80\x00.", "protocol 0"),
        (b"ccollections\nOrderedDict\n)\x81.", "makes an object"),
        (b"]}b.", "sets attributes of a list"),
        (b"N}b.", "sets attributes of nothing"),
        (b"N)R.", "calls nothing"),
        (b"}NR.", "calls a dictionary"),
    ] {
        let said = said(&[pickle]);
        assert!(said.contains(name) && said.contains("byte "), "{name}: {said}");
    }
}

#[test]
fn programs_that_go_wrong_are_refused() {
    for (pickle, word) in [
        (b"".as_slice(), "cut off"),
        (b"N", "cut off"),
        (b"X\xff\xff\xff\xff", "cut off"),
        (b"c", "cut off"),
        (b"cx\ny", "cut off"),
        (b"\x8a\x11", "cut off"),
        (b"\x8a\x1100000000000000000", "17 bytes"),
        (b".", "empty stack"),
        (b"R.", "empty stack"),
        (b"N\x87.", "empty stack"),
        (b"N(R.", "empty stack"),
        (b"q\x00.", "empty stack"),
        (b"Q.", "empty stack"),
        (b"b.", "empty stack"),
        (b"t.", "mark"),
        (b"u.", "mark"),
        (b"h\x05.", "5 out of the memo"),
        (b"Nj\x05\x00\x00\x00.", "5 out of the memo"),
        (b"}(Nu.", "a key without a value"),
        (b"}Na.", "into a dictionary"),
        (b"]NNs.", "into a list"),
        (b")Na.", "into a tuple"),
        (b"NQ.", "nothing where a tuple belongs"),
        (b")Q.", "no storage"),
        (b"ccollections\nOrderedDict\nNR.", "nothing where a tuple belongs"),
        (b"ccollections\nOrderedDict\nN\x85R.", "other arguments"),
        (b"ccollections\nOrderedDict\n]Na\x85R.", "no pairs"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "other arguments"),
        (b"ctorch\nFloatStorage\n)R.", "other arguments"),
        (b"N.", "holds nothing and no dictionary"),
        (b"].", "holds a list"),
        (b"]q\x00h\x00a.", "holds a list"),
        (b"}.", "holds no tensors"),
    ] {
        let said = said(&[pickle]);
        assert!(said.contains(word), "{word}: {said}");
    }
    let endless = vec![b'N'; machine::MOST + 1];
    assert!(said(&[&endless]).contains("opcodes"));
    // Deep, or put into itself: neither is walked.
    let deep = [vec![b'('; 200_000], vec![b't'; 200_000], b".".to_vec()].concat();
    assert!(said(&[&deep]).contains("holds a tuple"));
}

#[test]
fn tensors_that_do_not_fit_their_storage_are_refused() {
    let huge = i64::MAX;
    for (tensor, word) in [
        (tensor("0", 2, 0, &[3], &[1]), "beyond its storage"),
        (tensor("0", 2, 2, &[1], &[1]), "beyond its storage"),
        (tensor("0", 2, 0, &[2], &[2]), "beyond its storage"),
        (tensor("0", 2, huge, &[2], &[1]), "beyond its storage"),
        (tensor("0", 2, 0, &[huge, huge], &[1, 1]), "beyond its storage"),
        (tensor("0", 2, 0, &[2, 2], &[huge, huge]), "beyond its storage"),
        (tensor("0", 2, 0, &[huge], &[0]), "several times over"),
        (tensor("0", 2, 0, &[2, 2], &[1, 0]), "several times over"),
        (tensor("0", 2, -1, &[1], &[1]), "size of -1"),
        (tensor("0", 2, 0, &[-1], &[1]), "size of -1"),
        (tensor("0", 2, 0, &[1], &[-1]), "size of -1"),
        (tensor("0", -2, 0, &[1], &[1]), "size of -2"),
        (tensor("0", 2, 0, &[1, 1], &[1]), "2 dimensions and 1 strides"),
        (tensor("0", 2, 0, &[1; 17], &[1; 17]), "17 dimensions"),
        (tensor("0", 3, 0, &[1], &[1]), "8 bytes for 3 values"),
        (tensor("0", huge, 0, &[1], &[1]), "8 bytes for"),
        (tensor("1", 2, 0, &[1], &[1]), "has no data/1"),
        (tensor("../a", 2, 0, &[1], &[1]), "has no data/../a"),
    ] {
        let said = of_tensor(&tensor);
        assert!(said.contains(word), "{word}: {said}");
    }
    let build = global("torch._utils", "_rebuild_tensor_v2");
    let over_none = [&build[..], b"(N", &whole(0), &tuple(&[1]), &tuple(&[1]), b"tR"].concat();
    assert!(of_tensor(&over_none).contains("over nothing"));
    let sizes = [&storage("0", 2)[..], &text("0"), &tuple(&[1]), &tuple(&[1])].concat();
    let odd = [&build[..], b"(", &sizes, b"tR"].concat();
    assert!(of_tensor(&odd).contains("a text where a size belongs"));
    let sizes = [&storage("0", 2)[..], &whole(0), &tuple(&[1]), &tuple(&[1])].concat();
    let marked = [b"}".as_slice(), &text("neg"), b"\x88s"].concat();
    let negative = [&build[..], b"(", &sizes, b"\x89}", &marked, b"tR"].concat();
    assert!(of_tensor(&negative).contains("negative"));
}

#[test]
fn storages_that_contradict_themselves_are_refused() {
    let of = |kind: &str, rest: &[u8]| {
        let id = [text("storage"), global("torch", kind), text("0"), text("cpu"), whole(2)];
        [b"(".as_slice(), &id.concat(), rest, b"tQ"].concat()
    };
    let halves = said(&[&of("FloatStorage", b""), &of("HalfStorage", b"")]);
    assert!(halves.contains("\"0\" twice"), "{halves}");
    assert!(said(&[&of("FloatStorage", b")")]).contains("part of another"));
    let other = [b"(".as_slice(), &text("module"), &of("FloatStorage", b"")[13..]].concat();
    assert!(said(&[&other]).contains("no storage"));
}

#[test]
fn weights_of_which_nobody_says_which_are_meant_are_refused() {
    let one = tensor("0", 2, 0, &[2], &[1]);
    let inside = [b"}".as_slice(), &text("w"), &one, b"s"].concat();
    let under = |keys: &[&str]| {
        let all: Vec<u8> =
            keys.iter().flat_map(|key| [text(key), inside.clone()].concat()).collect();
        [b"\x80\x02}(".as_slice(), &all, b"u."].concat()
    };
    let archived = |pickle: &[u8]| archive(pickle, &[("0", &[0; 8])], "a/", false);
    let said = refusal(&archived(&under(&["model", "model_ema"])));
    assert!(said.contains("model and model_ema"), "{said}");
    assert!(refusal(&archived(&under(&["model", "model"]))).contains("\"model\" twice"));
    assert!(refusal(&archived(&under(&["made up"]))).contains("holds no tensors"));
    for keys in [["student", "teacher"], ["epoch", "state_dict"]] {
        assert_eq!(open(&archived(&under(&keys))).unwrap().tensors.len(), 1, "{keys:?}");
    }
    let twice = [b"\x80\x02}(".as_slice(), &text("w"), &one, &text("w"), &one, b"u."].concat();
    assert!(refusal(&archived(&twice)).contains("tensor \"w\" twice"));
}

#[test]
fn archives_of_another_kind_are_refused() {
    let pickle = b"\x80\x02}.";
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    assert!(refusal(&zipped(pickle, &[], "a/", deflated)).contains("compressed"));
    let [twice, none] = [[("b/data.pkl", "x")].as_slice(), &[]].map(|more| {
        let mut names = vec![("data/0", "x")];
        names.extend(more);
        names
    });
    assert!(refusal(&entries(&twice, true)).contains("several times"));
    assert!(refusal(&entries(&none, false)).contains("without data.pkl"));
    let big = entries(&[("a/byteorder", "big")], true);
    assert!(refusal(&big).contains("byte order"), "big-endian");
    assert!(refusal(b"PK\x03\x04").contains("no whole ZIP file"));
}

/// An archive with these entries, and an empty dictionary as `a/data.pkl` if it is wanted.
fn entries(entries: &[(&str, &str)], pickle: bool) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    if pickle {
        zip.start_file("a/data.pkl", stored).unwrap();
        zip.write_all(b"\x80\x02}.").unwrap();
    }
    for (name, content) in entries {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn the_form_of_before_1_6_is_refused_where_its_parts_do_not_fit() {
    let good = golden("layouts.legacy.pth");
    assert!(refusal(&[&good[..], b"x"].concat()).contains("1 bytes after its storages"));
    assert!(refusal(b"\x80\x02K\x01.").contains("no checkpoint of PyTorch"));
    let magic = &good[..15];
    assert!(refusal(&[magic, b"\x80\x02M\xea\x03."].concat()).contains("another version"));
    let marked = b"little_endian\x71\x02\x88";
    let at = good.windows(marked.len()).position(|window| window == marked);
    let mut big = good.clone();
    big[at.expect("the machine's facts") + marked.len() - 1] = 0x89;
    assert!(refusal(&big).contains("byte order"));
}
