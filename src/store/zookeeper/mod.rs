//! Queues on ZooKeeper. This folder is the only place that names the client crate.
//!
//! What the client is known to do differently than one might think, and what follows from it here, is listed in
//! docs/PROTOCOL.md, "The client crate".

mod diagnosis;
mod directories;
mod nodes;
pub mod probe;
mod session;
mod states;
mod tls;
mod values;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use zookeeper_client as zk;

use self::session::ZooKeeperSession;
#[cfg(feature = "tls")]
pub use self::tls::Tls;
#[cfg(not(feature = "tls"))]
pub(crate) use self::tls::Tls;
use super::{OpenOptions, Store, StoreError, StoreErrorKind};
use crate::clock::{Clock, HostClock};
use crate::error::{Error, LossReason};
use crate::lock::{Failover, Fencing, Guarantees, LossNotice, Order};

/// What stands in front of a server that is not to be spoken to encrypted.
const PLAIN_SCHEME: &str = "tcp://";

/// The pause between two attempts to connect when one failed at once.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);

/// Who may do what with the nodes that a process makes.
///
/// All contenders of a lock need to create and delete nodes in its queue and to read them, so they must be allowed
/// to by the same rule. It applies to the directories as well, when they are new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// Everybody may do everything (`world:anyone:cdrwa`).
    #[default]
    Everyone,
    /// Only who has the creator's credentials (`auth::cdrwa`).
    CreatorOnly,
    /// Who has the creator's credentials may do everything, everybody may read.
    CreatorElseRead,
}

impl Access {
    /// As the client crate has them.
    fn acls(&self) -> Vec<zk::Acl> {
        let (everyone, creator) = (zk::AuthId::anyone(), zk::AuthId::authed());
        match self {
            Access::Everyone => vec![zk::Acl::new(zk::Permission::ALL, everyone)],
            Access::CreatorOnly => vec![zk::Acl::new(zk::Permission::ALL, creator)],
            Access::CreatorElseRead => {
                vec![zk::Acl::new(zk::Permission::ALL, creator), zk::Acl::new(zk::Permission::READ, everyone)]
            }
        }
    }
}

/// ZooKeeper as a [`Store`].
#[derive(Clone)]
pub struct ZooKeeper {
    servers: String,
    credentials: Vec<(String, Vec<u8>)>,
    access: Access,
    tls: Option<Tls>,
    clock: Arc<dyn Clock>,
}

impl ZooKeeper {
    /// A store for these servers, as in `zk1:2181,zk2:2181/app`. Nothing is sent until a session is opened.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] if the connect string is obviously malformed, or access is for the creator's
    /// credentials and there are none.
    pub fn new(servers: impl Into<String>, credentials: Vec<(String, Vec<u8>)>, access: Access) -> Result<Self, Error> {
        let servers = servers.into();
        diagnosis::check_connect_string(&servers)?;
        if access != Access::Everyone && credentials.is_empty() {
            return Err(Error::InvalidConfig {
                reason: format!("{access:?} grants rights to the creator's credentials, but there are none; add them"),
            });
        }
        Ok(Self { servers, credentials, access, tls: None, clock: Arc::new(HostClock) })
    }

    /// Encrypts the connections, except to servers that are marked with `tcp://` in the connect string.
    #[cfg(feature = "tls")]
    pub fn with_tls(self, tls: Tls) -> Self {
        self.with(Some(tls))
    }

    pub(crate) fn with(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls;
        self
    }

    /// Encryption must not be left out because nobody said whom to believe.
    fn check_tls(&self) -> Result<(), Error> {
        if self.tls.is_some() || !self.servers.contains(tls::SCHEME) {
            return Ok(());
        }
        Err(Error::InvalidConfig {
            reason: format!(
                "the connect string {:?} asks for TLS, but it was not said which certificates to believe: give them to \
                 Builder::tls, which the feature \"tls\" has",
                self.servers
            ),
        })
    }

    async fn connect(&self, options: &OpenOptions) -> Result<zk::Client, Error> {
        let started = Instant::now();
        let mut last_error = None;
        loop {
            let remaining = options.connect_timeout.saturating_sub(started.elapsed());
            if remaining.is_zero() {
                return Err(self.unreachable(started.elapsed(), last_error).await);
            }
            let mut connector = zk::Client::connector().with_session_timeout(options.session_timeout);
            for (scheme, secret) in &self.credentials {
                connector = connector.with_auth(scheme, secret);
            }
            let connecting = tls::connect(connector, self.tls.as_ref(), &self.servers);
            match tokio::time::timeout(remaining, connecting).await {
                Ok(Ok(client)) => return Ok(client),
                Ok(Err(zk::Error::BadArguments(reason))) => {
                    return Err(Error::InvalidConfig {
                        reason: format!("the connect string {:?} is malformed: {reason}", self.servers),
                    });
                }
                Ok(Err(error @ zk::Error::AuthFailed)) => {
                    return Err(Error::AuthenticationFailed {
                        servers: self.servers.clone(),
                        source: store_error(error),
                    });
                }
                Ok(Err(error)) => {
                    last_error = Some(store_error(error));
                    tokio::time::sleep(CONNECT_PAUSE.min(remaining)).await;
                }
                Err(_) => {}
            }
        }
    }
}

