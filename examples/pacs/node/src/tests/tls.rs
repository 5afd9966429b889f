//! TLS on both sides, with certificates that are made here.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_ul::Pdu;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::fake::{Fake, archive_at, couriers, results};
use super::peers::*;
use crate::send::Archive;
use crate::tls::{Own, client, server};

/// Certificates of one authority, in a folder.
struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(place: &Path, name: &str) -> Self {
        let folder = place.join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Authority { folder, issuer }
    }

    fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    fn issue(&self, name: &str) -> [PathBuf; 2] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let paths =
            [format!("{name}.pem"), format!("{name}.key")].map(|file| self.folder.join(file));
        std::fs::write(&paths[0], certificate.pem()).unwrap();
        std::fs::write(&paths[1], key.serialize_pem()).unwrap();
        paths
    }
}

fn own([certificate, key]: &[PathBuf; 2]) -> Own<'_> {
    Own { certificate, key }
}

/// Whether a sender with these certificates gets an association; it stores an image then.
fn stores(node: &Node, config: Arc<ClientConfig>, uid: &str) -> bool {
    let socket = TcpStream::connect(node.address).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket);
    let mut asked = Vec::new();
    dicom_ul::pdu::write_pdu(&mut asked, &request("MEDFORGE", "SENDER")).unwrap();
    if std::io::Write::write_all(&mut stream, &asked).is_err() {
        return false;
    }
    match hear(&mut stream) {
        Some(Pdu::AssociationAC(_)) => store(&mut stream, uid, &image(uid, 0)) == 0,
        _ => false,
    }
}

#[test]
fn only_senders_with_a_certificate_of_the_named_authority_are_heard() {
    let place = tempfile::tempdir().unwrap();
    let (ours, strange) =
        (Authority::new(place.path(), "ours"), Authority::new(place.path(), "strange"));
    let (node_has, sender_has, stranger_has) =
        (ours.issue("node"), ours.issue("sender"), strange.issue("stranger"));
    let node = Node::with(|receiver| {
        receiver.tls = Some(server(&own(&node_has), Some(&ours.ca())).unwrap())
    });
    let trusting = |who: Option<&[PathBuf; 2]>| client(&ours.ca(), who.map(own).as_ref()).unwrap();
    assert!(stores(&node, trusting(Some(&sender_has)), "1.2.1"));
    assert!(!stores(&node, trusting(Some(&stranger_has)), "1.2.2"), "a stranger's certificate");
    assert!(!stores(&node, trusting(None), "1.2.3"), "no certificate");
    let of_a_stranger = client(&strange.ca(), Some(&own(&sender_has))).unwrap();
    assert!(!stores(&node, of_a_stranger, "1.2.4"), "a node that the sender does not know");
    // Without TLS there is no answer at all but an alert.
    let mut plain = node.connect();
    say(&mut plain, &request("MEDFORGE", "SENDER"));
    let mut heard = Vec::new();
    let _ = std::io::Read::read_to_end(&mut plain, &mut heard);
    assert!(heard.first().is_none_or(|first| *first == 0x15), "{heard:?}");
    assert_eq!(node.files("accepted"), ["1.2.1.dcm"]);
}

#[test]
fn results_go_over_tls_to_the_archive_that_is_named_and_to_no_other() {
    let place = tempfile::tempdir().unwrap();
    let (ours, strange) =
        (Authority::new(place.path(), "ours"), Authority::new(place.path(), "strange"));
    let (archive_has, node_has) = (ours.issue("archive"), ours.issue("node"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let fake = Fake::start(listener, Some(server(&own(&archive_has), Some(&ours.ca())).unwrap()));
    let node = Node::new();
    results(node.queue(), "1.2.3");
    let with = |tls| Archive { tls: Some(tls), ..archive_at(fake.address) };
    let stranger = with(client(&strange.ca(), Some(&own(&node_has))).unwrap());
    assert!(stranger.open().is_err(), "an archive of a stranger");
    let nameless = with(client(&ours.ca(), None).unwrap()).open().map(drop);
    assert!(nameless.is_err(), "the archive asks for a certificate");
    couriers(node.queue(), &with(client(&ours.ca(), Some(&own(&node_has))).unwrap()));
    wait("the results", || node.files("done") == ["1.2.3.json"]);
    assert_eq!(fake.arrived(), 2);
}

#[test]
fn files_that_hold_no_certificate_or_key_are_named() {
    let place = tempfile::tempdir().unwrap();
    let ours = Authority::new(place.path(), "ours");
    let [certificate, key] = ours.issue("node");
    let empty = place.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for bad in [&empty, &place.path().join("missing.pem")] {
        let refusals = [
            server(&Own { certificate: bad, key: &key }, None).err(),
            server(&Own { certificate: &certificate, key: bad }, None).err(),
            server(&Own { certificate: &certificate, key: &key }, Some(bad)).err(),
            client(bad, None).err(),
        ];
        for refused in refusals {
            let refused = refused.unwrap().to_string();
            assert!(refused.starts_with(&bad.display().to_string()), "{refused}");
        }
    }
}
