//! Bounds on bytes, time and number of associations, and who may open one.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult, AssociationRJServiceProviderPresentationReason,
    AssociationRJServiceUserReason, AssociationRJSource, PDataValueType,
    PresentationContextProposed, PresentationContextResultReason,
};

use super::peers::*;

const SHORT: Duration = Duration::from_millis(300);

/// Waits until the node closes a connection on which nothing more is said. By itself the reading
/// ends after a minute, and the node's patience after two.
fn until_closed(mut socket: TcpStream) {
    if let Err(error) = socket.read_to_end(&mut Vec::new()) {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    }
}

/// Says one thing again and again, and whether the connection is closed before a minute has passed.
fn crawl_ends(socket: &mut TcpStream, bytes: &[u8]) -> bool {
    (0..3000).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        socket.write_all(bytes).is_err()
    })
}

/// The way to a place in a conversation with a node.
type Way = fn(&Node) -> TcpStream;

/// A node that is impatient before the association, and one that is within it, each with the way
/// there. Neither is both: a busy machine may take long to get an association.
fn impatient() -> [(Node, Way); 2] {
    [
        (Node::with(|receiver| receiver.times.negotiation = SHORT), Node::connect),
        (Node::with(|receiver| receiver.times.idle = SHORT), Node::associate),
    ]
}

fn says(socket: &mut TcpStream, pdu: &Pdu) -> bool {
    let mut bytes = Vec::new();
    dicom_ul::pdu::write_pdu(&mut bytes, pdu).unwrap();
    socket.write_all(&bytes).is_ok()
}

#[test]
fn commands_and_fragments_without_end_are_cut_off() {
    let node = Node::new();
    for size in [0, 1, 4000] {
        let mut socket = node.associate();
        let fragment = part(PDataValueType::Command, false, vec![0; size]);
        // Sockets hold some of what was sent and not read: far less than this.
        let sent = (0..1_000_000).take_while(|_| says(&mut socket, &fragment)).count();
        assert!(sent < 1_000_000, "fragments of {size} bytes went on");
    }
    let mut socket = node.associate();
    // At once: what comes half a second after the end takes back what was answered.
    let mut eight = Vec::new();
    let fragment = part(PDataValueType::Command, false, vec![0; 4000]);
    (0..8).for_each(|_| dicom_ul::pdu::write_pdu(&mut eight, &fragment).unwrap());
    socket.write_all(&eight).unwrap();
    assert!(matches!(hear(&mut socket), Some(Pdu::AbortRQ { .. })));
    wait("the places to be free", || node.receiver.open.load(Ordering::Relaxed) == 0);
}

#[test]
fn a_command_whose_length_lies_costs_nothing() {
    let node = Node::new();
    let mut socket = node.associate();
    let lie = b"\x00\x00\x00\x01\xfe\xff\xff\xff1234".to_vec();
    say(&mut socket, &part(PDataValueType::Command, true, lie));
    assert!(matches!(hear(&mut socket), Some(Pdu::AbortRQ { .. })));
    assert_eq!(store(&mut node.associate(), "1.2", &image("1.2", 0)), 0);
}

#[test]
fn units_that_are_too_long_are_refused() {
    let node = Node::new();
    for mut socket in [node.connect(), node.associate()] {
        socket.write_all(&[4, 0, 0xff, 0xff, 0xff, 0xff]).unwrap();
        let answer = hear(&mut socket);
        assert!(matches!(answer, Some(Pdu::AbortRQ { .. }) | None), "{answer:?}");
    }
    let mut socket = node.connect();
    socket.write_all(&[1, 0, 0, 2, 0, 1]).unwrap();
    until_closed(socket);
}

#[test]
fn silent_connections_are_closed_in_time() {
    for (node, connect) in impatient() {
        let start = Instant::now();
        until_closed(connect(&node));
        assert!(start.elapsed() > SHORT / 2, "{:?}", start.elapsed());
    }
}

/// Of a unit of 65536 bytes.
#[test]
fn a_sender_of_one_byte_at_a_time_is_cut_off() {
    for ((node, connect), kind) in impatient().into_iter().zip([1, 4]) {
        let mut socket = connect(&node);
        socket.write_all(&[kind, 0, 0, 1, 0, 0]).unwrap();
        assert!(crawl_ends(&mut socket, &[0]), "a unit of kind {kind} went on");
    }
}

#[test]
fn whole_units_at_a_crawl_are_cut_off_too() {
    let node = Node::with(|receiver| {
        receiver.times.idle = SHORT;
        receiver.times.rate = 1 << 20;
    });
    let mut socket = node.associate();
    say(&mut socket, &part(PDataValueType::Command, true, command(CLASS, "1.2")));
    let mut fragment = Vec::new();
    let data = part(PDataValueType::Data, false, vec![0; 100]);
    dicom_ul::pdu::write_pdu(&mut fragment, &data).unwrap();
    assert!(crawl_ends(&mut socket, &fragment), "a crawl went on");
    wait("what was begun to be gone", || node.files("accepted").is_empty());
}

fn rejected(result: AssociationRJResult, source: AssociationRJSource) -> Option<Pdu> {
    Some(Pdu::AssociationRJ(AssociationRJ { result, source }))
}

