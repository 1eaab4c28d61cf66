//! What is fixed in one run of the checker: who contends, what may go wrong, and which step of the driver is left out
//! on purpose.

use std::num::NonZeroU32;

use fairlock::LossReason;
use fairlock::queue::{Event, Limits, Machine, Mode, Patience, Sequence};

use crate::state::{Contender, SESSIONS, Server, Session, Shown, State, User};
use crate::step::{Act, Step};
use crate::tree::{Node, Transaction, Tree};

/// A small world.
#[derive(Clone, Debug)]
pub struct World {
    /// What to call it.
    pub name: &'static str,
    /// The contenders.
    pub contenders: Vec<Setup>,
    /// How many permits there are, where contenders want permits; else none.
    pub permits: u8,
    /// How many there are after somebody has changed that.
    pub permits_after: u8,
    /// Where each session is connected at first, for each beginning.
    pub beginnings: Vec<[Server; SESSIONS]>,
    /// Whether the queue exists at first.
    pub queue_exists: bool,
    /// Whether the first contender has two nodes at first, and looks for them, having got no reply. No store that keeps
    /// its promises gets there; the machine is ready for it all the same.
    pub has_surplus: bool,
    /// Whether it begins once all that begin at once have come to rest: one holds, the others wait. What may go wrong
    /// before is left to other worlds.
    pub is_settled: bool,
    /// When numbers are near their end.
    pub limits: Limits,
    /// How many faults there are in a history.
    pub faults: u8,
    /// Which faults there are.
    pub kinds: Faults,
    /// How many waiters may give up.
    pub cancels: u8,
    /// How many times a waiter looks for missed events.
    pub ticks: u8,
    /// How the driver and the store behave.
    pub driver: Driver,
    /// Whether a grant on a write by a stranger is left out, as docs/PROTOCOL.md says: "Operators can defeat the third
    /// proof by writing to a queue's node by hand while its holder lives."
    pub excuses_forgery: bool,
    /// Whether only one order of independent steps is visited.
    pub reduces: bool,
    /// Whether every state is drained, to see that all ends well. Slow.
    pub drains: bool,
}

/// A contender of a world.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Its session.
    pub session: u8,
    /// Whether it waits.
    pub patience: Patience,
    /// Whether it begins at some time of its own, or at once: its request may still be executed late.
    pub starts_late: bool,
    /// Whether it shares the lock.
    pub shares: bool,
    /// Whether it takes into account that the one ahead may share the lock, as the writer of a read-write lock does.
    pub expects_readers: bool,
    /// How many permits it wants, in a world of permits.
    pub permits: u8,
    /// Whether it may become one who shares the lock, or gives up another's share for the lock.
    pub converts: Converts,
}

/// Whether and how a contender is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Converts {
    /// It is not.
    Never,
    /// Once it holds the lock alone, it may share it.
    Downgrades,
    /// It wants the lock alone for the user of this contender, who has a share.
    Upgrades(u8),
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// A session's connection is lost, with what is on its way.
    pub disconnect: bool,
    /// A session that is cut off for long ends.
    pub time_out: bool,
    /// The servers end a session without regard for its holders.
    pub expire: bool,
    /// A connected session hears no answers until its validity lapses.
    pub lapse: bool,
    /// An operator deletes a node.
    pub delete: bool,
    /// An operator deletes the queue with all nodes.
    pub delete_all: bool,
    /// The server removes the empty queue.
    pub reap: bool,
    /// A stranger writes to a node.
    pub write: bool,
    /// A session may find a server that lags behind.
    pub lag: bool,
    /// Somebody changes the number of permits.
    pub resize: bool,
}

