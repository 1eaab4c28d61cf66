//! The state of the small world: servers, sessions, contenders. Everything is small, and equal states behave alike.

use fairlock::queue::{Event, LeaveForm, Machine, Proof, Sequence};
use fairlock::store::OwnNode;

use crate::tree::{Told, Transaction, Tree};

/// How many sessions there are.
pub const SESSIONS: usize = 2;

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The leader's tree: all transactions are applied.
    pub leader: Tree,
    /// The follower's tree: it lacks what is pending.
    pub follower: Tree,
    /// What the follower has not applied, oldest first.
    pub pending: Vec<Logged>,
    /// The sessions.
    pub sessions: [Session; SESSIONS],
    /// The contenders.
    pub contenders: Vec<Contender>,
    /// How many nodes were ever created.
    pub tokens: u8,
    /// What may still go wrong.
    pub faults: u8,
    /// How many waiters may still give up.
    pub cancels: u8,
    /// How many looks for missed events may still be taken.
    pub ticks: u8,
    /// Whether somebody has deleted nodes or ended a session without regard for its holders.
    pub is_rude: bool,
    /// The highest token granted before the last step.
    pub granted_highest: u8,
    /// The same of those that do not share the lock.
    pub granted_alone_highest: u8,
    /// What the last step did.
    pub note: Option<Note>,
}

/// What a step did that properties look at: it is forgotten with the next step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// A contender was granted.
    Granted {
        /// Who.
        contender: u8,
        /// Why.
        proof: Proof,
        /// On a write by somebody who is not the predecessor's holder.
        forged: bool,
        /// On a difference that was told after a reconnect.
        differs: bool,
        /// After the own node was read.
        is_confirmed: bool,
    },
    /// A contender deleted a node that was not its own, and ought to have known better.
    DeletedAnothers(u8),
    /// A contender asked for a second watch of one kind.
    WatchedTwice(u8),
    /// A contender dropped a write whose outcome matters.
    Abandoned(u8),
    /// A contender ended, or heard that its place or lock is lost, and did not tell its user.
    Untold(u8),
    /// The machine's own assertions failed.
    Panicked(String),
}

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// It has applied everything.
    Leader,
    /// It lags behind.
    Follower,
}

/// A transaction in the log, and who waits for it at the follower.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Logged {
    /// What it does.
    pub transaction: Transaction,
    /// The reply, once the follower has applied it.
    pub reply: Option<Reply>,
}

/// A reply to a request of a session at the follower.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reply {
    /// Whose request it was.
    pub contender: u8,
    /// Which of its requests.
    pub slot: Slot,
    /// What came of it.
    pub event: Event,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// Whether the leader has it.
    pub lives: bool,
    /// Where it is connected.
    pub link: Option<Server>,
    /// The connected server has ended it, and will close the connection.
    pub is_closing: bool,
    /// Whether the client was told that it ended.
    pub has_ended: bool,
    /// Requests made and not answered, oldest first.
    pub requests: Vec<Queued>,
    /// Events that the server has sent and the client has not seen: whose, and of which watch.
    pub events: Vec<(u8, Watched)>,
    /// Writes whose connection was lost before their execution: each may be executed later or never.
    pub ghosts: Vec<Queued>,
    /// How many of the pending transactions it has seen the effects of.
    pub seen: u8,
    /// By its own clock, it may have ended.
    pub has_lapsed: bool,
}

/// A session's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shown {
    /// A server answers.
    Connected,
    /// None answers.
    Suspended,
    /// It is over.
    Ended,
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Queued {
    /// Whose.
    pub contender: u8,
    /// Which of its requests.
    pub slot: Slot,
    /// What is asked.
    pub request: Request,
    /// The leader has executed it, and the follower has not.
    pub is_executed: bool,
    /// The connection has held since it was made.
    pub is_continuous: bool,
    /// When it was made, its contender ought to have known that its own node is gone. See
    /// [`nobody_deletes_anothers_node`](crate::properties::conduct::nobody_deletes_anothers_node).
    pub ought_to_know: bool,
}

/// Which of a contender's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The protocol's one outstanding request.
    Main,
    /// Placing the own node's watch.
    Own,
    /// Removing a surplus node.
    Surplus,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Create a node.
    Enter,
    /// Make the queue.
    MakeQueue,
    /// The write before [`Request::FindOwn`].
    BarrierToRecover,
    /// Find the nodes with the own ticket.
    FindOwn,
    /// List the queue.
    Survey,
    /// List the contenders for permits, and read how many there are.
    SurveyRoom,
    /// The same, and watch both.
    WatchRoom,
    /// Watch a node.
    Watch(Sequence),
    /// Watch this writer's node, and then do [`Request::WatchReader`].
    WatchEither(Sequence),
    /// Watch the node of the reader with this number. Whether the writer's was there is known.
    WatchReader(Sequence),
    /// Look whether a node exists.
    Probe(Sequence),
    /// Look whether the own node is there.
    Confirm(OwnNode),
    /// Watch the own node.
    WatchOwn(OwnNode),
    /// Delete the own node.
    Leave(LeaveForm, OwnNode),
    /// Put a shared node in place of the own one.
    Downgrade(OwnNode),
    /// The write before [`Request::Verify`].
    BarrierToVerify(OwnNode),
    /// Look whether the own node is there.
    Verify(OwnNode),
}

/// Which watch of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watched {
    /// The own node's.
    Own,
    /// The predecessor's.
    Predecessor,
}

