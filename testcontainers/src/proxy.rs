//! A TCP proxy that understands ZooKeeper's frames: it counts them, and makes links slow, lossy or dead.

mod counts;
mod link;
mod log;
mod rules;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use counts::Counts;
pub use log::{Entry, LOG_LENGTH, What};
pub use rules::{Close, Direction, Which};
pub use wire::{EventKind, Operation};

use crate::error::Error;
use rules::{Action, Gate, Shared};

/// A proxy in front of one server. It accepts many connections, and each fault applies to all of them.
///
/// Faults work at once and do not depend on each other. Bytes that are no frames, such as four-letter words, pass as
/// they are. Dropping the proxy closes its listener and its connections.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: Arc<str>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes connections on to the server. Whether the server can be reached
    /// shows only with a connection: it is reset if not.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    pub async fn start(server: impl Into<String>) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::io("open the proxy's socket"))?;
        let address = listener.local_addr().map_err(Error::io("open the proxy's socket"))?;
        let shared = Arc::new(Shared::new());
        let server: Arc<str> = Arc::from(server.into());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), Arc::clone(&server)));
        Ok(Self { shared, address, server, accepting })
    }

    /// Where clients connect: `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Delays everything by this much each way, zero for not at all. It is a latency, not a bandwidth: frames that
    /// arrive together leave together, in order. Timers make it up to a millisecond longer.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.change(|state| state.delay = delay);
    }

    /// Closes all present connections at both ends; what is on its way is lost. New ones are accepted.
    pub fn cut(&self, close: Close) {
        self.shared.change(|state| {
            for link in state.links.values() {
                link.close.send_replace(Some(close));
            }
        });
    }

    /// Whether new connections are closed at once. Present ones stay.
    pub fn refuse(&self, refuse: bool) {
        self.shared.change(|state| state.refuse = refuse);
    }

    /// Lets new connections wait, as if the server were slow to accept them, until
    /// [`release_connections`](Self::release_connections). So a client comes back at a moment of the test's choice,
    /// without the pauses that follow a refusal.
    pub fn hold_connections(&self) {
        self.shared.change(|state| state.hold_connections = true);
    }

    /// Lets the connections through that were held, and holds no more.
    pub fn release_connections(&self) {
        self.shared.change(|state| state.hold_connections = false);
    }

    /// The id of the session that the server has granted or resumed last through this proxy.
    #[must_use]
    pub fn session(&self) -> Option<i64> {
        self.shared.look().session.as_ref().map(|session| session.id)
    }

    /// Ends the session that the server has granted or resumed last, at once, as its expiry would: another connection
    /// takes it over and closes it. The client is cut off afterwards, so that it finds its session ended when it comes
    /// back.
    ///
    /// # Errors
    ///
    /// When there is no such session, or the server cannot be reached.
    pub async fn end_session(&self) -> Result<(), Error> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let session = self.shared.look().session.clone();
        let end = async {
            let session = session.ok_or_else(|| std::io::Error::other("no session was granted yet"))?;
            let mut stream = TcpStream::connect(&*self.server).await?;
            stream.write_all(&wire::take_over_and_close(&session)).await?;
            // The server closes the connection when the session has ended.
            stream.read_to_end(&mut Vec::new()).await
        };
        self.shared.change(|state| state.hold_ends = true);
        let ended = tokio::time::timeout(PATIENCE, end).await;
        self.shared.change(|state| state.hold_ends = false);
        ended.unwrap_or_else(|elapsed| Err(elapsed.into())).map(drop).map_err(Error::io("end a session"))
    }

    /// Swallows everything in this direction, also the ends of connections, in addition to what is swallowed already.
    /// Connections stay open, and what is swallowed is lost.
    pub fn swallow(&self, direction: Direction) {
        self.shared.change(|state| {
            state.swallow_to_server |= direction != Direction::ToClient;
            state.swallow_to_client |= direction != Direction::ToServer;
        });
    }

    /// The zombie link: nothing that clients send reaches the server, but the proxy answers their pings, so that they
    /// believe that their session lives while the server lets it expire. What the server sends passes, except for the
    /// end of a connection. Notifications of what the end of the session itself deletes may be missing: the server
    /// closes the connection at the same time.
    pub fn swallow_replies_except_pings(&self) {
        self.shared.change(|state| state.only_pings = true);
    }

    /// Ends [`swallow`](Self::swallow) and [`swallow_replies_except_pings`](Self::swallow_replies_except_pings). What
    /// was swallowed stays lost; ends of connections that were held are passed on.
    pub fn pass(&self) {
        self.shared.change(|state| {
            state.swallow_to_server = false;
            state.swallow_to_client = false;
            state.only_pings = false;
        });
    }

    /// Sets a trap: the next reply to such a request is lost, and its connection is closed. The server has done what
    /// was asked, and the client does not know.
    pub fn drop_reply(&self, which: impl Into<Which>, close: Close) -> Trap {
        self.arm(which.into(), Action::DropReply(close))
    }

    /// Sets a trap: the next such request does not reach the server, and its connection is closed.
    pub fn drop_request(&self, which: impl Into<Which>, close: Close) -> Trap {
        self.arm(which.into(), Action::DropRequest(close))
    }

    /// Sets a trap: the next such request is held back, with everything behind it on that connection, until the handle
    /// decides.
    pub fn hold_request(&self, which: impl Into<Which>) -> Hold {
        let (gate, state) = watch::channel(Gate::Shut);
        Hold { trap: self.arm(which.into(), Action::HoldRequest(state)), gate }
    }

    /// Sets a trap: the next reply to such a request is held back, with everything behind it on that connection, until
    /// the handle decides.
    pub fn hold_reply(&self, which: impl Into<Which>) -> Hold {
        let (gate, state) = watch::channel(Gate::Shut);
        Hold { trap: self.arm(which.into(), Action::HoldReply(state)), gate }
    }

    /// Holds watch notifications back; replies pass meanwhile. Those of a connection that ends are lost.
    pub fn hold_events(&self) {
        self.shared.change(|state| state.hold_events = true);
    }

    /// Delivers the watch notifications that were held back, in order, and holds no more.
    pub fn release_events(&self) {
        self.shared.change(rules::State::release_events);
    }

    /// Whether every watch notification is delivered twice.
    pub fn repeat_events(&self, repeat: bool) {
        self.shared.change(|state| state.repeat_events = repeat);
    }

    /// What has arrived at the proxy since its start or the last [`reset_counts`](Self::reset_counts).
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.look().counts.clone()
    }

    /// Counts from zero again.
    pub fn reset_counts(&self) {
        self.shared.change(|state| state.counts = Counts::default());
    }

    /// Waits until the counts are so.
    pub async fn wait_until(&self, mut met: impl FnMut(&Counts) -> bool) {
        self.shared.wait_until(|state| met(&state.counts)).await;
    }

    /// What has arrived, in order; the last [`LOG_LENGTH`] entries.
    #[must_use]
    pub fn log(&self) -> Vec<Entry> {
        self.shared.look().log.entries()
    }

    /// Forgets the entries of the log.
    pub fn clear_log(&self) {
        self.shared.change(|state| state.log.clear());
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.look().links.len()
    }

    /// Waits until so many connections are open.
    pub async fn wait_for_connections(&self, mut met: impl FnMut(usize) -> bool) {
        self.shared.wait_until(|state| met(state.links.len())).await;
    }

    fn arm(&self, which: Which, action: Action) -> Trap {
        let (sprung, seen) = watch::channel(false);
        let number = self.shared.change(|state| state.arm(which, action, sprung));
        Trap { shared: Arc::clone(&self.shared), number, sprung: seen }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The task owns the listener and the connections.
        self.accepting.abort();
    }
}

