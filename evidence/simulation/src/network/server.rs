//! What the servers do with a request, and what of it the properties speak of.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use fairlock::QueuePath;
use fairlock::queue::Mode;
use fairlock::store::{Change, Departure, Operation, OwnNode, Session, SessionId, WatchEvent, Watched};
use tokio::sync::oneshot;
use tokio::task;

use super::call::{Answer, Call, CallKind, Reply, Request, Watching};
use super::link::{Item, SimWatch};
use super::{World, at_once};
use crate::book::{DATA_FOLDER, Node};
use crate::facts::{Fact, Lock, Remover, Token};
use crate::leading::RECORD_PATH;
use crate::plan::{FaultKind, Sabotage};
use crate::trace::Step;

/// Tells which watch has fired, at the moment it fires.
struct Fired {
    session: SessionId,
    watch: u64,
    list: Arc<Mutex<Vec<(SessionId, u64)>>>,
}

impl Wake for Fired {
    fn wake(self: Arc<Self>) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push((self.session, self.watch));
    }
}

/// Whether a path is that of a node of one who shares the lock.
fn is_of_a_reader(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with(&*Mode::Shared.prefix()))
}

/// How many permits a directory's data say that there are.
fn permits_of(data: &[u8]) -> u32 {
    let text = std::str::from_utf8(data).expect("text");
    let number = text.strip_prefix(r#"{"permits":"#).and_then(|rest| rest.split(',').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number of permits: {text}"))
}

/// Whom a change of a node has woken, besides its owner.
struct Told {
    path: String,
    alone: usize,
    sharing: usize,
}

impl Told {
    fn new(path: String, shares: bool) -> Self {
        let mut told = Self { path, alone: 0, sharing: 0 };
        told.add(shares);
        told
    }

    fn add(&mut self, shares: bool) {
        if shares { self.sharing += 1 } else { self.alone += 1 }
    }

    /// Those who share a lock all wait for the same writer, and count as one; for a reader none of them waits.
    fn others(&self) -> usize {
        self.alone + if is_of_a_reader(&self.path) { 2 * self.sharing } else { self.sharing.min(1) }
    }
}

/// What is known of a task that has entered a queue.
#[derive(Debug, Default)]
pub(super) struct Attempted {
    /// Whether it shares the lock.
    shares: bool,
    /// When an operator last deleted a node of it.
    robbed_at: Option<u64>,
}

impl World {
    pub(super) fn execute(&mut self, id: SessionId, request: &Request) -> Reply {
        let session = self.links[&id].memory.clone();
        match request.call.kind() {
            CallKind::Survey => self.judge.stats.surveys += 1,
            CallKind::FindOwn => self.judge.stats.recoveries += 1,
            _ => {}
        }
        let reply = match &request.call {
            Call::Enter { queue, mode, ticket } => self.enter(&*session, queue, *mode, ticket, request.sender),
            Call::MakeQueue { queue } => self.make_queue(&*session, queue),
            Call::Survey { queue } => at_once(session.survey(queue)).map(|mut names| {
                let lacks = self.plan.sabotage == Some(Sabotage::SurveyLacksOne) && self.rng.u8(..10) == 0;
                if lacks && names.len() > 1 {
                    names.sort();
                    names.remove(0);
                }
                Answer::Names(names)
            }),
            Call::FindOwn { queue, ticket } => at_once(session.find_own(queue, ticket)).map(Answer::Own),
            Call::Inspect { queue, name } => at_once(session.inspect(queue, name)).map(Answer::Node),
            Call::Watch { queue, name, asker } => match at_once(session.watch(queue, name)) {
                Ok(None) => Ok(Answer::Watched(None)),
                Ok(Some(watched)) => Ok(self.watch(id, request.sender, queue.join(name), asker.clone(), watched)),
                Err(error) => Err(error),
            },
            Call::WatchMembers { queue, asker } => at_once(session.watch_members(queue)).map(|watched| {
                let event = self.watch_unspecific(id, queue.to_string(), asker.clone(), watched.event);
                Answer::WatchedMembers(watched.names, event)
            }),
            Call::Leave { queue, name, departure } => {
                let node = self.book.node_at(queue.as_str(), name);
                if let (Some((lock, token)), Departure::Release) = (node, departure) {
                    self.delete_the_next(lock, token);
                }
                at_once(session.leave(queue, name, *departure)).map(|()| {
                    if let Some((lock, token)) = node {
                        self.removed(lock, token, Remover::Session(id.0), Some(request));
                    }
                    Answer::Done
                })
            }
            Call::Replace { queue, old, mode, ticket } => {
                let node = self.book.node_at(queue.as_str(), &old.node_name());
                at_once(session.replace(queue, *old, *mode, ticket)).map(|new| {
                    if let Some((lock, token)) = node {
                        self.replaced(lock, token, new, id, request);
                    }
                    Answer::Replaced(new)
                })
            }
            Call::Children { path } => at_once(session.children(path.as_ref())).map(Answer::Names),
            Call::WriteBarrier => at_once(session.write_barrier()).map(|()| Answer::Done),
            Call::Touch => at_once(session.touch()).map(|()| Answer::Done),
            Call::Commit { own, operations } => self.commit(&*session, own, operations),
            Call::ReadValue { path } => at_once(session.read_value(path)).map(Answer::Value),
            Call::WatchValue { path, asker } => at_once(session.watch_value(path)).map(|mut watched| {
                // Of a look that was dropped nobody is told, whenever it is executed.
                if path.as_str() == RECORD_PATH && asker.strong_count() > 0 {
                    self.looked(id, request.sender, &mut watched.value);
                }
                let event = self.watch_unspecific(id, path.to_string(), asker.clone(), watched.event);
                Answer::WatchedValue(watched.value, event)
            }),
            Call::WriteValue { path, data, expected } => {
                let written = at_once(session.write_value(path, data, *expected));
                if let (Ok(_), Some((_, room))) = (&written, self.book.semaphore())
                    && self.book.path(room).as_str() == path.as_str()
                {
                    self.book.permits_changed(room, permits_of(data));
                }
                if written.is_ok() && path.as_str() == RECORD_PATH {
                    self.recorded(None, data);
                }
                written.map(Answer::Version)
            }
        };
        self.collect_fired();
        reply
    }

    fn enter(
        &mut self,
        session: &dyn Session,
        queue: &QueuePath,
        mode: Mode,
        ticket: &[u8],
        attempt: Option<task::Id>,
    ) -> Reply {
        if let Some(attempt) = attempt {
            self.attempts.entry(attempt).or_default().shares = mode == Mode::Shared;
        }
        let entered = at_once(session.enter(queue, mode, ticket))?;
        let id = session.id();
        let (token, number) = (entered.token.as_i64(), entered.sequence.as_i32());
        if let Some(lock) = self.book.lock_of(queue.as_str()) {
            self.book.created(lock, token, Node { number, session: id, mode, attempt });
            self.observe(Fact::Created { lock, token, number, session: id.0 });
        }
        Ok(Answer::Entered(entered))
    }

    fn make_queue(&mut self, session: &dyn Session, queue: &QueuePath) -> Reply {
        let is_new = self.memory.data(queue.as_str()).is_none();
        at_once(session.make_queue(queue))?;
        if let Some(first) = self.plan.first_number.filter(|_| is_new) {
            self.memory.set_next_sequence(queue, first);
        }
        Ok(Answer::Done)
    }

    fn watch(
        &mut self,
        id: SessionId,
        attempt: Option<task::Id>,
        path: String,
        asker: Weak<()>,
        watched: Watched,
    ) -> Answer {
        // An observer of the election has never entered; it is no contender, whosever the session is.
        let attempt = attempt.filter(|attempt| self.attempts.contains_key(attempt));
        let is_own = attempt.is_some() && watched.node.owner == Some(id);
        let event = self.place(id, attempt, path.clone(), is_own, asker, watched.event);
        let link = self.links.get_mut(&id).expect("links stay");
        // Of those who share a lock, many may wait for the same writer.
        let of_a_reader = is_of_a_reader(&path);
        let shares = |watch: &&SimWatch| watch.attempt.is_some_and(|attempt| self.attempts[&attempt].shares);
        let is_on_it = |watch: &&SimWatch| watch.attempt.is_some() && watch.fired.is_none() && watch.path == path;
        let on_it = || link.watches.values().filter(is_on_it);
        let sharing = on_it().filter(&shares).count();
        let watches =
            on_it().filter(|watch| !shares(watch)).count() + if of_a_reader { sharing } else { sharing.min(1) };
        let lock = path.rsplit_once('/').and_then(|(queue, _)| self.book.lock_of(queue));
        if let (Some(lock), Some(_)) = (lock, attempt) {
            let tampered = self.book.is_tampered(lock);
            self.observe(Fact::Watching { session: id.0, lock, watches, is_own, tampered });
        }
        let escapes_first_look = is_own && self.rng.bool();
        Answer::Watched(Some(Watching { node: watched.node, event, escapes_first_look }))
    }

    /// Watches for a change that is not told in particular.
    fn watch_unspecific(
        &mut self,
        id: SessionId,
        path: String,
        asker: Weak<()>,
        event: Pin<Box<dyn Future<Output = ()> + Send>>,
    ) -> oneshot::Receiver<Change> {
        // What has changed is for whoever is told to find out.
        let event = Box::pin(async move {
            event.await;
            WatchEvent { change: Change::Written, continuous: false }
        });
        self.place(id, None, path, false, asker, event)
    }

    fn place(
        &mut self,
        id: SessionId,
        attempt: Option<task::Id>,
        path: String,
        is_own: bool,
        asker: Weak<()>,
        event: Pin<Box<dyn Future<Output = WatchEvent> + Send>>,
    ) -> oneshot::Receiver<Change> {
        self.watches_placed += 1;
        let number = self.watches_placed;
        let (told, receiver) = oneshot::channel();
        let mut watch = SimWatch { path, is_own, attempt, asker, event, told, fired: None };
        let waker = Waker::from(Arc::new(Fired { session: id, watch: number, list: self.fired.clone() }));
        let is_pending = watch.event.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
        assert!(is_pending, "a new watch has not fired");
        let link = self.links.get_mut(&id).expect("links stay");
        link.watches.retain(|_, watch| watch.is_wanted());
        link.watches.insert(number, watch);
        receiver
    }

    pub(super) fn committed(&mut self, own: &str, operations: &[Operation]) -> Answer {
        let node = own.rsplit_once('/').and_then(|(queue, name)| self.book.node_at(queue, name));
        for operation in operations {
            let Operation::SetData { path, data, .. } = operation else { continue };
            if path == RECORD_PATH {
                self.recorded(node, data);
            }
            let token = std::str::from_utf8(data).ok().and_then(|data| data.parse::<Token>().ok());
            if let (Some((lock, node)), Some(token), true) = (node, token, path.starts_with(DATA_FOLDER)) {
                self.observe(Fact::Committed { lock, token, node });
            }
        }
        Answer::Done
    }

    /// A node has come in the place of another: a shared one in that of the same attempt's exclusive one, if all is well.
    fn replaced(&mut self, lock: Lock, token: Token, new: OwnNode, id: SessionId, request: &Request) {
        let attempt = request.sender;
        if self.book.attempt_of(lock, token) == attempt {
            return self.book.downgraded(lock, token);
        }
        // By its name, another's was replaced.
        self.removed(lock, token, Remover::Session(id.0), Some(request));
        let (token, number) = (new.token.as_i64(), new.sequence.as_i32());
        self.book.created(lock, token, Node { number, session: id, mode: new.sequence.mode(), attempt });
        self.observe(Fact::Created { lock, token, number, session: id.0 });
    }

    /// A contender's node was deleted, perhaps at a session's request.
    pub(super) fn removed(&mut self, lock: Lock, token: Token, by: Remover, request: Option<&Request>) {
        let guard = self.book.standing(lock, token);
        let Some(node) = self.book.removed(lock, token) else { return };
        if by == Remover::Operator {
            self.book.rob(lock, token);
        }
        if by == Remover::Operator
            && let Some(attempt) = node.attempt
        {
            let now = self.now();
            self.attempts.entry(attempt).or_default().robbed_at = Some(now);
        }
        // A surplus node is deleted by a task that never entered.
        let sender = request.and_then(|request| request.sender).filter(|sender| self.attempts.contains_key(sender));
        let by_another = matches!(by, Remover::Session(id) if id != node.session.0)
            || sender.is_some_and(|sender| Some(sender) != node.attempt);
        let meddled_with = request.is_some_and(|request| {
            let deleted_at = sender.and_then(|sender| self.attempts[&sender].robbed_at);
            self.book.was_removed_since(lock, request.connected_at)
                || deleted_at.is_some_and(|at| at >= request.connected_at)
        });
        self.observe(Fact::Removed { lock, token, owner: node.session.0, by, guard, meddled_with, by_another });
        self.reconsider();
    }

    /// Sends the events of watches that have fired, in that order.
    pub(super) fn collect_fired(&mut self) {
        let fired = std::mem::take(&mut *self.fired.lock().unwrap_or_else(PoisonError::into_inner));
        // How many of others than the owner each change has woken.
        let mut told: Vec<Told> = Vec::new();
        for (id, number) in fired {
            let link = self.links.get_mut(&id).expect("links stay");
            let Some(watch) = link.watches.get_mut(&number) else { continue };
            let Poll::Ready(event) = watch.event.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                continue;
            };
            if event.change == Change::SessionEnded {
                continue;
            }
            let path = watch.path.clone();
            let is_in_queue = path.rsplit_once('/').is_some_and(|(queue, _)| self.book.lock_of(queue).is_some());
            watch.fired = Some(event.change);
            let (is_own, is_heard) = (watch.is_own, watch.is_wanted());
            let is_of_contender = watch.attempt.is_some();
            let shares = watch.attempt.is_some_and(|attempt| self.attempts[&attempt].shares);
            let is_served = link.is_served();
            if is_heard && !is_own && is_of_contender {
                match told.iter_mut().find(|known| known.path == path) {
                    Some(known) => known.add(shares),
                    None => told.push(Told::new(path, shares)),
                }
            }
            if self.sabotages(id, number, is_own) || !is_served {
                continue;
            }
            if !is_own && is_in_queue && self.draws(FaultKind::Withheld, 50) {
                continue;
            }
            self.push_down(id, Item::Event(number));
        }
        for told in told {
            let others = told.others();
            let Some(lock) = told.path.rsplit_once('/').and_then(|(queue, _)| self.book.lock_of(queue)) else {
                continue;
            };
            let tampered = self.book.is_tampered(lock);
            self.observe(Fact::Told { lock, others, tampered });
        }
    }

    /// Falsifies an event, where that is this history's control; true if it is not to be told at all.
    fn sabotages(&mut self, id: SessionId, number: u64, is_own: bool) -> bool {
        let Some(watch) = self.links.get_mut(&id).and_then(|link| link.watches.get_mut(&number)) else { return false };
        match self.plan.sabotage {
            Some(Sabotage::DeletionToldAsWrite) if !is_own => {
                watch.fired = Some(Change::Written);
                false
            }
            Some(Sabotage::OwnDeletionForgotten) if is_own => {
                watch.fired = None;
                true
            }
            Some(Sabotage::RecordChangeForgotten) if watch.path == RECORD_PATH => {
                watch.fired = None;
                true
            }
            _ => false,
        }
    }

    /// An operator deletes the node of whoever is next just before its predecessor releases: both are told at once.
    fn delete_the_next(&mut self, lock: Lock, token: Token) {
        if let Some(next) = self.book.successor(lock, token)
            && self.draws(FaultKind::NodeDeleted, 10)
        {
            self.operator_deletes(lock, next);
        }
    }

    /// An operator deletes a contender's node.
    pub(super) fn operator_deletes(&mut self, lock: Lock, token: Token) {
        let Some(sequence) = self.book.sequence_of(lock, token) else { return };
        let path = self.book.path(lock).join(&sequence.node_name());
        self.note(Step::Operator { action: "deletes a node", lock });
        self.book.tamper(lock);
        self.removed(lock, token, Remover::Operator, None);
        self.memory.delete_all(&path);
        self.collect_fired();
    }
}
