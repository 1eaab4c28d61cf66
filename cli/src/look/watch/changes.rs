//! What has happened between two looks.
//!
//! A look shows who is there, not what somebody did. So the events are what the difference of two looks proves, and no more: who
//! came and went in between is not seen, and a holder that has gone may have given the lock back or have lost it. When all that a
//! session had goes at one moment, more than one node, the session has probably ended; that is told as what it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fairlock::store::SessionId;

use super::super::{Kind, Look, Member, Mode, Seen};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) at_unix_ms: u64,
    /// Of the lock, or of the first of them.
    pub(super) path: String,
    /// What it is: a lock and a semaphore may share the path.
    pub(super) kind: &'static str,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// Somebody waits who did not.
    Entered { who: Member, ahead: usize },
    /// Somebody holds who did not. `within_ms`: the hand-over took no longer, since until then somebody held it who has left.
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
    /// For how long that may differ which the look before showed: since the first change was told, or since that look was begun.
    pub(super) since_ms: u64,
}

/// The last look, and what of the earlier ones is still of use.
#[derive(Debug, Default)]
pub(super) struct Sight {
    last: Option<(Look, u64)>,
    held: BTreeMap<Key, Held>,
}

/// A lock: its path, and whether it is a semaphore.
type Lock<'a> = (&'a str, bool);

/// A member of a lock: the lock's path, whether it is a semaphore's, the node's name and its token.
type Key = (String, bool, String, i64);

fn lock_of(seen: &Seen) -> Lock<'_> {
    (&seen.path, seen.kind.is_semaphore())
}

fn key(seen: &Seen, member: &Member) -> Key {
    (seen.path.clone(), seen.kind.is_semaphore(), member.node.clone(), member.token.as_i64())
}

fn node(member: &Member) -> (&str, i64) {
    (&member.node, member.token.as_i64())
}

/// What nodes of the same contender share: one that gets its turn or is downgraded has another node than before. `None` if it may
/// not be read: then it may be anybody of the session.
fn contender(member: &Member) -> Option<(SessionId, u64, String)> {
    Some((member.session?, member.since_unix_ms?, member.identity.as_ref()?.to_string()))
}

fn by_lock(look: &Look) -> BTreeMap<Lock<'_>, &Seen> {
    look.locks.iter().map(|seen| (lock_of(seen), seen)).collect()
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
    pub(super) fn take(&mut self, mut look: Look, when: When, lists_waiters: bool) -> Vec<Event> {
        let at_unix_ms = when.at_unix_ms;
        let Some((before, _)) = self.last.take() else {
            self.held = self.held_now(&look, &BTreeMap::new(), at_unix_ms, |_| true);
            self.last = Some((look, at_unix_ms));
            return vec![];
        };
        keep_hidden(&mut look, &before);
        let (mut events, mut left, mut moved) = (vec![], vec![], BTreeMap::new());
        let (old, new) = (by_lock(&before), by_lock(&look));
        let locks: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for lock in locks {
            let pair = Pair { before: old.get(lock).copied(), after: new.get(lock).copied(), lists_waiters };
            // What could not be seen before has not come now, nor gone what cannot be seen any more.
            if pair.before.is_none() && before.may_hide(lock) || pair.after.is_none() && look.may_hide(lock) {
                continue;
            }
            let Some(kind) = pair.after.or(pair.before).map(|seen| seen.kind.name()) else { continue };
            for what in pair.compare(&self.held, &mut moved, when) {
                let event = Event { at_unix_ms, path: lock.0.to_owned(), kind, what };
                if matches!(event.what, What::Left { .. }) { left.push(event) } else { events.push(event) }
            }
        }
        // Who goes makes room: so it is told first.
        let mut all = if look.is_cut { left } else { sessions_left(left, &before, &look) };
        all.append(&mut events);
        self.held = self.held_now(&look, &moved, at_unix_ms, |seen| {
            before.may_hide(&lock_of(seen)) && !old.contains_key(&lock_of(seen))
        });
        self.last = Some((look, at_unix_ms));
        all
    }

    /// Since when each holder was seen to hold. `moved`: the nodes by which they held before, where it was others.
    fn held_now(
        &self,
        look: &Look,
        moved: &BTreeMap<Key, Key>,
        at_unix_ms: u64,
        at_least: impl Fn(&Seen) -> bool,
    ) -> BTreeMap<Key, Held> {
        let mut held = BTreeMap::new();
        for seen in &look.locks {
            for holder in seen.holders() {
                let key = key(seen, holder);
                let known = self.held.get(moved.get(&key).unwrap_or(&key)).copied();
                held.insert(key, known.unwrap_or(Held { since_unix_ms: at_unix_ms, at_least: at_least(seen) }));
            }
        }
        held
    }
}

impl Look {
    /// Whether a lock that is not in it may be there all the same.
    fn may_hide(&self, lock: &Lock<'_>) -> bool {
        self.is_cut || self.is_unreadable(lock)
    }

