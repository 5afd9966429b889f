//! One connection, bounded: every read and write ends in time, and a protocol data unit has a
//! longest length.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom_ul::Pdu;
use dicom_ul::pdu::{AbortRQServiceProviderReason, AbortRQSource, read_pdu, write_pdu};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Result;
use crate::send::acknowledge_at_once;

/// The longest protocol data unit that is taken, in bytes; senders are told.
pub const LONGEST: u32 = 1 << 17;

/// How long one side may let the other wait.
#[derive(Clone, Copy)]
pub struct Times {
    /// From the connection to the association.
    pub negotiation: Duration,
    /// Without a message; and how far a message may be behind `rate`.
    pub idle: Duration,
    /// To take an answer.
    pub answer: Duration,
    /// The slowest sender, in bytes a second.
    pub rate: u32,
}

impl Times {
    pub fn new(idle: Duration) -> Self {
        Times {
            negotiation: Duration::from_secs(10),
            idle,
            answer: Duration::from_secs(10),
            rate: 16 << 10,
        }
    }
}

/// One connection.
pub struct Wire {
    stream: BufReader<Stream>,
    times: Times,
    buffer: Vec<u8>,
    /// No byte of the next message has come yet.
    fresh: bool,
}

impl Wire {
    /// A connection whose association has to be there in time. The first read brings what TLS has
    /// to say.
    pub fn new(socket: TcpStream, tls: Option<&Arc<ServerConfig>>, times: Times) -> Result<Self> {
        socket.set_nodelay(true)?;
        let until = Instant::now() + times.negotiation;
        let timed = Timed { socket, until, each_byte: Duration::ZERO, longest: times.negotiation };
        let stream = match tls {
            None => Stream::Plain(timed),
            Some(config) => Stream::Tls(Box::new(StreamOwned::new(
                ServerConnection::new(config.clone())?,
                timed,
            ))),
        };
        Ok(Wire {
            stream: BufReader::with_capacity(1 << 16, stream),
            times,
            buffer: Vec::new(),
            fresh: false,
        })
    }

    /// The next message may take its time from now on.
    pub fn expect_message(&mut self) {
        let (idle, rate) = (self.times.idle, self.times.rate);
        self.fresh = true;
        let timed = self.stream.get_mut().timed();
        timed.until = Instant::now() + idle;
        timed.each_byte = Duration::from_secs(1) / rate;
        timed.longest = idle;
    }

    /// The next unit; none if the other side has closed the connection.
    pub fn receive(&mut self) -> Result<Option<Pdu>> {
        if self.stream.fill_buf()?.is_empty() {
            return Ok(None);
        }
        if std::mem::take(&mut self.fresh) {
            self.stream.get_mut().timed().until = Instant::now() + self.times.idle;
        }
        let mut head = [0; 6];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        if length > LONGEST {
            return Err(
                format!("a unit has {length} bytes, and at most {LONGEST} are taken").into()
            );
        }
        self.buffer.clear();
        self.buffer.extend(head);
        self.buffer.resize(head.len() + length as usize, 0);
        self.stream.read_exact(&mut self.buffer[head.len()..])?;
        Ok(Some(
            read_pdu(&self.buffer[..], LONGEST, true)?
                .ok_or("a unit ends within one of its items")?,
        ))
    }

    /// Sends a unit.
    pub fn send(&mut self, pdu: &Pdu) -> Result<()> {
        self.buffer.clear();
        write_pdu(&mut self.buffer, pdu)?;
        let answer = self.times.answer;
        let stream = self.stream.get_mut();
        stream.timed().until = Instant::now() + answer;
        stream.write_all(&self.buffer)?;
        Ok(stream.flush()?)
    }

    /// Breaks the association off.
    pub fn abort(&mut self) {
        let reason = AbortRQServiceProviderReason::UnexpectedPdu;
        let _ = self.send(&Pdu::AbortRQ { source: AbortRQSource::ServiceProvider(reason) });
    }

    /// Ends the connection so that the last unit arrives: a socket that is closed with unread bytes
    /// takes it back.
    pub fn close(mut self) {
        let stream = self.stream.get_mut();
        stream.timed().until = Instant::now() + Duration::from_millis(500);
        if let Stream::Tls(tls) = stream {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        let timed = stream.timed();
        timed.each_byte = Duration::ZERO;
        if timed.socket.shutdown(Shutdown::Write).is_ok() {
            let _ = io::copy(&mut timed.take(LONGEST.into()), &mut io::sink());
        }
    }
}

enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ServerConnection, Timed>>),
}

impl Stream {
    fn timed(&mut self) -> &mut Timed {
        match self {
            Stream::Plain(timed) => timed,
            Stream::Tls(tls) => &mut tls.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(timed) => timed.read(bytes),
            // A peer that closes without a word loses nothing: units have lengths.
            Stream::Tls(tls) => match tls.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(timed) => timed.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(timed) => timed.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

/// A socket whose reads and writes end at a time, whatever trickles in.
struct Timed {
    socket: TcpStream,
    until: Instant,
    /// By how much each byte moves the end, which is never further away than `longest`.
    each_byte: Duration,
    longest: Duration,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(late()) } else { Ok(Some(left)) }
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the other side was silent or slow for too long")
}

/// What a socket says when its time is over.
fn in_time(result: io::Result<usize>) -> io::Result<usize> {
    result.map_err(|error| if error.kind() == io::ErrorKind::WouldBlock { late() } else { error })
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        acknowledge_at_once(&self.socket)?;
        let read = in_time(self.socket.read(bytes))?;
        if !self.each_byte.is_zero() {
            self.until =
                (self.until + self.each_byte * read as u32).min(Instant::now() + self.longest);
        }
        Ok(read)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        in_time(self.socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
