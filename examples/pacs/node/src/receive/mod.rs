//! The receiving side: who may connect, how many at a time, and each association on a thread of its
//! own.

mod association;
mod policy;
mod request;
mod wire;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult, AssociationRJServiceProviderPresentationReason,
    AssociationRJSource,
};
use rustls::ServerConfig;

pub use policy::Policy;
pub use wire::Times;

use crate::counts::count;
use crate::log::said;
use crate::queue::Queue;
use crate::{Result, guarded};
use policy::Context;
use wire::Wire;

/// What listens.
pub struct Receiver {
    pub queue: Arc<Queue>,
    pub policy: Policy,
    pub tls: Option<Arc<ServerConfig>>,
    pub times: Times,
    /// Associations at a time.
    pub most: usize,
    pub open: AtomicUsize,
    /// Connections that are being told that there are too many associations.
    pub telling: AtomicUsize,
}

/// How many connections beyond the associations are told so. Further ones are closed without a
/// word.
const TOLD: usize = 8;
/// How long a connection that is only told so may take.
const TELLING: Duration = Duration::from_secs(2);
/// How long to wait when no connection can be taken, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

impl Receiver {
    /// Takes connections until the program ends.
    pub fn listen(self: Arc<Self>, listener: &TcpListener) {
        let mut pause = PAUSES[0];
        loop {
            match listener.accept() {
                Ok((socket, peer)) if self.policy.allows(peer.ip()) => {
                    pause = PAUSES[0];
                    self.admit(socket);
                }
                Ok((_, peer)) => {
                    count(&self.queue.counts.turned_away);
                    said("address", &format!("{}: not among the addresses of --allow", peer.ip()));
                }
                Err(error) => {
                    // No file descriptor is left, most often: the queue of the system holds the
                    // others.
                    said("accept", &format!("no connection can be taken: {error}"));
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSES[1]);
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, socket: TcpStream) {
        let place = Place::new(self, |receiver| (&receiver.open, receiver.most));
        let (place, full) = match place {
            Some(place) => (place, false),
            None => {
                count(&self.queue.counts.turned_away);
                said(
                    "full",
                    &format!(
                        "{} associations are open (--associations): more are rejected",
                        self.most
                    ),
                );
                let Some(place) = Place::new(self, |receiver| (&receiver.telling, TOLD)) else {
                    return;
                };
                (place, true)
            }
        };
        let serve = move || {
            let receiver = place.receiver.clone();
            if let Err(error) = guarded(|| receiver.serve(socket, full)) {
                said("association", &format!("an association ended: {error}"));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("association".into()).spawn(serve) {
            said("thread", &format!("an association cannot be served: {error}"));
        }
    }

    /// Serves one association to its end.
    fn serve(&self, socket: TcpStream, full: bool) -> Result<()> {
        let negotiation =
            if full { self.times.negotiation.min(TELLING) } else { self.times.negotiation };
        let mut wire = Wire::new(socket, self.tls.as_ref(), Times { negotiation, ..self.times })?;
        let contexts = match self.negotiated(&mut wire, full) {
            Ok(Some(contexts)) => contexts,
            other => {
                wire.close();
                return other.map(drop);
            }
        };
        wire.expect_message();
        let served = association::serve(&mut wire, &contexts, &self.queue);
        if served.is_err() {
            wire.abort();
        }
        wire.close();
        served
    }

    /// The contexts that were agreed on; none if the association was rejected or not asked for.
    fn negotiated(&self, wire: &mut Wire, full: bool) -> Result<Option<Vec<Context>>> {
        let asked = match wire.receive()? {
            None => return Ok(None),
            Some(Pdu::AssociationRQ(asked)) => asked,
            Some(_) => {
                wire.abort();
                return Err("the first unit asks for no association".into());
            }
        };
        let from = asked.calling_ae_title.clone();
        let answer = if full { Err(local_limit_exceeded()) } else { self.policy.answer(asked) };
        match answer {
            Ok((agreement, contexts)) => {
                wire.send(&Pdu::AssociationAC(agreement))?;
                Ok(Some(contexts))
            }
            Err(rejection) => {
                if !full {
                    count(&self.queue.counts.turned_away);
                    said(
                        "rejected",
                        &format!("an association of {from} was rejected: {}", rejection.source),
                    );
                }
                wire.send(&Pdu::AssociationRJ(rejection))?;
                Ok(None)
            }
        }
    }
}

fn local_limit_exceeded() -> AssociationRJ {
    let reason = AssociationRJServiceProviderPresentationReason::LocalLimitExceeded;
    let source = AssociationRJSource::ServiceProviderPresentation(reason);
    AssociationRJ { result: AssociationRJResult::Transient, source }
}

/// A place among the associations, or among those that are told that there is none. It is free
/// again when it is dropped.
struct Place {
    receiver: Arc<Receiver>,
    of: Places,
}

/// How many places of a kind are taken, and how many there are.
type Places = fn(&Receiver) -> (&AtomicUsize, usize);

impl Place {
    fn new(receiver: &Arc<Receiver>, of: Places) -> Option<Self> {
        let (taken, most) = of(receiver);
        // One thread alone takes places.
        (taken.load(Ordering::Relaxed) < most).then(|| {
            taken.fetch_add(1, Ordering::Relaxed);
            Place { receiver: receiver.clone(), of }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.of)(&self.receiver).0.fetch_sub(1, Ordering::Relaxed);
    }
}
