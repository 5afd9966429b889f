//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;
use ipnet::IpNet;

use crate::Result;

/// Classifies what it is sent by C-STORE, and sends results on
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  medforge-pacs-node --bundle breast.medforge --trust k.pub --queue \
                  queue --to 127.0.0.1:4242 --to-title ORTHANC"
)]
pub struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:11112")]
    pub listen: String,
    /// The application entity title of this node, by which it must be called
    #[arg(long, default_value = "MEDFORGE", value_parser = title)]
    pub title: String,
    /// The bundle; when the file is replaced, the node goes on with the new one
    #[arg(long, value_name = "FILE")]
    pub bundle: PathBuf,
    /// Whom to trust: keys in PEM, or a trust file
    #[arg(long, value_name = "FILE")]
    pub trust: PathBuf,
    /// The task, if the bundle has several
    #[arg(long)]
    pub task: Option<String>,
    /// Where images wait and results are kept
    #[arg(long, value_name = "DIR")]
    pub queue: PathBuf,
    /// Where results are sent
    #[arg(long, value_name = "ADDRESS")]
    pub to: String,
    /// The application entity title that results are sent to
    #[arg(long, default_value = "ORTHANC", value_parser = title)]
    pub to_title: String,
    /// Images that are in work at the same time [default: two more than processors, since some wait
    /// for the disk]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// An address or a block of addresses that may connect (10.0.0.7, 10.0.0.0/24); again for more.
    /// All may, if none is given
    #[arg(long, value_name = "ADDRESS", value_parser = block)]
    pub allow: Vec<IpNet>,
    /// An application entity title that may call; again for more. All may, if none is given
    #[arg(long, value_name = "TITLE", value_parser = title)]
    pub calling: Vec<String>,
    /// Associations at a time; further ones are rejected
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub associations: usize,
    /// Seconds that a sender may be silent
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub idle: u64,
    /// Where the state of the node is answered to GET /, and POST /retry puts what failed in line
    /// again: an address of this machine
    #[arg(long, value_name = "ADDRESS")]
    pub status: Option<SocketAddr>,
    /// Put what failed in line again, once
    #[arg(long)]
    pub retry_failed: bool,
    /// Listen with TLS: this node's certificate, with its chain, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Take only senders with a certificate that one of these has signed, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_clients: Option<PathBuf>,
    /// Send results with TLS, to an archive whose certificate one of these has signed, in PEM; the
    /// node's own is shown to it
    #[arg(long, value_name = "FILE")]
    pub to_tls: Option<PathBuf>,
}

impl Args {
    /// Refuses a node that everybody could send to, and a status that everybody could ask for.
    pub fn check(&self, listening: SocketAddr) -> Result<()> {
        let open = self.allow.is_empty() && self.calling.is_empty() && self.tls_clients.is_none();
        if open && !listening.ip().is_loopback() {
            let what = "is reached from other machines, and everybody could send to it";
            return Err(format!(
                "{listening} {what}: say who may with --allow, --tls-clients or --calling"
            )
            .into());
        }
        match self.status.filter(|address| !address.ip().is_loopback()) {
            Some(address) => Err(format!(
                "--status {address} is no address of this machine alone: use 127.0.0.1"
            )
            .into()),
            None => Ok(()),
        }
    }
}

/// An application entity title (PS3.5, 6.2): at most 16 characters, no backslash, none that
/// controls.
fn title(text: &str) -> std::result::Result<String, String> {
    let fit = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'\\';
    let text = text.trim();
    if (1..=16).contains(&text.len()) && text.bytes().all(fit) {
        Ok(text.to_owned())
    } else {
        Err("an application entity title has 1 to 16 plain characters".into())
    }
}

fn block(text: &str) -> std::result::Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse())
        .map_err(|_| "this is no address and no block like 10.0.0.0/24".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(more: &[&str]) -> Args {
        let needed =
            ["node", "--bundle", "b", "--trust", "t", "--queue", "q", "--to", "127.0.0.1:1"];
        Args::try_parse_from(needed.iter().chain(more)).unwrap()
    }

    #[test]
    fn a_node_that_everybody_could_send_to_does_not_start() {
        let [inside, outside] =
            ["127.0.0.1:1", "0.0.0.0:1"].map(|address| address.parse().unwrap());
        assert!(args(&[]).check(inside).is_ok());
        let refused = args(&[]).check(outside).unwrap_err().to_string();
        assert!(refused.contains("--allow"), "{refused}");
        for more in [["--allow", "10.0.0.0/8"], ["--allow", "10.1.2.3"], ["--calling", "CT1"]] {
            assert!(args(&more).check(outside).is_ok(), "{more:?}");
        }
        assert!(args(&["--status", "127.0.0.1:80"]).check(inside).is_ok());
        assert!(args(&["--status", "0.0.0.0:80"]).check(inside).is_err());
    }
}
