//! What a lock is, in words and as JSON.

use fairlock::LockKind;
use serde_json::{Value, json};

use crate::json;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Lock,
    Shared,
    /// With so many permits, if that is known.
    Semaphore(Option<u32>),
    /// With what the leader has told, as JSON; null if nobody has.
    Election(Value),
}

impl Kind {
    pub(super) fn of(kind: &LockKind) -> Self {
        match kind {
            LockKind::Shared => Kind::Shared,
            LockKind::Semaphore { permits } => Kind::Semaphore(*permits),
            LockKind::Election { leader } => Kind::Election(json::leader(leader.as_ref()).0["leader"].take()),
            // A kind of a later library is a lock to this program.
            _ => Kind::Lock,
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Kind::Lock => "lock".to_owned(),
            Kind::Shared => "shared lock".to_owned(),
            Kind::Semaphore(Some(permits)) => format!("semaphore of {permits}"),
            Kind::Semaphore(None) => "semaphore of ?".to_owned(),
            Kind::Election(_) => "election".to_owned(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Kind::Lock => "lock",
            Kind::Shared => "shared",
            Kind::Semaphore(_) => "semaphore",
            Kind::Election(_) => "election",
        }
    }

    pub(crate) fn is_semaphore(&self) -> bool {
        matches!(self, Kind::Semaphore(_))
    }

    /// What a leader has told the others, if that is text.
    pub(super) fn leaders_words(&self) -> Option<&str> {
        match self {
            Kind::Election(leader) => leader["payload"].as_str().filter(|payload| !payload.is_empty()),
            _ => None,
        }
    }

    /// What only this kind has.
    pub(super) fn describe(&self, document: &mut Value) {
        match self {
            Kind::Lock | Kind::Shared => {}
            Kind::Semaphore(permits) => document["permits"] = json!(permits),
            Kind::Election(leader) => document["leader"] = leader.clone(),
        }
    }
}
