//! The handle that a process opens once: sessions with a store, shared by all its locks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::mutex::Mutex;
use crate::clock::Clock;
use crate::error::Error;
use crate::path::LockPath;
use crate::queue::Limits;
use crate::recipes::Versioned;
use crate::session::Pool;
use crate::store::zookeeper::{Access, Tls, ZooKeeper};
use crate::store::{OpenOptions, Store};
use crate::ticket::{Identity, Ticket};

/// The shortest session timeout that is accepted. Below it, ordinary pauses of a process end its session.
const SESSION_TIMEOUT_MIN: Duration = Duration::from_millis(500);
/// Longer times to connect are cut to this: points further away cannot be counted.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const SESSION_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A connection to a coordination store, from which locks are made.
///
/// Open one per process and clone it freely: all clones share one session (a second one is opened only when a few
/// thousand contenders have filled the first). A session survives disconnects. When it expires, its guards are lost
/// for good, its waiters fail with [`Error::SessionLost`], and a new session is made for later acquisitions.
///
/// When the last clone, lock, waiter and guard are dropped, the session is closed. [`Fairlock::close`] does that at
/// once.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// use fairlock::{Fairlock, store::memory::Memory};
///
/// // Fairlock::connect("zk1:2181,zk2:2181/app") for ZooKeeper.
/// let locks = Fairlock::builder().open(Memory::new()).await?;
/// let lock = locks.mutex("/orders/42")?;
/// let guard = lock.acquire().await?;
/// println!("held with fencing token {}", guard.fencing_token());
/// guard.release().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Fairlock {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) pool: Arc<Pool>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) identity: Identity,
    pub(super) limits: Limits,
}

impl Shared {
    pub(super) fn new_ticket(&self) -> Ticket {
        Ticket::new(self.identity.clone(), self.clock.unix_millis())
    }
}

impl Fairlock {
    /// Connects to ZooKeeper with the defaults of [`Builder`].
    ///
    /// The connect string lists the servers and may end with a root for all paths:
    /// `zk1:2181,zk2:2181,zk3:2181/app`.
    ///
    /// # Errors
    ///
    /// See [`Builder::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the session up.
    pub async fn connect(servers: &str) -> Result<Self, Error> {
        Self::builder().connect(servers).await
    }

    /// All options.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A lock. Cheap: nothing is sent until it is acquired.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPath`] if the path is malformed.
    pub fn mutex(&self, path: &str) -> Result<Mutex, Error> {
        Ok(Mutex::new(self.shared.clone(), LockPath::new(path)?))
    }

    /// A value at a path, to read and to write as long as nobody else has written it. Cheap: nothing is sent.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPath`] if the path is malformed; the rules are those of a lock's.
    pub fn value(&self, path: &str) -> Result<Versioned, Error> {
        Ok(Versioned::new(self.shared.pool.clone(), self.mutex(path)?))
    }

    /// The session timeout that the server granted, which may differ from what was asked for.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`] does, if there is no session at present and none can be opened.
    pub async fn session_timeout(&self) -> Result<Duration, Error> {
        Ok(self.shared.pool.session().await?.store().timeout())
    }

    /// Who this process is to other contenders.
    pub fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// Closes the sessions: all locks of this handle are released at once, their guards are lost
    /// ([`LossReason::Closed`](crate::LossReason::Closed)), waiters fail with [`Error::Closed`], and so does every
    /// later call.
    ///
    /// If no server can be reached, the nodes vanish when the session times out.
    pub async fn close(&self) {
        self.shared.pool.close().await;
    }
}

impl fmt::Debug for Fairlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fairlock").field("identity", &self.identity().to_string()).finish_non_exhaustive()
    }
}

/// Options of a [`Fairlock`].
#[derive(Clone)]
#[must_use = "a builder does nothing until connect or open is called"]
#[derive(Default)]
pub struct Builder {
    open: OpenOptions,
    identity: Option<Identity>,
    limits: Limits,
    credentials: Vec<(String, Vec<u8>)>,
    access: Access,
    tls: Option<Tls>,
}

impl Builder {
    /// The session timeout to ask for; 10 s by default.
    ///
    /// It bounds how long a crashed holder blocks others. It also bounds how long a holder may be cut off before it
    /// loses its locks: about two fifths of it in the worst case, half of it typically (docs/PROTOCOL.md, "How long
    /// a holder may believe"). The server moves it into its own bounds, by default 2 to 20 times its `tickTime`;
    /// [`Fairlock::session_timeout`] tells the result.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.open.session_timeout = timeout;
        self
    }

    /// How long to wait for a server that answers, when connecting and when a session has to be replaced; 10 s by
    /// default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.open.connect_timeout = timeout;
        self
    }

    /// Who this process is to other contenders and operators; by default the program's name, with host and process
    /// id.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Authenticates the session, for example with scheme `digest` and `user:password`. May be called several times.
    /// The secret is never logged or shown.
    pub fn credentials(mut self, scheme: impl Into<String>, secret: impl Into<Vec<u8>>) -> Self {
        self.credentials.push((scheme.into(), secret.into()));
        self
    }

    /// Who may do what with the nodes that this process makes; everybody everything by default.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Encrypts the connections, except to servers that are marked with `tcp://` in the connect string.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Where a queue's numbers end. The defaults are right for production; tests make the end come sooner.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Connects to ZooKeeper.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidConfig`] for a malformed connect string or an impossible timeout,
    /// * [`Error::Unreachable`] if no server answered within the time to connect; the message says what was found at
    ///   each address,
    /// * [`Error::NotZooKeeper`] if something else listens there,
    /// * [`Error::MissingChroot`] if the root of the connect string does not exist,
    /// * [`Error::AuthenticationFailed`] if the credentials are refused.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the session up.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime with I/O and time enabled. The sessions and locks are served by tasks on that
    /// runtime; it must outlive them.
    pub async fn connect(mut self, servers: &str) -> Result<Fairlock, Error> {
        let store = ZooKeeper::new(servers, std::mem::take(&mut self.credentials), self.access)?;
        let store = store.with(self.tls.take());
        self.open(store).await
    }

    /// Opens a session with any store; credentials and access rights are the store's own matter then.
    ///
    /// # Errors
    ///
    /// Those of the store's [`Store::open`], and [`Error::InvalidConfig`] for impossible options.
    ///
    /// # Panics
    ///
    /// As [`Builder::connect`].
    pub async fn open(mut self, store: impl Store) -> Result<Fairlock, Error> {
        if !(SESSION_TIMEOUT_MIN..=SESSION_TIMEOUT_MAX).contains(&self.open.session_timeout) {
            return Err(Error::InvalidConfig {
                reason: format!(
                    "the session timeout is {:?}; give one between {SESSION_TIMEOUT_MIN:?} and 24 hours",
                    self.open.session_timeout
                ),
            });
        }
        if self.open.connect_timeout.is_zero() {
            return Err(Error::InvalidConfig { reason: "the time to connect is zero; give at least a second".into() });
        }
        self.open.connect_timeout = self.open.connect_timeout.min(CONNECT_TIMEOUT_MAX);
        let store: Arc<dyn Store> = Arc::new(store);
        let clock = store.clock();
        let pool = Pool::open(store, self.open, Handle::current()).await?;
        let shared = Shared { pool, clock, identity: self.identity.unwrap_or_default(), limits: self.limits };
        Ok(Fairlock { shared: Arc::new(shared) })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credentials stay out.
        f.debug_struct("Builder")
            .field("session_timeout", &self.open.session_timeout)
            .field("connect_timeout", &self.open.connect_timeout)
            .field("identity", &self.identity)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}