/// A watch as the client and its server know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watch {
    /// The watched node's number.
    pub number: u8,
    /// The node that was there.
    pub token: u8,
    /// Its version then.
    pub version: u8,
    /// Whether its name is that of one who shares the lock.
    pub shares: bool,
    /// Whether the contender has taken in that it is placed.
    pub is_known: bool,
    /// Whether the connection has held since it was asked for.
    pub is_continuous: bool,
    /// What it tells, and whether the client has seen that.
    pub told: Option<(Told, Delivery)>,
}

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The server has sent it.
    Sent,
    /// The client has it; whether the connection had held until then.
    Seen {
        /// See [`fairlock::store::WatchEvent::continuous`].
        was_continuous: bool,
    },
}

/// A contender: the shipped machine, and what its driver keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contender {
    /// The shipped machine.
    pub machine: Machine,
    /// Whether it has begun.
    pub has_started: bool,
    /// The answer to the outstanding request, ready to be taken in.
    pub answer: Option<Event>,
    /// The answer to placing the own watch.
    pub own_answer: Option<Event>,
    /// The own node's watch.
    pub own_watch: Option<Watch>,
    /// The predecessor's watch.
    pub predecessor_watch: Option<Watch>,
    /// The own watch is to be asked for a little later.
    pub own_watch_delayed: bool,
    /// The session's state as it was last looked at.
    pub state_seen: Shown,
    /// The connection was interrupted since the last look, and is back: the look may miss that.
    pub state_flipped: bool,
    /// Surplus nodes that are being removed.
    pub surplus: Vec<OwnNode>,
    /// Who listens.
    pub user: User,
    /// The session's validity has lapsed since the lock was handed over.
    pub has_lapsed: bool,
    /// Its node was deleted by hand.
    pub was_robbed: bool,
    /// It has heard of an interruption since then, and has not taken in since that its node is watched.
    pub is_warned: bool,
    /// Its user counts on no more than a share, having asked for a downgrade.
    pub is_content_with_share: bool,
    /// The node of the share that its user gives up for it.
    pub share: Option<OwnNode>,
}

/// Who listens to a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum User {
    /// Waits.
    Waiting,
    /// Waits, and is granted, but the session's validity must be renewed first.
    Granted,
    /// Has a guard.
    Holding,
    /// Has asked for the release.
    Releasing,
    /// Nobody.
    Nobody,
}

impl Contender {
    /// Whether its user may rely on the lock by the user's own clock.
    pub fn is_valid(&self) -> bool {
        self.user == User::Holding && !self.has_lapsed
    }

    /// The token of its node, while it knows it.
    pub fn token(&self) -> Option<u8> {
        self.machine.node().map(token_of)
    }

    /// Whether nothing of it is left to be done.
    pub fn is_done(&self) -> bool {
        self.machine.is_finished() && self.surplus.is_empty()
    }

    /// Whether something about the own node can be seen.
    pub fn has_own_news(&self) -> bool {
        let own_event = self.own_watch.is_some_and(|watch| watch.is_known && watch.is_visible());
        self.own_answer.is_some() || own_event
    }

    /// What a look at the session's state may show before the contender's next step, if anything: the latest that was
    /// published, and publishing may be late.
    pub fn looks(&self, now: Shown) -> &'static [Shown] {
        match (self.state_seen, now) {
            (_, Shown::Ended) => &[],
            (Shown::Connected, Shown::Connected) if self.state_flipped => &[Shown::Suspended, Shown::Connected],
            (Shown::Connected, Shown::Suspended) => &[Shown::Suspended],
            (Shown::Suspended, Shown::Connected) => &[Shown::Connected],
            _ => &[],
        }
    }

    /// The watch of this kind.
    pub fn watch_mut(&mut self, which: Watched) -> &mut Option<Watch> {
        match which {
            Watched::Own => &mut self.own_watch,
            Watched::Predecessor => &mut self.predecessor_watch,
        }
    }
}

impl Watch {
    /// Whether a tree has a node of the watched name.
    pub fn finds(&self, tree: &Tree) -> bool {
        tree.node(self.number).is_some_and(|node| node.shares == self.shares)
    }

    /// Whether the client has the event.
    pub fn is_visible(&self) -> bool {
        matches!(self.told, Some((_, Delivery::Seen { .. })))
    }
}

impl Session {
    /// What the client itself knows.
    pub fn client_state(&self) -> Shown {
        match (self.has_ended, self.link) {
            (true, _) => Shown::Ended,
            (false, Some(_)) => Shown::Connected,
            (false, None) => Shown::Suspended,
        }
    }
}

impl Request {
    /// Whether the leader executes it.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Request::Enter
                | Request::MakeQueue
                | Request::BarrierToRecover
                | Request::BarrierToVerify(_)
                | Request::Leave(..)
                | Request::Downgrade(_)
        )
    }

    /// Whether its execution changes anything.
    pub fn has_effect(self) -> bool {
        matches!(self, Request::Enter | Request::MakeQueue | Request::Leave(..) | Request::Downgrade(_))
    }
}

/// A node's token as the model counts it.
pub fn token_of(node: OwnNode) -> u8 {
    u8::try_from(node.token.as_i64()).expect("the model counts few tokens")
}

/// A node's number as the model counts it.
pub fn number_of(node: OwnNode) -> u8 {
    small(node.sequence)
}

/// A number as the model counts it.
pub fn small(sequence: Sequence) -> u8 {
    u8::try_from(sequence.as_i32()).expect("the model counts few nodes")
}