/// The steps of the driver and the store that matter. Each can be left out, to see that the checker notices.
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    /// A lost reply to entering is looked for only after a write.
    pub barrier_before_recover: bool,
    /// A lost reply to leaving is looked for only after a write.
    pub barrier_before_verify: bool,
    /// A node found by its name is compared with the own session and token.
    pub compares_identity: bool,
    /// News of the own node come before the baton and before answers.
    pub own_news_first: bool,
    /// An event over an interrupted connection is marked as such.
    pub tells_interruptions: bool,
    /// A node is not deleted by name over a reconnect.
    pub leaves_only_connected: bool,
    /// A lost reply is told as unknown, not as a refusal.
    pub unknown_is_unknown: bool,
    /// A surplus node is removed.
    pub removes_surplus: bool,
    /// A watch of the own node is placed when the machine asks for it.
    pub places_own_watch: bool,
    /// A lock granted to a session that has lapsed is handed over only after the session was renewed.
    pub renews_before_hand_over: bool,
    /// The servers end a session that is cut off only after its validity has lapsed by its own clock.
    pub servers_wait: bool,
    /// A release is told as one write.
    pub release_is_told: bool,
    /// Watches tell after a reconnect what has changed.
    pub restores_watches: bool,
}

impl Faults {
    /// None.
    pub const NONE: Self = Self {
        disconnect: false,
        time_out: false,
        expire: false,
        lapse: false,
        delete: false,
        delete_all: false,
        reap: false,
        write: false,
        lag: false,
        resize: false,
    };
    /// All.
    pub const ALL: Self = Self {
        disconnect: true,
        time_out: true,
        expire: true,
        lapse: true,
        delete: true,
        delete_all: true,
        reap: true,
        write: true,
        lag: true,
        resize: true,
    };
}

impl Driver {
    /// As shipped.
    pub const SHIPPED: Self = Self {
        barrier_before_recover: true,
        barrier_before_verify: true,
        compares_identity: true,
        own_news_first: true,
        tells_interruptions: true,
        leaves_only_connected: true,
        unknown_is_unknown: true,
        removes_surplus: true,
        places_own_watch: true,
        renews_before_hand_over: true,
        servers_wait: true,
        release_is_told: true,
        restores_watches: true,
    };
}

impl World {
    /// The states it may begin with.
    pub fn beginnings(&self) -> Vec<State> {
        self.beginnings.iter().map(|links| self.beginning(links)).collect()
    }

    fn beginning(&self, links: &[Server; SESSIONS]) -> State {
        let tree = Tree { exists: self.queue_exists, permits: self.permits, ..Tree::default() };
        let mut state = State {
            leader: tree.clone(),
            follower: tree,
            pending: vec![],
            sessions: links.map(Session::connected),
            contenders: self
                .contenders
                .iter()
                .map(|setup| Machine::new(setup.patience, self.limits).expecting_readers(setup.expects_readers))
                .map(Contender::new)
                .collect(),
            tokens: 0,
            faults: self.faults,
            cancels: self.cancels,
            ticks: self.ticks,
            is_rude: false,
            granted_highest: 0,
            granted_alone_highest: 0,
            note: None,
        };
        for (contender, setup) in self.contenders.iter().enumerate() {
            if !setup.starts_late {
                self.start(&mut state, contender);
            }
        }
        if self.has_surplus {
            self.enter_twice(&mut state);
        }
        if self.is_settled { self.settle(state) } else { state }
    }

    fn settle(&self, mut state: State) -> State {
        let is_of_rest = |step: &Step| matches!(step, Step::Start(_) | Step::Act(_, _, Act::Release));
        loop {
            let mut steps = Vec::new();
            self.steps(&state, &mut steps);
            let next = steps.into_iter().find(|step| step.is_progress() && !is_of_rest(step));
            let Some(next) = next else { return state };
            state = self.step(&state, next);
        }
    }

