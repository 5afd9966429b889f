//! Results against an archive that refuses some, breaks off, or is not there.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::fake::{Fake, archive_at, couriers, listener, results};
use super::peers::*;

#[test]
fn a_result_that_breaks_the_association_off_holds_up_no_other() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer("1.2.0.", 1);
    (0..20).for_each(|number| results(node.queue(), &format!("1.2.{number}")));
    couriers(node.queue(), &archive_at(fake.address));
    wait("all others", || node.files("done").len() == 19);
    wait("the one that breaks off", || node.files("failed").contains(&"1.2.0.json".to_owned()));
    wait("the counters", || node.queue().lengths().2 == 1);
    assert_eq!(node.queue().counts.refused.load(std::sync::atomic::Ordering::Relaxed), 4);
}

/// Four of them: each courier would wait for one.
#[test]
fn an_archive_that_is_silent_about_some_results_keeps_no_other_waiting() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer(".77.", 3);
    (0..4).for_each(|number| results(node.queue(), &format!("1.{number}.77")));
    results(node.queue(), "1.2.5");
    let start = Instant::now();
    couriers(node.queue(), &archive_at(fake.address));
    wait("the one that is answered", || node.files("done") == ["1.2.5.json"]);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    results(node.queue(), "1.2.6");
    wait("another, while one is waited for long", || node.files("done").len() == 2);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn refusals_and_breaks_are_counted_apart() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer("1.2.5.", 0xa700);
    results(node.queue(), "1.2.5");
    couriers(node.queue(), &archive_at(fake.address));
    let refused = || node.queue().counts.refused.load(std::sync::atomic::Ordering::Relaxed);
    wait("three breaks", || refused() == 3);
    fake.answer("1.2.5.", 0xa900);
    wait("the end", || node.files("failed").len() == 4);
    assert_eq!(refused(), 6, "three breaks, of which four end it, and three refusals, which do");
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
    wait("the classifier's line", || node.queue().lengths().0.waiting == 1);
    assert_eq!((node.queue().lengths().1.waiting, node.queue().has_results("1.2.5")), (0, false));
}

#[test]
fn an_archive_that_ends_associations_early_is_no_images_fault() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    // After each image's second file.
    fake.answer(".2", 2);
    (30..50).for_each(|number| results(node.queue(), &format!("1.7.{number}")));
    couriers(node.queue(), &archive_at(fake.address));
    wait("all", || node.files("done").len() == 20);
    assert_eq!(node.queue().counts.refused.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn an_archive_that_cannot_be_reached_is_no_images_fault() {
    let node = Node::new();
    let reserved = listener();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    (0..10).for_each(|number| results(node.queue(), &format!("1.2.{number}")));
    couriers(node.queue(), &archive_at(address));
    std::thread::sleep(Duration::from_secs(1));
    let (_, to_send, failed) = node.queue().lengths();
    assert_eq!((to_send.waiting, to_send.later, failed), (10, 0, 0));
    let fake = Fake::start(TcpListener::bind(address).unwrap(), None);
    let back = Instant::now();
    wait("all", || node.files("done").len() == 10);
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(fake.arrived(), 20);
}
