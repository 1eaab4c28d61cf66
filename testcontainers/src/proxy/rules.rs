//! What a proxy is to do with each frame: the faults that are set, and what is known of each connection.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::counts::Counts;
use super::log::{Log, What};
use super::wire::{self, FromServer, Operation, SessionKey};

/// How a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    /// In good order: the client reads an end of file.
    Fin,
    /// Hard: the client gets "connection reset".
    Rst,
}

/// One way through the proxy, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the clients to the server.
    ToServer,
    /// From the server to the clients.
    ToClient,
    /// Both ways.
    Both,
}

/// Which requests or replies a trap waits for: an [`Operation`], an operation and the beginning of a path, or an
/// operation and a whole path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    operation: Operation,
    path: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Anywhere,
    Below(String),
    At(String),
}

impl From<Operation> for Which {
    fn from(operation: Operation) -> Self {
        Self { operation, path: Place::Anywhere }
    }
}

impl<P: Into<String>> From<(Operation, P)> for Which {
    fn from((operation, path): (Operation, P)) -> Self {
        Self { operation, path: Place::Below(path.into()) }
    }
}

impl Which {
    /// An operation on exactly this path.
    #[must_use]
    pub fn at(operation: Operation, path: impl Into<String>) -> Self {
        Self { operation, path: Place::At(path.into()) }
    }

    fn fits(&self, operation: Operation, path: Option<&str>) -> bool {
        self.operation == operation
            && match &self.path {
                Place::Anywhere => true,
                Place::Below(start) => path.is_some_and(|path| path.starts_with(start)),
                Place::At(whole) => path == Some(whole),
            }
    }
}

/// What a trap does once.
#[derive(Debug)]
pub(super) enum Action {
    DropRequest(Close),
    DropReply(Close),
    HoldRequest(watch::Receiver<Gate>),
    HoldReply(watch::Receiver<Gate>),
}

impl Action {
    fn is_of_request(&self) -> bool {
        matches!(self, Self::DropRequest(_) | Self::HoldRequest(_))
    }

    fn verdict(self) -> Verdict {
        match self {
            Self::DropRequest(close) | Self::DropReply(close) => Verdict::DropAndClose(close),
            Self::HoldRequest(gate) | Self::HoldReply(gate) => Verdict::PassThrough(gate),
        }
    }
}

/// What holds a frame back, with everything behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Shut,
    Open,
    /// What is held passes, and the connection is closed behind it.
    CloseBehind(Close),
    /// What is held is lost, and the connection is closed.
    Lose(Close),
}

#[derive(Debug)]
pub(super) struct Armed {
    pub(super) number: u64,
    pub(super) which: Which,
    pub(super) action: Action,
    pub(super) sprung: watch::Sender<bool>,
}

/// What is written to a socket, in this order.
#[derive(Debug)]
pub(super) enum Item {
    /// Not before the instant, if there is one.
    Bytes(Option<Instant>, Vec<u8>),
    /// Nothing more while this is shut.
    Gate(watch::Receiver<Gate>),
    /// The other side has ended its direction.
    End(Option<Instant>),
    /// Close the whole connection.
    Close(Close),
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) to_client: mpsc::UnboundedSender<Item>,
    pub(super) close: watch::Sender<Option<Close>>,
    held_events: Vec<Vec<u8>>,
    /// Requests that wait for their reply, in order.
    outstanding: VecDeque<wire::Request>,
    last_zxid: i64,
    client_shook: bool,
    server_shook: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) delay: Duration,
    pub(super) refuse: bool,
    /// New connections wait, and do not reach the server.
    pub(super) hold_connections: bool,
    /// The ends of connections do not reach the clients: a session is being ended.
    pub(super) hold_ends: bool,
    /// The one that a server has granted or resumed last.
    pub(super) session: Option<SessionKey>,
    pub(super) swallow_to_server: bool,
    pub(super) swallow_to_client: bool,
    pub(super) only_pings: bool,
    pub(super) hold_events: bool,
    pub(super) repeat_events: bool,
    pub(super) armed: Vec<Armed>,
    pub(super) links: HashMap<u64, Link>,
    pub(super) counts: Counts,
    pub(super) log: Log,
    connections: u64,
    traps: u64,
}

/// What becomes of a frame.
#[derive(Debug)]
pub(super) enum Verdict {
    Pass,
    Twice,
    /// It is lost, or kept elsewhere.
    Keep,
    /// It is lost, and this goes to the client instead.
    Answer(Vec<u8>),
    DropAndClose(Close),
    /// It passes, and everything behind it, when the gate opens.
    PassThrough(watch::Receiver<Gate>),
}

impl State {
    pub(super) fn arm(&mut self, which: Which, action: Action, sprung: watch::Sender<bool>) -> u64 {
        self.traps += 1;
        self.armed.push(Armed { number: self.traps, which, action, sprung });
        self.traps
    }

    pub(super) fn open(&mut self, to_client: mpsc::UnboundedSender<Item>, close: watch::Sender<Option<Close>>) -> u64 {
        self.connections += 1;
        let id = self.connections;
        let link = Link {
            to_client,
            close,
            held_events: Vec::new(),
            outstanding: VecDeque::new(),
            last_zxid: 0,
            client_shook: false,
            server_shook: false,
        };
        self.links.insert(id, link);
        self.log.add(id, What::Opened);
        id
    }

