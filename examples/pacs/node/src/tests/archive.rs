//! Results against an archive that refuses some, breaks off, or is not there.

use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::fake::{Fake, SOON, archive_at, courier, couriers, listener, results};
use super::peers::*;
use crate::courier::Patience;

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(600);

fn refused(node: &Node) -> u64 {
    node.queue().counts.refused.load(Ordering::Relaxed)
}

#[test]
fn a_result_that_breaks_the_association_off_holds_up_no_other() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer("1.2.0.", 1);
    (0..20).for_each(|number| results(node.queue(), &format!("1.2.{number}")));
    couriers(node.queue(), &archive_at(fake.address));
    wait("all others", || node.files("done").len() == 19);
    wait("the one that breaks off", || node.files("failed").contains(&"1.2.0.json".to_owned()));
    wait("the counters", || node.queue().lengths().2 == 1);
    assert_eq!(refused(&node), 4);
}

/// A single courier, and pauses that do not end: the others do not wait for one.
#[test]
fn results_that_pause_hold_up_no_other() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer("1.2.0.", 0xa900);
    fake.answer("1.2.1.", 1);
    (0..10).for_each(|number| results(node.queue(), &format!("1.2.{number}")));
    let patience = Patience { first: FOR_EVER, last: FOR_EVER, ..SOON };
    courier(node.queue(), &archive_at(fake.address), true, patience);
    wait("all others", || node.files("done").len() == 8);
    assert_eq!((node.queue().lengths().1.later, refused(&node)), (2, 2));
}

/// Four of them: each courier would wait for one.
#[test]
fn an_archive_that_is_silent_about_some_results_keeps_no_other_waiting() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer(".77.", 3);
    (0..4).for_each(|number| results(node.queue(), &format!("1.{number}.77")));
    let (answer, answer_again) = (Duration::from_millis(500), FOR_EVER);
    for retries in [true, false] {
        let patience = Patience { answer, answer_again, ..SOON };
        courier(node.queue(), &archive_at(fake.address), retries, patience);
    }
    // On a busy machine the archive may seem silent about this one too: then another follows.
    let another_is_sent = |what, line| {
        let (before, mut put, mut next) = (node.files("done").len(), 0, Instant::now());
        wait(what, || {
            if Instant::now() >= next {
                results(node.queue(), &format!("1.2.{line}.{put}"));
                (put, next) = (put + 1, next + Duration::from_secs(5));
            }
            node.files("done").len() > before
        });
    };
    another_is_sent("one that is answered", 5);
    wait("one that comes again", || fake.silent() == 5);
    another_is_sent("another, while one is waited for long", 6);
    assert_eq!(fake.silent(), 5, "that one is still waited for");
}

#[test]
fn refusals_and_breaks_are_counted_apart() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer_in_turn("1.2.5.", &[0xa700, 0xa700, 0xa700, 0xa900]);
    results(node.queue(), "1.2.5");
    couriers(node.queue(), &archive_at(fake.address));
    wait("the end", || node.queue().lengths().2 == 1);
    assert_eq!(node.files("failed").len(), 4);
    let what = "three breaks, of which four end it, and three refusals, which do";
    assert_eq!(refused(&node), 6, "{what}");
}

#[test]
fn what_the_archive_has_already_is_sent() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer("1.2.5.", 0x0111);
    results(node.queue(), "1.2.5");
    couriers(node.queue(), &archive_at(fake.address));
    wait("the end", || node.files("done") == ["1.2.5.json"]);
}

#[test]
fn results_of_which_a_file_is_gone_are_made_again() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    results(node.queue(), "1.2.5");
    std::fs::remove_file(node.queue().path("results", "1.2.5", "sc.dcm")).unwrap();
    couriers(node.queue(), &archive_at(fake.address));
    wait("the classifier's line alone", || {
        let (to_classify, to_send, _) = node.queue().lengths();
        (to_classify.waiting, to_send.waiting) == (1, 0)
    });
    assert!(!node.queue().has_results("1.2.5"));
}

#[test]
fn an_archive_that_ends_associations_early_is_no_images_fault() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    // After each image's second file.
    fake.answer(".2", 2);
    (30..50).for_each(|number| results(node.queue(), &format!("1.7.{number}")));
    couriers(node.queue(), &archive_at(fake.address));
    wait("all", || node.files("done").len() == 20);
    assert_eq!(refused(&node), 0);
}

#[test]
fn an_archive_that_cannot_be_reached_is_no_images_fault() {
    let node = Node::new();
    // No other test listens there, or connects from there, meanwhile; some systems have 127.0.0.1
    // alone.
    let reserved = TcpListener::bind("127.0.0.81:0").unwrap_or_else(|_| listener());
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    (0..10).for_each(|number| results(node.queue(), &format!("1.2.{number}")));
    couriers(node.queue(), &archive_at(address));
    let mut times = std::collections::BTreeSet::new();
    wait("five tries", || {
        times.extend(node.queue().counts.last());
        times.len() >= 5
    });
    let (_, to_send, failed) = node.queue().lengths();
    assert_eq!((to_send.waiting, to_send.later, failed), (10, 0, 0));
    let fake = Fake::start(TcpListener::bind(address).unwrap(), None);
    wait("all", || node.files("done").len() == 10);
    assert_eq!(fake.arrived(), 20);
}
