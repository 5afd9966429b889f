//! Images in line for one stage, in memory, the oldest first. Those that were tried in vain come
//! again later and hold up nobody.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// An image in line.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub uid: String,
    /// When it was accepted.
    pub since: SystemTime,
    pub tries: Tries,
    /// Its place in the line.
    number: u64,
}

/// How often an image was tried in vain, by what stood in the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// The archive said no.
    pub refused: u32,
    /// The archive broke off, was silent, or had no resources.
    pub broken: u32,
    /// Its file could not be read here.
    pub unread: u32,
    /// The disk did not take what was to be written: no image's fault.
    pub unwritten: u32,
}

impl Tries {
    pub fn none(self) -> bool {
        self == Tries::default()
    }
}

impl Waiting {
    pub fn new(uid: String, since: SystemTime) -> Self {
        Waiting { uid, since, tries: Tries::default(), number: 0 }
    }
}

/// One stage's images.
#[derive(Default)]
pub struct Line {
    last: u64,
    ready: BTreeMap<u64, Waiting>,
    later: BTreeMap<(Instant, u64), Waiting>,
    /// Taken by somebody: since when they wait.
    busy: BTreeMap<u64, SystemTime>,
    /// Whether the last image that was taken with `retried` had been tried in vain.
    was_again: bool,
}

/// How many images a line holds.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Length {
    pub waiting: usize,
    /// Tried in vain, and waiting for their next turn.
    pub later: usize,
    /// When the oldest of all was accepted.
    pub oldest: Option<SystemTime>,
}

impl Line {
    /// Puts an image at the end.
    pub fn put(&mut self, waiting: Waiting) {
        self.last += 1;
        self.ready
            .insert(self.last, Waiting { number: self.last, tries: Tries::default(), ..waiting });
    }

    /// The next image: the oldest. With `retried` it takes turns with one that was tried in vain
    /// and whose time has come again.
    pub fn next(&mut self, retried: bool) -> Option<Waiting> {
        let turn = retried && (!self.was_again || self.ready.is_empty());
        let due = turn.then(|| self.later.first_entry()).flatten();
        let again = due.filter(|entry| entry.key().0 <= Instant::now()).map(|entry| entry.remove());
        if retried {
            self.was_again = again.is_some();
        }
        let next = again.or_else(|| self.ready.pop_first().map(|(_, waiting)| waiting))?;
        self.busy.insert(next.number, next.since);
        Some(next)
    }

    /// When the next image comes that was tried in vain.
    pub fn due(&self) -> Option<Instant> {
        self.later.first_key_value().map(|((due, _), _)| *due)
    }

    /// An image has left this stage.
    pub fn left(&mut self, waiting: &Waiting) {
        self.busy.remove(&waiting.number);
    }

    /// Gives an image back its place.
    pub fn back(&mut self, waiting: Waiting) {
        self.left(&waiting);
        if waiting.tries.none() {
            self.ready.insert(waiting.number, waiting)
        } else {
            self.later.insert((Instant::now(), waiting.number), waiting)
        };
    }

    /// Lets an image come again after `pause`; its tries say what stood in the way.
    pub fn later(&mut self, waiting: Waiting, pause: Duration) {
        self.left(&waiting);
        self.later.insert((Instant::now() + pause, waiting.number), waiting);
    }

    pub fn length(&self) -> Length {
        let waiting = self.ready.values().chain(self.later.values()).map(|waiting| waiting.since);
        let oldest = waiting.chain(self.busy.values().copied()).min();
        Length { waiting: self.ready.len() + self.busy.len(), later: self.later.len(), oldest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_in_vain_holds_up_nobody() {
        let mut line = Line::default();
        for uid in ["1", "2", "3"] {
            line.put(Waiting::new(uid.into(), SystemTime::UNIX_EPOCH));
        }
        let mut first = line.next(true).unwrap();
        assert_eq!((&*first.uid, first.tries), ("1", Tries::default()));
        first.tries.broken += 1;
        line.later(first, Duration::from_secs(600));
        assert_eq!(
            line.length(),
            Length { waiting: 2, later: 1, oldest: Some(SystemTime::UNIX_EPOCH) }
        );
        let second = line.next(true).unwrap();
        assert_eq!(second.uid, "2");
        line.back(second);
        // Its time has come, but not for those who take fresh ones only.
        let ((_, number), first) = line.later.pop_first().unwrap();
        line.later.insert((Instant::now(), number), first);
        assert_eq!(line.next(false).unwrap().uid, "2");
        let again = line.next(true).unwrap();
        assert_eq!((&*again.uid, again.tries.broken), ("1", 1));
        line.left(&again);
        assert_eq!((line.length().later, line.next(true).unwrap().uid), (0, "3".to_owned()));
    }

    #[test]
    fn fresh_ones_and_those_that_come_again_take_turns() {
        let mut line = Line::default();
        for uid in ["again 1", "again 2", "fresh 1", "fresh 2"] {
            line.put(Waiting::new(uid.into(), SystemTime::UNIX_EPOCH));
        }
        for _ in 0..2 {
            let mut waiting = line.next(false).unwrap();
            waiting.tries.unread += 1;
            line.later(waiting, Duration::ZERO);
        }
        let taken: Vec<_> = (0..4).map(|_| line.next(true).unwrap().uid).collect();
        assert_eq!(taken, ["again 1", "fresh 1", "again 2", "fresh 2"]);
    }
}