    fn is_unreadable(&self, (path, is_semaphore): &Lock<'_>) -> bool {
        self.unreadable.iter().any(|(place, _)| {
            let is_at_or_below = place == "/"
                || path.strip_prefix(place.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            let directory = if *is_semaphore { "/_fairlock_permits" } else { "/_fairlock" };
            is_at_or_below || place.strip_suffix(directory) == Some(path)
        })
    }
}

/// What was seen where nothing may be read any more stays: nobody there was seen to leave.
fn keep_hidden(look: &mut Look, before: &Look) {
    let seen_now = by_lock(look);
    let is_hidden = |seen: &&Seen| !seen_now.contains_key(&lock_of(seen)) && look.is_unreadable(&lock_of(seen));
    let kept: Vec<Seen> = before.locks.iter().filter(is_hidden).cloned().collect();
    if !kept.is_empty() {
        look.locks.extend(kept);
        look.locks.sort_by(|one, two| one.path.cmp(&two.path));
    }
}

/// Puts those together who left with their session.
fn sessions_left(left: Vec<Event>, before: &Look, after: &Look) -> Vec<Event> {
    let count = |look: &Look| {
        let mut nodes = BTreeMap::new();
        for session in look.locks.iter().flat_map(|seen| &seen.members).filter_map(|member| member.session) {
            *nodes.entry(session).or_insert(0) += 1;
        }
        nodes
    };
    let (had, has) = (count(before), count(after));
    let (mut events, mut told) = (Vec::new(), BTreeSet::new());
    for event in left {
        let What::Left { who: Member { session: Some(session), .. }, .. } = &event.what else {
            events.push(event);
            continue;
        };
        let (session, nodes) = (*session, had.get(session).copied().unwrap_or(0));
        if nodes > 1 && !has.contains_key(&session) && told.insert(session) {
            let what = What::SessionLeft { session, nodes };
            events.push(Event { what, path: event.path.clone(), ..event });
        }
        events.push(event);
    }
    events
}

/// One lock at two looks.
struct Pair<'a> {
    before: Option<&'a Seen>,
    after: Option<&'a Seen>,
    lists_waiters: bool,
}

impl<'a> Pair<'a> {
    /// What has happened; and which node a holder has in place of which, if it holds on.
    fn compare(&self, held: &BTreeMap<Key, Held>, moved: &mut BTreeMap<Key, Key>, when: When) -> Vec<What> {
        let members = |seen: Option<&'a Seen>| seen.map_or(&[][..], |seen| &seen.members);
        let (before, after) = (members(self.before), members(self.after));
        let matches = matched(before, after);
        let stay: BTreeSet<_> = matches.iter().flatten().map(|old| node(old)).collect();
        let gone: Vec<_> = before.iter().filter(|old| !stay.contains(&node(old))).collect();
        // Only then was it handed over, and not let in beside somebody, or to what was free.
        let has_waited = |old: Option<&Member>| {
            if self.lists_waiters { old.is_some() } else { self.before.is_some_and(|seen| seen.waiting > 0) }
        };
        let is_handed_over = |old| gone.iter().any(|old| old.holds) && has_waited(old);
        let (mut events, mut waiters_ahead) = (Vec::new(), 0);
        for (new, old) in after.iter().zip(matches) {
            let ahead = waiters_ahead;
            waiters_ahead += usize::from(!new.holds);
            match old {
                Some(old) if old.holds && new.holds => {
                    if old.mode == Mode::Exclusive && new.mode == Mode::Shared {
                        events.push(What::Downgraded { who: new.clone() });
                    }
                    if let (Some(before), Some(after)) = (self.before, self.after)
                        && node(old) != node(new)
                    {
                        moved.insert(key(after, new), key(before, old));
                    }
                }
                Some(_) if !new.holds => {}
                old if new.holds => {
                    let within_ms = is_handed_over(old).then_some(when.since_ms);
                    events.push(What::Granted { who: new.clone(), within_ms });
                }
                _ => events.push(What::Entered { who: new.clone(), ahead }),
            }
        }
        for old in gone {
            let held = self.before.and_then(|seen| held.get(&key(seen, old))).filter(|_| old.holds);
            let held_ms = held.map(|held| when.at_unix_ms.saturating_sub(held.since_unix_ms));
            events.push(What::Left { who: old.clone(), held_ms });
        }
        events.extend(self.numbers());
        events
    }

    fn numbers(&self) -> Vec<What> {
        let mut events = Vec::new();
        let waiting = |seen: Option<&Seen>| seen.map_or(0, |seen| seen.waiting);
        let (from, to) = (waiting(self.before), waiting(self.after));
        if !self.lists_waiters && from != to {
            events.push(What::Waiting { from, to });
        }
        if let (Some(Seen { kind: Kind::Semaphore(from), .. }), Some(Seen { kind: Kind::Semaphore(to), .. })) =
            (self.before, self.after)
            && from != to
        {
            events.push(What::Permits { from: *from, to: *to });
        }
        events
    }
}

/// Who each of those that are there now was before, if it was there.
fn matched<'a>(before: &'a [Member], after: &[Member]) -> Vec<Option<&'a Member>> {
    let nodes: BTreeMap<_, _> = before.iter().map(|old| (node(old), old)).collect();
    let now: BTreeSet<_> = after.iter().map(node).collect();
    let gone = before.iter().filter(|old| !now.contains(&node(old)));
    // Several of one process may have come in the same millisecond; in their order, then.
    let mut contenders: BTreeMap<_, VecDeque<&Member>> = BTreeMap::new();
    for old in gone {
        if let Some(contender) = contender(old) {
            contenders.entry(contender).or_default().push_back(old);
        }
    }
    let mut moved = |new: &Member| contenders.get_mut(&contender(new)?)?.pop_front();
    after.iter().map(|new| nodes.get(&node(new)).copied().or_else(|| moved(new))).collect()
}

#[cfg(test)]
#[path = "changes_tests.rs"]
pub(super) mod tests;