#[test]
fn associations_beyond_the_limit_are_rejected_and_places_become_free() {
    let node = Node::with(|receiver| receiver.most = 2);
    let open = [node.associate(), node.associate()];
    let full = AssociationRJSource::ServiceProviderPresentation(
        AssociationRJServiceProviderPresentationReason::LocalLimitExceeded,
    );
    // Who asks too late, on a busy machine, or finds too many before, is told nothing.
    let told = || {
        let mut socket = node.connect();
        let answer =
            says(&mut socket, &request("MEDFORGE", "SENDER")).then(|| hear(&mut socket)).flatten();
        let rejected = rejected(AssociationRJResult::Transient, full.clone());
        assert!(answer.is_none() || answer == rejected, "{answer:?}");
        answer.is_some()
    };
    (0..20).for_each(|_| wait("a rejection", told));
    // Silent ones beyond the limit hold nothing for long.
    let turned_away = || node.queue().counts.turned_away.load(Ordering::Relaxed);
    let before = turned_away();
    let silent: Vec<_> = (0..40).map(|_| node.connect()).collect();
    wait("all of them to be seen", || turned_away() == before + 40);
    wait("a rejection beside them", told);
    drop(open);
    wait("a place", || {
        let mut socket = node.connect();
        says(&mut socket, &request("MEDFORGE", "SENDER"))
            && matches!(hear(&mut socket), Some(Pdu::AssociationAC(_)))
    });
    drop(silent);
}

#[test]
fn titles_that_are_not_ours_are_rejected() {
    let node = Node::with(|receiver| receiver.policy.calling = vec!["CT1".into(), "CT2".into()]);
    let answer = |called, calling| {
        let mut socket = node.connect();
        say(&mut socket, &request(called, calling));
        hear(&mut socket)
    };
    let user =
        |reason| rejected(AssociationRJResult::Permanent, AssociationRJSource::ServiceUser(reason));
    let [called, calling] = [
        AssociationRJServiceUserReason::CalledAETitleNotRecognized,
        AssociationRJServiceUserReason::CallingAETitleNotRecognized,
    ];
    assert_eq!(answer("OTHER", "CT1"), user(called));
    assert_eq!(answer("MEDFORGE", "CT3"), user(calling));
    assert!(matches!(answer("MEDFORGE", "CT2"), Some(Pdu::AssociationAC(_))));
}

#[test]
fn addresses_that_are_not_allowed_are_not_heard() {
    let node = Node::with(|receiver| receiver.policy.allow = vec!["10.0.0.0/8".parse().unwrap()]);
    let mut socket = node.connect();
    let _ = says(&mut socket, &request("MEDFORGE", "SENDER"));
    assert_eq!(hear(&mut socket), None);
    let policy = &node.receiver.policy;
    for (address, allowed) in
        [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("11.1.2.3", false), ("::1", false)]
    {
        assert_eq!(policy.allows(address.parse().unwrap()), allowed, "{address}");
    }
}

#[test]
fn answers_that_nobody_takes_end_the_association() {
    let node = Node::with(|receiver| receiver.times.answer = SHORT);
    let mut socket = node.associate();
    socket.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    let echo = echo();
    let sent = (0..2_000_000).take_while(|_| says(&mut socket, &echo)).count();
    assert!(sent < 2_000_000);
    wait("the place to be free", || node.receiver.open.load(Ordering::Relaxed) == 0);
}

#[test]
fn contexts_are_agreed_on_one_by_one_and_what_breaks_the_rules_is_rejected() {
    let node = Node::new();
    let ask = |contexts: &[(u8, &str, &str)]| {
        let Pdu::AssociationRQ(mut asked) = request("MEDFORGE", "SENDER") else { unreachable!() };
        let context = |&(id, class, syntax): &(u8, &str, &str)| PresentationContextProposed {
            id,
            abstract_syntax: class.into(),
            transfer_syntaxes: vec![syntax.into()],
        };
        asked.presentation_contexts = contexts.iter().map(context).collect();
        let mut socket = node.connect();
        say(&mut socket, &Pdu::AssociationRQ(asked));
        hear(&mut socket)
    };
    let (explicit, big, report) =
        ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.5.1.4.1.1.88.34");
    let Some(Pdu::AssociationAC(agreed)) =
        ask(&[(1, CLASS, explicit), (3, report, explicit), (5, CLASS, big)])
    else {
        panic!("no association");
    };
    let reasons: Vec<_> =
        agreed.presentation_contexts.into_iter().map(|context| context.reason).collect();
    use PresentationContextResultReason::{
        AbstractSyntaxNotSupported, Acceptance, TransferSyntaxesNotSupported,
    };
    assert_eq!(reasons, [Acceptance, AbstractSyntaxNotSupported, TransferSyntaxesNotSupported]);
    for bad in
        [[(2, CLASS, explicit), (3, CLASS, explicit)], [(3, CLASS, explicit), (3, CLASS, explicit)]]
    {
        assert!(matches!(ask(&bad), Some(Pdu::AssociationRJ(_))), "{bad:?}");
    }
}