    fn enter_twice(&self, state: &mut State) {
        let session = self.session_of(0);
        state.sessions[session].requests.retain(|queued| queued.contender != 0);
        for number in 0..2 {
            state.tokens += 1;
            let node = Node {
                number,
                token: state.tokens,
                session: self.contenders[0].session,
                ticket: 0,
                version: 0,
                shares: false,
            };
            state.leader.apply(Transaction::Create(node), |_, _| {});
        }
        state.follower = state.leader.clone();
        self.handle(state, 0, Event::Unknown);
    }

    /// The session of a contender.
    pub fn session_of(&self, contender: usize) -> usize {
        usize::from(self.contenders[contender].session)
    }

    /// The number of a node with its mode, as its name tells both.
    pub(crate) fn sequence_of(&self, node: &Node) -> Sequence {
        let setup = &self.contenders[usize::from(node.ticket)];
        let mode = match NonZeroU32::new(setup.permits.into()) {
            Some(permits) => Mode::Permits(permits),
            None if node.shares => Mode::Shared,
            None => Mode::Exclusive,
        };
        Sequence::new(node.number.into(), mode)
    }

    /// Whether a contender shares the lock when it enters.
    pub fn shares(&self, contender: usize) -> bool {
        self.contenders[contender].shares
    }

    /// Whether two contenders cannot hold the lock together.
    pub fn exclude_each_other(&self, state: &State, one: usize, other: usize) -> bool {
        let shares = |contender: usize| self.shares(contender) || state.contenders[contender].is_content_with_share;
        self.are_rivals(one, other) && !(shares(one) && shares(other))
    }

    /// Whether two are not one user's share and the lock that it is given up for.
    pub fn are_rivals(&self, one: usize, other: usize) -> bool {
        let is_for = |one: usize, other: usize| self.share_of(one) == Some(other);
        one != other && self.permits == 0 && !is_for(one, other) && !is_for(other, one)
    }

    /// The contender whose share is given up for this one.
    pub fn share_of(&self, contender: usize) -> Option<usize> {
        match self.contenders[contender].converts {
            Converts::Upgrades(share) => Some(share.into()),
            Converts::Never | Converts::Downgrades => None,
        }
    }

    /// The contender that this one's share is given up for.
    pub fn upgrade_of(&self, share: usize) -> Option<usize> {
        (0..self.contenders.len()).find(|&contender| self.share_of(contender) == Some(share))
    }

    /// How many permits these contenders want, together.
    pub fn permits_of(&self, contenders: impl Iterator<Item = usize>) -> u8 {
        contenders.map(|contender| self.contenders[contender].permits).sum()
    }

    /// More permits than there ever are. In a world of locks nobody wants any.
    pub fn permits_max(&self) -> u8 {
        self.permits.max(self.permits_after)
    }

    /// The contenders of a session.
    pub fn members(&self, session: usize) -> impl Iterator<Item = usize> {
        (0..self.contenders.len()).filter(move |&contender| self.session_of(contender) == session)
    }
}

impl Session {
    /// A new session.
    pub(crate) fn connected(server: Server) -> Self {
        Self {
            lives: true,
            link: Some(server),
            is_closing: false,
            has_ended: false,
            requests: vec![],
            events: vec![],
            ghosts: vec![],
            seen: 0,
            has_lapsed: false,
        }
    }
}

impl Contender {
    /// One that has ended, and whose user was told so.
    pub(crate) fn ended() -> Self {
        let mut machine = Machine::new(Patience::Wait, Limits::default());
        let _actions = machine.handle(Event::SessionEnded(LossReason::Closed));
        Self { has_started: true, user: User::Nobody, ..Self::new(machine) }
    }

    fn new(machine: Machine) -> Self {
        Self {
            machine,
            has_started: false,
            answer: None,
            own_answer: None,
            own_watch: None,
            predecessor_watch: None,
            own_watch_delayed: false,
            state_seen: Shown::Connected,
            state_flipped: false,
            surplus: vec![],
            user: User::Waiting,
            has_lapsed: false,
            was_robbed: false,
            is_warned: false,
            is_content_with_share: false,
            share: None,
        }
    }
}