/// The connect string of several addresses.
#[must_use]
pub fn join_addresses(addresses: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let addresses: Vec<_> = addresses.into_iter().map(|address| address.as_ref().to_owned()).collect();
    addresses.join(",")
}

/// A trap that springs once. It stays set when this is dropped.
#[derive(Debug)]
pub struct Trap {
    shared: Arc<Shared>,
    number: u64,
    sprung: watch::Receiver<bool>,
}

impl Trap {
    /// Waits until the trap has sprung; for ever if it cannot any more.
    pub async fn sprung(&self) {
        if self.sprung.clone().wait_for(|sprung| *sprung).await.is_err() {
            std::future::pending().await
        }
    }

    /// Whether the trap has sprung.
    #[must_use]
    pub fn is_sprung(&self) -> bool {
        *self.sprung.borrow()
    }

    /// Takes the trap away.
    pub fn disarm(self) {
        self.take_away();
    }

    fn take_away(&self) {
        self.shared.change(|state| state.armed.retain(|armed| armed.number != self.number));
    }
}

/// A request or a reply that is held back, or will be. Dropping it lets the frame go, or takes the trap away.
#[derive(Debug)]
#[must_use = "dropping it lets the frame go"]
pub struct Hold {
    trap: Trap,
    gate: watch::Sender<Gate>,
}

impl Hold {
    /// Waits until there is a frame that is held.
    pub async fn held(&self) {
        self.trap.sprung().await;
    }

    /// Lets the frame go, and what is behind it.
    pub fn let_go(self) {}

    /// Lets the frame go, and what is behind it, and closes the connection at both ends: whether the other side takes
    /// notice of what it got is open.
    pub fn let_go_and_close(self, close: Close) {
        self.decide(Gate::CloseBehind(close));
    }

    /// Loses the frame, and what is behind it, and closes the connection.
    pub fn lose(self, close: Close) {
        self.decide(Gate::Lose(close));
    }

    fn decide(&self, decision: Gate) {
        self.trap.take_away();
        // The first decision counts: dropping comes after it.
        self.gate.send_if_modified(|gate| {
            let is_first = *gate == Gate::Shut;
            if is_first {
                *gate = decision;
            }
            is_first
        });
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.decide(Gate::Open);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, server: Arc<str>) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = links.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((client, _)) if !shared.look().refuse => {
                    links.spawn(link::serve(Arc::clone(&shared), Arc::clone(&server), client));
                }
                Ok(_) => {}
                // Out of file descriptors, most likely: others have to be closed first.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
}