impl ZooKeeper {
    /// Whether a server of the connect string, as written there, is spoken to encrypted.
    fn is_secured(&self, server: &str) -> bool {
        server.starts_with(tls::SCHEME) || self.tls.is_some() && !server.starts_with(PLAIN_SCHEME)
    }

    async fn unreachable(&self, waited: Duration, last_error: Option<StoreError>) -> Error {
        diagnosis::unreachable(&self.servers, |server| self.is_secured(server), waited, last_error).await
    }
}

impl fmt::Debug for ZooKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secrets stay out.
        f.debug_struct("ZooKeeper")
            .field("servers", &self.servers)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for ZooKeeper {
    async fn open(&self, options: &OpenOptions) -> Result<Arc<dyn super::Session>, Error> {
        self.check_tls()?;
        let client = self.connect(options).await?;
        let session = ZooKeeperSession::new(client, self.access);
        match tokio::time::timeout(options.connect_timeout, session.check_root()).await {
            Ok(checked) => checked?,
            Err(_) => return Err(self.unreachable(options.connect_timeout, None).await),
        }
        Ok(Arc::new(session))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn guarantees(&self) -> Guarantees {
        Guarantees::new(Order::FirstComeFirstServed, Fencing::NeverGoesBack, LossNotice::InTime, Failover::Remembers)
    }
}

/// Sorts the client's errors by what they say about the request.
///
/// Only a verdict of a server is definite. Everything else may have been executed: the client reports a lost
/// connection as `ConnectionLoss` after a FIN, but as `Custom` after an RST, a broken pipe or an idle timeout.
fn store_error(error: zk::Error) -> StoreError {
    use StoreErrorKind as Kind;
    let kind = match error {
        zk::Error::NoNode => Kind::NoNode,
        zk::Error::NodeExists => Kind::NodeExists,
        zk::Error::NotEmpty => Kind::NotEmpty,
        zk::Error::BadVersion => Kind::VersionMismatch,
        zk::Error::NoAuth => Kind::NoPermission,
        zk::Error::NoChildrenForEphemerals => Kind::EphemeralParent,
        zk::Error::QuotaExceeded => Kind::QuotaExceeded,
        zk::Error::NotReadOnly => Kind::ReadOnly,
        zk::Error::Throttled => Kind::Overloaded,
        zk::Error::Unimplemented => Kind::Unsupported,
        zk::Error::BadArguments(_) | zk::Error::InvalidAcl | zk::Error::UnexpectedErrorCode(_) => Kind::BadRequest,
        zk::Error::SessionExpired => Kind::Ended(LossReason::SessionExpired),
        zk::Error::AuthFailed => Kind::Ended(LossReason::AuthenticationFailed),
        zk::Error::ClientClosed => Kind::Ended(LossReason::Closed),
        _ => Kind::Unknown,
    };
    StoreError::with_source(kind, error)
}

fn multi_error(error: zk::MultiWriteError) -> StoreError {
    match error {
        zk::MultiWriteError::RequestFailed { source } => store_error(source),
        zk::MultiWriteError::OperationFailed { index, source } => store_error(source).at(index),
    }
}

/// A reply that makes no sense: what was executed is not known.
fn not_understood() -> StoreError {
    StoreErrorKind::Unknown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_servers_verdict_is_definite() {
        for (error, kind) in [
            (zk::Error::ConnectionLoss, StoreErrorKind::Unknown),
            (zk::Error::UnexpectedError("recv response with xid 3".into()), StoreErrorKind::Unknown),
            (zk::Error::Timeout, StoreErrorKind::Unknown),
            (zk::Error::SessionMoved, StoreErrorKind::Unknown),
            (zk::Error::RuntimeInconsistent, StoreErrorKind::Unknown),
            (zk::Error::NoNode, StoreErrorKind::NoNode),
            (zk::Error::NoAuth, StoreErrorKind::NoPermission),
            (zk::Error::SessionExpired, StoreErrorKind::Ended(LossReason::SessionExpired)),
        ] {
            assert_eq!(store_error(error.clone()).kind(), kind, "{error:?}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let store = ZooKeeper::new("a:1", vec![("digest".into(), b"user:s3cret".to_vec())], Access::Everyone)
            .expect("a good connect string");
        let shown = format!("{store:?}");
        assert!(shown.contains("a:1") && !shown.contains("s3cret") && !shown.contains("115"), "{shown}");
    }
}
