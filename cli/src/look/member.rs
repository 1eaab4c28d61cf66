//! Somebody at a lock, as this program shows it.

use fairlock::queue;
use fairlock::store::SessionId;
use fairlock::{Contender, FencingToken, Identity, Role};

use super::Kind;
use super::text::clean;

/// What is wanted or held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Exclusive,
    Shared,
    /// So many permits; unknown while it waits for its turn to ask for them.
    Permits(Option<u32>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) place: usize,
    pub(crate) holds: bool,
    pub(crate) mode: Mode,
    pub(crate) identity: Option<Identity>,
    pub(crate) session: Option<SessionId>,
    pub(crate) token: FencingToken,
    pub(crate) since_unix_ms: Option<u64>,
    /// The name of its node.
    pub(crate) node: String,
}

impl Member {
    pub(crate) fn new(contender: &Contender, kind: &Kind) -> Self {
        let mode = match contender.sequence.mode() {
            _ if kind.is_semaphore() => Mode::Permits(contender.permits()),
            queue::Mode::Exclusive => Mode::Exclusive,
            queue::Mode::Shared => Mode::Shared,
            queue::Mode::Permits(count) => Mode::Permits(Some(count.get())),
        };
        Self {
            place: contender.position,
            holds: contender.role == Role::Holder,
            mode,
            identity: contender.identity.clone(),
            session: contender.session,
            token: contender.token,
            since_unix_ms: contender.since_unix_ms,
            node: contender.sequence.node_name(),
        }
    }

    /// Who it is, fit for a terminal. Whoever made the node has chosen the text.
    pub(crate) fn who(&self) -> String {
        match (&self.identity, self.session) {
            (Some(identity), _) => clean(&identity.to_string()),
            (None, Some(session)) => format!("unknown, session {session}"),
            (None, None) => "unknown, no session".to_owned(),
        }
    }

    pub(crate) fn role(&self) -> &'static str {
        if self.holds { "holder" } else { "waiter" }
    }

    pub(crate) fn session(&self) -> String {
        self.session.map_or_else(|| "-".to_owned(), |session| session.to_string())
    }

    /// How long ago it entered, in milliseconds. Clocks differ: it may say that it comes from the future.
    pub(crate) fn age_ms(&self, now_unix_ms: u64) -> Option<u64> {
        self.since_unix_ms.map(|since| now_unix_ms.saturating_sub(since))
    }
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Exclusive => "exclusive",
            Mode::Shared => "shared",
            Mode::Permits(_) => "permits",
        }
    }

    pub(crate) fn words(self) -> String {
        match self {
            Mode::Exclusive | Mode::Shared => self.name().to_owned(),
            Mode::Permits(Some(1)) => "1 permit".to_owned(),
            Mode::Permits(Some(count)) => format!("{count} permits"),
            Mode::Permits(None) => "permits".to_owned(),
        }
    }
}
