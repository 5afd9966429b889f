//! The program at its limit of open files: it waits, says so once, and serves again when it can.
#![cfg(unix)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(place: &Path, log: &Path) -> Running {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/corpus");
    let limited = "ulimit -n 40; exec \"$0\" \"$@\"";
    let log = File::create(log).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_medforge-pacs-node")]);
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--to",
        "127.0.0.1:1",
        "--associations",
        "200",
        "--idle",
        "2",
    ]);
    command
        .arg("--bundle")
        .arg(corpus.join("good.medforge"))
        .arg("--trust")
        .arg(corpus.join("trust.toml"));
    command.arg("--queue").arg(place.join("queue")).stdout(log.try_clone().unwrap()).stderr(log);
    Running(command.spawn().unwrap())
}

/// Where the program listens, once its log says so.
fn listens(log: &Path) -> Option<SocketAddr> {
    let said = std::fs::read_to_string(log).unwrap();
    let (_, rest) = said.split_once("listening on ")?;
    rest.split_once(" as ")?.0.parse().ok()
}

/// Whether something that asks for no association is answered: with A-ABORT.
fn answered(address: SocketAddr) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else { return false };
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut first = [0];
    let release = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    socket.write_all(&release).is_ok() && socket.read_exact(&mut first).is_ok() && first == [7]
}

fn wait(what: &str, ready: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn at_the_limit_of_open_files_the_node_waits_and_says_so_once() {
    let place = tempfile::tempdir().unwrap();
    let (log, begun) = (place.path().join("log"), Instant::now());
    let _node = start(place.path(), &log);
    wait("the node", || listens(&log).is_some());
    let address = listens(&log).unwrap();
    wait("an answer at the beginning", || answered(address));
    let many: Vec<_> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    let said = |what: &str| std::fs::read_to_string(&log).unwrap().matches(what).count() as u64;
    let none = "no connection can be taken";
    wait("a line about it", || said(none) > 0);
    // Time for many more lines.
    std::thread::sleep(Duration::from_secs(3));
    drop(many);
    wait("an answer", || answered(address));
    // What repeats itself is written once in ten seconds.
    for what in [none, "an association ended"] {
        let (lines, most) = (said(what), 1 + begun.elapsed().as_secs() / 10);
        assert!(lines <= most, "{lines} lines with {what:?}, and at most {most} in this time");
    }
}
