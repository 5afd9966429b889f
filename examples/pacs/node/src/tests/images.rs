//! What is answered with success is kept, and what is not kept is not answered with success.

use std::fs;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_ul::pdu::PDataValueType;

use super::peers::*;
use crate::queue::Queue;

#[test]
fn identifiers_that_are_none_and_data_of_others_are_refused() {
    let node = Node::new();
    let mut socket = node.associate();
    for bad in ["1.02.3", "1..2", "1.2.", "../../etc/x", &"1.".repeat(40)] {
        assert_eq!(store(&mut socket, bad, &image(bad, 0)), 0xc000, "{bad}");
    }
    assert_eq!(store(&mut socket, "1.2.3", &image("1.2.4", 0)), 0xa900);
    let mut other = picture("1.2.3", 0);
    other.put(DataElement::new(
        tags::SOP_CLASS_UID,
        VR::UI,
        PrimitiveValue::from(uids::CT_IMAGE_STORAGE),
    ));
    assert_eq!(store(&mut socket, "1.2.3", &bytes(&other)), 0xa900);
    assert_eq!(store_as(&mut socket, uids::CT_IMAGE_STORAGE, "1.2.3", &bytes(&other)), 0x0122);
    assert_eq!(store(&mut socket, "1.2.3", b"no data set at all"), 0xc000);
    assert!(node.files("accepted").is_empty(), "{:?}", node.files("accepted"));
    assert_eq!(store(&mut socket, "1.2.3", &image("1.2.3", 0)), 0);
    assert_eq!(node.files("accepted"), ["1.2.3.dcm"]);
}

#[test]
fn another_picture_under_a_known_identifier_is_refused_wherever_the_first_one_is() {
    let node = Node::new();
    let mut socket = node.associate();
    assert_eq!(store(&mut socket, "1.2.3", &image("1.2.3", 0)), 0);
    let kept = fs::read(node.queue().path("accepted", "1.2.3", "dcm")).unwrap();
    // The same pixels under other words are the same picture.
    let mut renamed = picture("1.2.3", 0);
    renamed.put(DataElement::new(tags::PATIENT_NAME, VR::PN, PrimitiveValue::from("Phantom^Eve")));
    let mut check = |place: &str| {
        assert_eq!(store(&mut socket, "1.2.3", &image("1.2.3", 0)), 0, "{place}");
        assert_eq!(store(&mut socket, "1.2.3", &bytes(&renamed)), 0, "{place}");
        assert_eq!(store(&mut socket, "1.2.3", &image("1.2.3", 1)), 0x0111, "{place}");
    };
    check("accepted");
    assert_eq!(fs::read(node.queue().path("accepted", "1.2.3", "dcm")).unwrap(), kept);
    node.queue().fail("1.2.3", "for a test").unwrap();
    check("failed");
    assert_eq!(node.queue().retry_failed(), (1, 0));
    let read = medforge_runtime::dicom::read(&kept, "kept").unwrap();
    let digest = read.frame(0).unwrap().stored().sha256_hex().unwrap();
    let line = serde_json::json!({ "image": "1.2.3", "pixels_sha256": digest }).to_string();
    node.queue().write("results", "1.2.3", "json", line.as_bytes()).unwrap();
    node.queue().finish("1.2.3").unwrap();
    check("done");
    assert!(node.files("accepted").is_empty());
}

#[test]
fn files_that_cannot_be_read_are_compared_by_their_bytes() {
    let node = Node::new();
    let mut socket = node.associate();
    let unreadable = |rows| {
        let mut object = picture("1.2.3", 0);
        object.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(rows)));
        bytes(&object)
    };
    assert_eq!(store(&mut socket, "1.2.3", &unreadable(0u16)), 0);
    assert_eq!(store(&mut socket, "1.2.3", &unreadable(0)), 0);
    assert_eq!(store(&mut socket, "1.2.3", &unreadable(9999)), 0x0111);
    assert_eq!(store(&mut socket, "1.2.3", &image("1.2.3", 0)), 0x0111);
}

#[test]
fn of_many_pictures_that_come_at_once_under_one_identifier_one_is_taken() {
    let node = Node::new();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let node = &node;
        let send = |seed| {
            scope.spawn(move || store(&mut node.associate(), "1.2.3", &image("1.2.3", seed)))
        };
        let senders: Vec<_> = (0..8).map(send).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| **answer == 0).count(), 1, "{answers:x?}");
    assert_eq!(answers.iter().filter(|answer| **answer == 0x0111).count(), 7, "{answers:x?}");
}

#[test]
fn half_an_image_leaves_nothing_while_the_node_runs_or_starts() {
    let node = Node::new();
    let mut socket = node.associate();
    say(&mut socket, &part(PDataValueType::Command, true, command(CLASS, "1.2.3")));
    say(&mut socket, &part(PDataValueType::Data, false, image("1.2.3", 0)[..3000].to_vec()));
    wait("the beginning", || node.files("accepted").len() == 1);
    drop(socket);
    wait("the beginning to be gone", || node.files("accepted").is_empty());

    let root = node.place.path().join("other");
    drop(Queue::open(&root).unwrap());
    for folder in ["accepted", "results", "done", "failed"] {
        fs::write(root.join(folder).join("1.2.3.dcm.7.part"), "half").unwrap();
    }
    fs::write(root.join("7-7.part"), "half").unwrap();
    drop(Queue::open(&root).unwrap());
    assert!(!root.join("7-7.part").exists());
    for folder in ["accepted", "results", "done", "failed"] {
        assert!(names(&root.join(folder)).is_empty(), "{folder}");
    }
}

#[test]
fn two_nodes_do_not_share_a_queue() {
    let node = Node::new();
    let refused = Queue::open(&node.place.path().join("queue")).err().unwrap().to_string();
    assert!(refused.contains("another node"), "{refused}");
}

#[test]
fn a_disk_that_takes_nothing_is_answered_and_the_node_goes_on_when_it_does() {
    let node = Node::new();
    let (folder, away) = (node.place.path().join("queue/accepted"), node.place.path().join("away"));
    let mut socket = node.associate();
    fs::rename(&folder, &away).unwrap();
    for _ in 0..3 {
        assert_eq!(store(&mut socket, "1.2.3", &image("1.2.3", 0)), 0xa700);
    }
    fs::rename(&away, &folder).unwrap();
    assert!(node.files("accepted").is_empty());
    assert_eq!(store(&mut socket, "1.2.3", &image("1.2.3", 0)), 0);
}

#[cfg(unix)]
#[test]
fn folders_and_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::new();
    assert_eq!(store(&mut node.associate(), "1.2.3", &image("1.2.3", 0)), 0);
    node.queue().write("results", "1.2.3", "json", b"{}").unwrap();
    node.queue().write_status("{}").unwrap();
    let root = node.place.path().join("queue");
    let other = node.place.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let _queue = Queue::open(&other).unwrap();
    assert_eq!(
        fs::metadata(&other).unwrap().permissions().mode() & 0o777,
        0o700,
        "a folder that was there"
    );
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    for folder in ["", "accepted", "results", "done", "failed"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    for file in ["accepted/1.2.3.dcm", "results/1.2.3.json", "status.json", "lock"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}
