//! How the node is: a file in the queue's folder, and an address to ask.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use medforge_runtime::classify::Classifier;
use serde_json::{Value, json};

use crate::Result;
use crate::log::{cut, said};
use crate::receive::Receiver;

/// What was counted since the start, and the last error.
#[derive(Default)]
pub struct Counts {
    /// Images that were taken, and images that were known already; both were answered with success.
    pub accepted: AtomicU64,
    pub known: AtomicU64,
    /// Images that were answered with a failure.
    pub not_taken: AtomicU64,
    /// Connections and associations that were turned away.
    pub turned_away: AtomicU64,
    pub classified: AtomicU64,
    pub sent: AtomicU64,
    /// Refusals by the archive.
    pub refused: AtomicU64,
    last: Mutex<Option<(Timestamp, String)>>,
}

pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counts {
    /// Keeps an error for who asks.
    pub fn error(&self, text: &str) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Timestamp::now(), cut(text)));
    }
}

/// What a status is made of.
#[derive(Clone)]
pub struct Status {
    pub receiver: Arc<Receiver>,
    pub classifier: Option<Arc<Classifier>>,
}

impl Status {
    /// The state of now.
    pub fn json(&self) -> Value {
        let queue = &self.receiver.queue;
        let (to_classify, to_send, failed) = queue.lengths();
        let oldest = [to_classify.oldest, to_send.oldest].into_iter().flatten().min();
        let age = oldest.map_or(Duration::ZERO, |oldest| SystemTime::now().duration_since(oldest).unwrap_or_default());
        let counts = &queue.counts;
        let since_start = [
            ("accepted", &counts.accepted),
            ("known", &counts.known),
            ("not_taken", &counts.not_taken),
            ("turned_away", &counts.turned_away),
            ("classified", &counts.classified),
            ("sent", &counts.sent),
            ("refused", &counts.refused),
        ];
        let since_start = since_start.map(|(name, counter)| (name.to_owned(), counter.load(Ordering::Relaxed).into()));
        let last = counts.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bundle = self.classifier.as_ref().and_then(|one| one.active().bundles().next().map(str::to_owned));
        json!({
            "to_classify": to_classify.waiting + to_classify.later,
            "to_send": to_send.waiting,
            "set_aside": to_send.later,
            "failed": failed,
            "oldest_s": age.as_secs(),
            "last_error": last.map(|(at, text)| json!({ "at": at.to_string(), "text": text })),
            "associations": self.receiver.open.load(Ordering::Relaxed),
            "bundle": bundle,
            "since_start": serde_json::Map::from_iter(since_start),
        })
    }

    /// Writes the state into the queue's folder whenever it changes, at most once a second.
    pub fn write(&self) {
        let mut last = Value::Null;
        loop {
            let now = self.json();
            if now != last {
                match self.receiver.queue.write_status(&now.to_string()) {
                    Ok(()) => last = now,
                    Err(error) => said("status", &format!("status.json was not written: {error}")),
                }
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Answers whoever asks at an address, one after the other.
    pub fn answer(&self, listener: &TcpListener) {
        loop {
            let answered = listener.accept().map_err(Into::into).and_then(|(socket, _)| self.answer_one(socket));
            if let Err(error) = answered {
                said("status", &format!("a question about the status was not answered: {error}"));
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn answer_one(&self, mut socket: TcpStream) -> Result<()> {
        let request = question(&mut socket)?;
        let (code, body) = match asked(&request) {
            Asked::State => ("200 OK", self.json()),
            Asked::Retry => match self.receiver.queue.retry_failed() {
                Ok(images) => ("200 OK", json!({ "retried": images })),
                Err(error) => ("500 Internal Server Error", json!({ "error": cut(&error.to_string()) })),
            },
            Asked::Refused(code) => (code, json!({ "error": "ask with GET / or POST /retry, and not from a page" })),
        };
        let body = body.to_string();
        let head = "Content-Type: application/json\r\nCache-Control: no-store\r\nConnection: close";
        write!(socket, "HTTP/1.1 {code}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}\n", body.len() + 1)?;
        // A socket that is closed with unread bytes takes the answer back.
        socket.shutdown(Shutdown::Write)?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let _ = std::io::copy(&mut socket.take(LONGEST as u64), &mut std::io::sink());
        Ok(())
    }
}

/// The longest head of a question, and how long it may take.
const LONGEST: usize = 4096;
const LONG: Duration = Duration::from_secs(2);

/// The head of a request.
fn question(socket: &mut TcpStream) -> Result<String> {
    let until = Instant::now() + LONG;
    socket.set_write_timeout(Some(LONG))?;
    let (mut head, mut some) = (Vec::new(), [0; 512]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > LONGEST {
            return Err("it was too slow or too long".into());
        }
        socket.set_read_timeout(Some(left))?;
        match socket.read(&mut some)? {
            0 => return Err("it ended within its head".into()),
            read => head.extend(&some[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    State,
    Retry,
    Refused(&'static str),
}

/// What is asked. A browser's page is refused: it sends `Origin`, or names this node by a host that
/// is its own.
fn asked(head: &str) -> Asked {
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let host = header("host").map(|(_, value)| value.trim()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let address = host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok();
    if header("origin").is_some() || !(address || name == "localhost") {
        return Asked::Refused("403 Forbidden");
    }
    match (first.next(), first.next()) {
        (Some("GET"), Some("/" | "/status")) => Asked::State,
        (Some("POST"), Some("/retry")) => Asked::Retry,
        _ => Asked::Refused("404 Not Found"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_browsers_are_told_nothing() {
        let get = |more: &str| asked(&format!("GET / HTTP/1.1\r\n{more}\r\n\r\n"));
        for host in ["127.0.0.1:8080", "127.0.0.1", "localhost:8080", "localhost", "[::1]:8080"] {
            assert_eq!(get(&format!("hOST: {host}")), Asked::State, "{host}");
        }
        for bad in ["Host: evil.example:8080", "Host: localhost.evil.example", "", "Host: 127.0.0.1\r\nOrigin: null"] {
            assert_eq!(get(bad), Asked::Refused("403 Forbidden"), "{bad}");
        }
        assert_eq!(asked("POST /retry HTTP/1.1\r\nHost: localhost\r\n\r\n"), Asked::Retry);
        assert_eq!(asked("GET /retry HTTP/1.1\r\nHost: localhost\r\n\r\n"), Asked::Refused("404 Not Found"));
    }
}