    pub(super) fn closed(&mut self, id: u64) {
        if self.links.remove(&id).is_some() {
            self.log.add(id, What::Closed);
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        (!self.delay.is_zero()).then(|| Instant::now() + self.delay)
    }

    /// Whether the ends of connections in this direction are held back, as frames are.
    pub(super) fn holds_end(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.swallow_to_server || self.only_pings,
            Direction::ToClient => self.swallow_to_client || self.only_pings || self.hold_ends,
            Direction::Both => false,
        }
    }

    pub(super) fn raw(&mut self, direction: Direction, bytes: usize) -> Verdict {
        let swallow = if direction == Direction::ToServer {
            self.counts.add_bytes_to_server(bytes);
            self.swallow_to_server || self.only_pings
        } else {
            self.counts.add_bytes_to_client(bytes);
            self.swallow_to_client
        };
        if swallow { Verdict::Keep } else { Verdict::Pass }
    }

    /// Judges a frame, which is given with its length field.
    pub(super) fn judge_client(&mut self, id: u64, frame: &[u8]) -> Verdict {
        self.counts.add_bytes_to_server(frame.len());
        let Some(link) = self.links.get_mut(&id) else { return Verdict::Keep };
        let swallow = self.swallow_to_server || self.only_pings;
        if !std::mem::replace(&mut link.client_shook, true) {
            return if swallow { Verdict::Keep } else { self.spring(true, Operation::CreateSession, None) };
        }
        let Some(request) = wire::request(frame.get(4..).unwrap_or_default()) else {
            return if swallow { Verdict::Keep } else { Verdict::Pass };
        };
        let operation = request.operation;
        self.counts.add_request(operation);
        self.log.add(id, What::Request { operation, path: request.path.clone() });
        if self.only_pings && operation == Operation::Ping {
            return Verdict::Answer(wire::answer_to_ping(link.last_zxid));
        }
        if swallow {
            return Verdict::Keep;
        }
        let path = request.path.clone();
        link.outstanding.push_back(request);
        self.spring(true, operation, path.as_deref())
    }

    /// Springs the first trap that is set for such a request or reply.
    fn spring(&mut self, is_request: bool, operation: Operation, path: Option<&str>) -> Verdict {
        let trap = self
            .armed
            .iter()
            .position(|trap| trap.action.is_of_request() == is_request && trap.which.fits(operation, path));
        let Some(Armed { action, sprung, .. }) = trap.map(|at| self.armed.remove(at)) else { return Verdict::Pass };
        sprung.send_replace(true);
        action.verdict()
    }

    /// Judges a frame, which is given with its length field.
    pub(super) fn judge_server(&mut self, id: u64, frame: &[u8]) -> Verdict {
        self.counts.add_bytes_to_client(frame.len());
        let Some(link) = self.links.get_mut(&id) else { return Verdict::Keep };
        let pass = if self.swallow_to_client { Verdict::Keep } else { Verdict::Pass };
        if !std::mem::replace(&mut link.server_shook, true) {
            if let Some(session) = wire::session(frame.get(4..).unwrap_or_default()) {
                self.session = Some(session);
            }
            return if self.swallow_to_client { pass } else { self.spring(false, Operation::CreateSession, None) };
        }
        match wire::from_server(frame.get(4..).unwrap_or_default()) {
            None => pass,
            Some(FromServer::Event { kind, path }) => {
                self.counts.add_event(kind);
                self.log.add(id, What::Event { kind, path });
                if self.swallow_to_client {
                    Verdict::Keep
                } else if self.hold_events {
                    link.held_events.push(frame.to_vec());
                    Verdict::Keep
                } else if self.repeat_events {
                    Verdict::Twice
                } else {
                    Verdict::Pass
                }
            }
            Some(FromServer::Reply { xid, zxid, err }) => {
                link.last_zxid = link.last_zxid.max(zxid);
                let request = link.outstanding.iter().position(|request| request.xid == xid);
                let request = request.and_then(|at| link.outstanding.remove(at));
                let (operation, path) =
                    request.map_or((Operation::Other(0), None), |request| (request.operation, request.path));
                self.counts.add_reply(operation);
                self.log.add(id, What::Reply { operation, err });
                if self.swallow_to_client {
                    return Verdict::Keep;
                }
                self.spring(false, operation, path.as_deref())
            }
        }
    }

    /// Delivers what was held, in order, and ahead of everything that comes later.
    pub(super) fn release_events(&mut self) {
        self.hold_events = false;
        let due = self.due();
        for link in self.links.values_mut() {
            for event in link.held_events.drain(..) {
                // A connection that is just ending takes no more.
                let _ = link.to_client.send(Item::Bytes(due, event));
            }
        }
    }
}

/// The state, and a signal for whoever waits for it to change.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Looks without changing anything, so that nobody is woken.
    pub(super) fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let outcome = change(&mut self.look());
        self.changed.send_replace(());
        outcome
    }

    pub(super) async fn wait_until(&self, mut met: impl FnMut(&State) -> bool) {
        let mut changed = self.changed.subscribe();
        while !met(&self.look()) {
            // The sender lives as long as self.
            let _ = changed.changed().await;
        }
    }
}
