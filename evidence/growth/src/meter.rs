//! What a server would count: requests, notifications, znodes, and its table of watches.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Add, Mul, Sub};

use fairlock::store::SessionId;

/// What something costs on the wire. Names are what lists are made of, which is what grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Requests that go through the leader and its log.
    pub writes: u64,
    /// All other requests.
    pub reads: u64,
    /// Names in the answers to lists.
    pub names: u64,
    /// Notifications.
    pub events: u64,
}

impl Cost {
    /// The cost of nothing.
    pub const NONE: Cost = Cost { writes: 0, reads: 0, names: 0, events: 0 };

    /// Without lists.
    pub const fn of(writes: u64, reads: u64, events: u64) -> Self {
        Self { writes, reads, names: 0, events }
    }

    /// With so many names listed.
    pub const fn listing(self, names: u64) -> Self {
        Self { names, ..self }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            writes: self.writes + other.writes,
            reads: self.reads + other.reads,
            names: self.names + other.names,
            events: self.events + other.events,
        }
    }
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            writes: self.writes - other.writes,
            reads: self.reads - other.reads,
            names: self.names - other.names,
            events: self.events - other.events,
        }
    }
}

impl Mul<Cost> for u64 {
    type Output = Cost;

    fn mul(self, cost: Cost) -> Cost {
        Cost {
            writes: self * cost.writes,
            reads: self * cost.reads,
            names: self * cost.names,
            events: self * cost.events,
        }
    }
}

/// What of a znode is watched. Servers have a table for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watchable {
    Data,
    Children,
}

type Place = (String, Watchable);

/// What a server knows and a client remembers.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    cost: Cost,
    /// By place and connection, as in the server's `WatchManager`; the client's watchers of each, by number.
    watches: BTreeMap<Place, BTreeMap<SessionId, BTreeSet<u64>>>,
    watchers_made: u64,
    /// The znodes, and who owns them.
    nodes: BTreeMap<String, Option<SessionId>>,
}

impl Meter {
    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    pub(crate) fn watches(&self) -> u64 {
        self.watches.values().map(|sessions| sessions.len() as u64).sum()
    }

    pub(crate) fn ephemerals(&self) -> u64 {
        self.nodes.values().filter(|owner| owner.is_some()).count() as u64
    }

    pub(crate) fn directories(&self) -> u64 {
        self.nodes.len() as u64 - self.ephemerals()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.nodes.contains_key(path)
    }

    pub(crate) fn write(&mut self, requests: u64) {
        self.cost.writes += requests;
    }

    pub(crate) fn read(&mut self, requests: u64) {
        self.cost.reads += requests;
    }

    pub(crate) fn list(&mut self, names: usize) {
        self.cost.reads += 1;
        self.cost.names += names as u64;
    }

    /// Notes a watcher; its number is for [`Meter::unwatch`].
    pub(crate) fn watch(&mut self, session: SessionId, path: &str, what: Watchable) -> u64 {
        self.watchers_made += 1;
        let sessions = self.watches.entry((path.to_owned(), what)).or_default();
        sessions.entry(session).or_default().insert(self.watchers_made);
        self.watchers_made
    }

    /// A watcher was dropped. The last one of its connection takes the watch back, which is a request
    /// (`WatchManager::remove_watcher` of zookeeper-client), unless it has fired.
    pub(crate) fn unwatch(&mut self, session: SessionId, path: &str, what: Watchable, watcher: u64) {
        let place = (path.to_owned(), what);
        let Some(sessions) = self.watches.get_mut(&place) else { return };
        let Some(watchers) = sessions.get_mut(&session) else { return };
        if watchers.remove(&watcher) && watchers.is_empty() {
            sessions.remove(&session);
            self.cost.reads += 1;
        }
        if sessions.is_empty() {
            self.watches.remove(&place);
        }
    }

    pub(crate) fn created(&mut self, path: &str, owner: Option<SessionId>) {
        self.nodes.insert(path.to_owned(), owner);
        self.fire(path, Watchable::Data);
        self.fire(parent(path), Watchable::Children);
    }

    pub(crate) fn written(&mut self, path: &str) {
        self.fire(path, Watchable::Data);
    }

    pub(crate) fn deleted(&mut self, path: &str) {
        self.nodes.remove(path);
        self.fire(path, Watchable::Data);
        self.fire(parent(path), Watchable::Children);
    }

    /// The servers end a session: first nobody is there to be told, then its nodes go.
    pub(crate) fn ended(&mut self, session: SessionId) {
        for sessions in self.watches.values_mut() {
            sessions.remove(&session);
        }
        self.watches.retain(|_, sessions| !sessions.is_empty());
        let of_session = |(path, owner): (&String, &Option<SessionId>)| (*owner == Some(session)).then(|| path.clone());
        let owned: Vec<_> = self.nodes.iter().filter_map(of_session).collect();
        for path in owned {
            self.deleted(&path);
        }
    }

    /// One notification to each connection, however many of its watchers wait for it.
    fn fire(&mut self, path: &str, what: Watchable) {
        let told = self.watches.remove(&(path.to_owned(), what));
        self.cost.events += told.map_or(0, |sessions| sessions.len() as u64);
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SessionId = SessionId(1);
    const TWO: SessionId = SessionId(2);

    #[test]
    fn a_connection_is_told_once_whatever_watches_it_has() {
        let mut meter = Meter::default();
        meter.watch(ONE, "/q/a", Watchable::Data);
        meter.watch(ONE, "/q/a", Watchable::Data);
        meter.watch(TWO, "/q/a", Watchable::Data);
        assert_eq!(meter.watches(), 2);
        meter.written("/q/a");
        meter.deleted("/q/a");
        assert_eq!((meter.cost().events, meter.watches()), (2, 0));
    }

    #[test]
    fn the_last_watcher_that_is_dropped_costs_a_request_and_one_that_was_told_none() {
        let mut meter = Meter::default();
        let watchers = [0; 2].map(|_| meter.watch(ONE, "/q/a", Watchable::Data));
        meter.unwatch(ONE, "/q/a", Watchable::Data, watchers[0]);
        assert_eq!(meter.cost().reads, 0);
        meter.unwatch(ONE, "/q/a", Watchable::Data, watchers[1]);
        assert_eq!((meter.cost().reads, meter.watches()), (1, 0));
        let told = meter.watch(ONE, "/q/a", Watchable::Data);
        meter.written("/q/a");
        meter.unwatch(ONE, "/q/a", Watchable::Data, told);
        assert_eq!(meter.cost().reads, 1);
    }

    #[test]
    fn who_watches_the_members_is_told_of_each_that_comes_or_goes() {
        let mut meter = Meter::default();
        for change in [Meter::created as fn(&mut Meter, &str, _), |meter, path, _| meter.deleted(path)] {
            meter.watch(ONE, "/q", Watchable::Children);
            change(&mut meter, "/q/a", Some(TWO));
        }
        assert_eq!(meter.cost().events, 2);
    }

    #[test]
    fn a_session_that_ends_takes_its_nodes_and_tells_others_only() {
        let mut meter = Meter::default();
        meter.created("/q/a", Some(ONE));
        meter.watch(ONE, "/q/a", Watchable::Data);
        meter.watch(TWO, "/q/a", Watchable::Data);
        meter.ended(ONE);
        assert_eq!((meter.cost().events, meter.ephemerals(), meter.watches()), (1, 0, 0));
    }
}
