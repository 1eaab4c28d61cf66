//! What has happened between two looks.
//!
//! A look shows who is there, not what somebody did. So the events are what the difference of two looks proves, and no more: who
//! came and went in between is not seen, and a holder that has gone may have given the lock back or have lost it. When all that a
//! session had goes at one moment, more than one node, the session has probably ended; that is told as what it is.

use std::collections::{BTreeMap, BTreeSet};

use fairlock::store::SessionId;

use super::super::{Kind, Look, Member, Mode, Seen};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) at_unix_ms: u64,
    /// Of the lock, or of the first of them.
    pub(super) path: String,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// Somebody waits who did not.
    Entered { who: Member, ahead: usize },
    /// Somebody holds who did not. `within_ms`: the hand-over took no longer, since until then somebody else held it.
    Granted { who: Member, within_ms: Option<u64> },
    /// A holder shares what it held alone.
    Downgraded { who: Member },
    /// Somebody is gone. `held_ms`: for how long it was seen to hold.
    Left { who: Member, held_ms: Option<u64> },
    /// All that this session had here is gone at once, more than one node.
    SessionLeft { session: SessionId, nodes: usize },
    /// Another number waits, where those who wait are not listed.
    Waiting { from: usize, to: usize },
    /// The semaphore has another number of permits.
    Permits { from: Option<u32>, to: Option<u32> },
}

/// Since when somebody was seen to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) since_unix_ms: u64,
    /// It held at the first look already, so for longer than this.
    pub(super) at_least: bool,
}

/// When a look was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When {
    pub(super) at_unix_ms: u64,
    /// How long before that the first change was told that came after the look before; `None` if none was told.
    pub(super) since_change_ms: Option<u64>,
}

/// The last look, and what of the earlier ones is still of use.
#[derive(Debug, Default)]
pub(super) struct Sight {
    last: Option<(Look, u64)>,
    held: BTreeMap<Key, Held>,
}

/// A member of a lock: the lock's path, whether it is a semaphore's, the node's name and its token.
type Key = (String, bool, String, i64);

fn key(seen: &Seen, member: &Member) -> Key {
    (seen.path.clone(), seen.kind.is_semaphore(), member.node.clone(), member.token.as_i64())
}

/// Nodes of the same contender: one that gets its turn or is downgraded has another node than before.
fn is_same_contender(one: &Member, other: &Member) -> bool {
    one.session == other.session && one.identity == other.identity && one.since_unix_ms == other.since_unix_ms
}

impl Sight {
    pub(super) fn look(&self) -> Option<&Look> {
        self.last.as_ref().map(|(look, _)| look)
    }

    /// When the last look was.
    pub(super) fn at_unix_ms(&self) -> Option<u64> {
        self.last.as_ref().map(|(_, at)| *at)
    }

    pub(super) fn held(&self, seen: &Seen, member: &Member) -> Option<Held> {
        self.held.get(&key(seen, member)).copied()
    }

    /// Takes the next look, in which everybody was listed or only the holders; tells what has happened.
    pub(super) fn take(&mut self, look: Look, when: When, lists_waiters: bool) -> Vec<Event> {
        let at_unix_ms = when.at_unix_ms;
        let mut events = Vec::new();
        let before = self.last.take();
        if let Some((before, before_at)) = &before {
            let mut paths = BTreeSet::new();
            for seen in before.locks.iter().chain(&look.locks) {
                paths.insert((seen.path.as_str(), seen.kind.is_semaphore()));
            }
            let since_before = at_unix_ms.saturating_sub(*before_at);
            // Until then all was as at the look before.
            let since_before = when.since_change_ms.map_or(since_before, |since| since.min(since_before));
            let mut left = Vec::new();
            for (path, is_semaphore) in paths {
                let find = |look: &'_ Look| -> Option<Seen> {
                    look.locks
                        .iter()
                        .find(|seen| seen.path == path && seen.kind.is_semaphore() == is_semaphore)
                        .cloned()
                };
                let pair = Pair { before: find(before), after: find(&look), since_before, lists_waiters };
                for what in pair.compare(&self.held, at_unix_ms) {
                    let event = Event { at_unix_ms, path: path.to_owned(), what };
                    if matches!(event.what, What::Left { .. }) { left.push(event) } else { events.push(event) }
                }
            }
            // Who goes makes room: so it is told first.
            let mut all = sessions_left(left, before, &look);
            all.append(&mut events);
            events = all;
        }
        self.held = held(&self.held, &look, at_unix_ms, before.is_none());
        self.last = Some((look, at_unix_ms));
        events
    }
}

