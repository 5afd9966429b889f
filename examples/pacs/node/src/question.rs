//! A question about the status, over HTTP: within two seconds, and not from a page in a browser.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;

/// The longest head of a question, and how long question and answer may take.
const LONGEST: usize = 4096;
const LONG: Duration = Duration::from_secs(2);
/// How long to wait for what somebody says after a question.
const AFTER: Duration = Duration::from_millis(200);

/// Somebody who asks, and until when all of it has to be over.
pub struct Question {
    socket: TcpStream,
    until: Instant,
}

impl Question {
    pub fn new(socket: TcpStream) -> Self {
        Question { socket, until: Instant::now() + LONG }
    }

    /// The answer has its time from now on.
    pub fn takes_long(&mut self) {
        self.until = Instant::now() + LONG;
    }

    /// The head of a request.
    pub fn head(&mut self) -> Result<String> {
        let (mut head, mut some) = (Vec::new(), [0; 512]);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            if head.len() > LONGEST {
                return Err("it was too long".into());
            }
            match self.read(&mut some)? {
                0 => return Err("it ended within its head".into()),
                read => head.extend(&some[..read]),
            }
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    pub fn answer(&mut self, code: &str, body: &Value) -> Result<()> {
        let body = body.to_string();
        let head = "Content-Type: application/json\r\nCache-Control: no-store\r\nConnection: close";
        let answer = format!(
            "HTTP/1.1 {code}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}\n",
            body.len() + 1
        );
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.write_all(answer.as_bytes())?;
        // A socket that is closed with unread bytes takes the answer back.
        self.socket.shutdown(Shutdown::Write)?;
        self.until = self.until.min(Instant::now() + AFTER);
        while self.read(&mut [0; 512]).is_ok_and(|read| read > 0) {}
        Ok(())
    }

    fn read(&mut self, some: &mut [u8]) -> Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        Ok(self.socket.read(some)?)
    }

    fn left(&self) -> Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err("it was too slow".into()) } else { Ok(left) }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    State,
    Retry,
    Refused(&'static str),
}

/// What is asked. A browser's page is refused: it sends `Origin`, or names this node by a host that
/// is its own.
pub fn asked(head: &str) -> Asked {
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
        for bad in [
            "Host: evil.example:8080",
            "Host: localhost.evil.example",
            "",
            "Host: 127.0.0.1\r\nOrigin: null",
        ] {
            assert_eq!(get(bad), Asked::Refused("403 Forbidden"), "{bad}");
        }
        assert_eq!(asked("POST /retry HTTP/1.1\r\nHost: localhost\r\n\r\n"), Asked::Retry);
        assert_eq!(
            asked("GET /retry HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            Asked::Refused("404 Not Found")
        );
    }
}
