//! The program at its limit of open files: it waits, says so once, and serves again when it can.
#![cfg(unix)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
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

fn start(address: SocketAddr, place: &Path, log: &Path) -> Running {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/corpus");
    let limited = "ulimit -n 40; exec \"$0\" \"$@\"";
    let log = File::create(log).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_medforge-pacs-node")]);
    command.args([
        "--listen",
        &address.to_string(),
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

/// Whether something that asks for no association is answered: with A-ABORT.
fn answered(address: SocketAddr) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else { return false };
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
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
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let log = place.path().join("log");
    let _node = start(address, place.path(), &log);
    wait("the node", || answered(address));
    let many: Vec<_> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    std::thread::sleep(Duration::from_secs(3));
    drop(many);
    wait("an answer", || answered(address));
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("no connection can be taken"), "{said}");
    assert!(said.len() < 2000, "{said}");
}