fn held(known: &BTreeMap<Key, Held>, look: &Look, at_unix_ms: u64, at_least: bool) -> BTreeMap<Key, Held> {
    let mut held = BTreeMap::new();
    for seen in &look.locks {
        for holder in seen.holders() {
            let key = key(seen, holder);
            let since = known.get(&key).copied().unwrap_or(Held { since_unix_ms: at_unix_ms, at_least });
            held.insert(key, since);
        }
    }
    held
}

/// Puts those together who left with their session.
fn sessions_left(left: Vec<Event>, before: &Look, after: &Look) -> Vec<Event> {
    let nodes = |look: &Look, session: SessionId| {
        look.locks.iter().flat_map(|seen| &seen.members).filter(|member| member.session == Some(session)).count()
    };
    let (mut events, mut told) = (Vec::new(), BTreeSet::new());
    for event in left {
        let What::Left { who: Member { session: Some(session), .. }, .. } = &event.what else {
            events.push(event);
            continue;
        };
        let (session, had) = (*session, nodes(before, *session));
        if had > 1 && nodes(after, session) == 0 && told.insert(session) {
            let (at_unix_ms, path) = (event.at_unix_ms, event.path.clone());
            events.push(Event { at_unix_ms, path, what: What::SessionLeft { session, nodes: had } });
        }
        events.push(event);
    }
    events
}

/// One lock at two looks.
struct Pair {
    before: Option<Seen>,
    after: Option<Seen>,
    since_before: u64,
    lists_waiters: bool,
}

impl Pair {
    fn compare(&self, held: &BTreeMap<Key, Held>, now: u64) -> Vec<What> {
        let members = |seen: &Option<Seen>| seen.as_ref().map_or_else(Vec::new, |seen| seen.members.clone());
        let (before, after) = (members(&self.before), members(&self.after));
        let is_node = |one: &Member, other: &Member| one.node == other.node && one.token == other.token;
        let mut gone: Vec<_> = before.iter().filter(|old| !after.iter().any(|new| is_node(old, new))).collect();
        let mut events = Vec::new();
        let somebody_held = before.iter().any(|member| member.holds);
        for new in &after {
            let mut old = before.iter().find(|old| is_node(old, new));
            if old.is_none()
                && let Some(at) = gone.iter().position(|old| is_same_contender(old, new))
            {
                old = Some(gone.remove(at));
            }
            match old {
                Some(old) if old.holds && new.holds => {
                    if old.mode == Mode::Exclusive && new.mode == Mode::Shared {
                        events.push(What::Downgraded { who: new.clone() });
                    }
                }
                Some(old) if old.holds == new.holds => {}
                // Less than a semaphore had before: it still has what it has.
                Some(_) if !new.holds => {}
                old => {
                    if new.holds {
                        let within_ms =
                            (somebody_held && (old.is_some() || !self.lists_waiters)).then_some(self.since_before);
                        events.push(What::Granted { who: new.clone(), within_ms });
                    } else {
                        events.push(What::Entered { who: new.clone(), ahead: self.waiters_ahead(&after, new) });
                    }
                }
            }
        }
        let before_key = |old: &Member| self.before.as_ref().map(|seen| key(seen, old));
        for old in gone {
            let held_ms =
                before_key(old).and_then(|key| held.get(&key)).map(|held| now.saturating_sub(held.since_unix_ms));
            events.push(What::Left { who: old.clone(), held_ms: held_ms.filter(|_| old.holds) });
        }
        events.extend(self.numbers());
        events
    }

    fn waiters_ahead(&self, after: &[Member], new: &Member) -> usize {
        after.iter().filter(|other| !other.holds && other.place < new.place).count()
    }

    fn numbers(&self) -> Vec<What> {
        let mut events = Vec::new();
        let waiting = |seen: &Option<Seen>| seen.as_ref().map_or(0, |seen| seen.waiting);
        let (from, to) = (waiting(&self.before), waiting(&self.after));
        if !self.lists_waiters && from != to {
            events.push(What::Waiting { from, to });
        }
        if let (Some(Seen { kind: Kind::Semaphore(from), .. }), Some(Seen { kind: Kind::Semaphore(to), .. })) =
            (&self.before, &self.after)
            && from != to
        {
            events.push(What::Permits { from: *from, to: *to });
        }
        events
    }
}

#[cfg(test)]
#[path = "changes_tests.rs"]
pub(super) mod tests;
