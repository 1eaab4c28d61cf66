//! Asking a holder to release its lock, which it may do or not.
//!
//! # The argument
//!
//! Requests to a lock's holder lie in a value beside its queue, never in the holder's node: a write to that is the baton
//! (docs/PROTOCOL.md). They name the token of the grant that they are about, so that a request which comes late, or is read late,
//! is never taken for one to the next holder. The value is changed only from the version that was read, so that of several who write at once
//! none undoes what another wrote. It holds the requests to one token at a time: those to earlier ones mean nothing any more.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::info;

use crate::error::{Error, LossReason};
use crate::lock::{Guard, Mutex, Role};
use crate::name::Sequence;
use crate::path::{LockPath, QueuePath};
use crate::pauses;
use crate::session::Session;
use crate::store::{Expected, SessionState, StoreError, StoreErrorKind};
use crate::ticket::{Identity, Ticket};
use crate::token::FencingToken;

/// The longest reason or note, in bytes.
const TEXT_BYTES_MAX: usize = 512;

/// How many requests to one holder are kept.
const REQUESTS_MAX: usize = 32;

/// The pause before a write is tried again that met another's, or whose reply was lost.
const PAUSE: Duration = Duration::from_millis(20);

/// The value, and the node of the holder.
const WATCHED_PATHS: usize = 2;

/// The requests to the holder with this token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Requests {
    token: i64,
    requests: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    id: String,
    by: Identity,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

/// Somebody asks the holder of a lock to release it; from [`Guard::release_requested`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedToRelease {
    id: String,
    by: Identity,
    reason: String,
}

impl AskedToRelease {
    /// Who asks.
    pub fn by(&self) -> &Identity {
        &self.by
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// A request to release a lock, made by [`Mutex::request_release`].
#[derive(Debug)]
pub struct ReleaseRequest {
    mutex: Mutex,
    token: FencingToken,
    sequence: Sequence,
    id: String,
}

/// What came of a [`ReleaseRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReleaseAnswer {
    /// The holder has seen it, and says this.
    Acknowledged(String),
    /// The holder holds the lock no more, whatever the reason.
    Gone,
}

impl Mutex {
    /// Asks whoever holds the lock alone now to release it. `None` if nobody does: readers who share a lock cannot be asked.
    ///
    /// Nothing is forced: a holder that does not [look](Guard::release_requested) never knows, and one that does may go on. To
    /// remove a contender by force, see [`Mutex::break_contender`].
    ///
    /// The requests lie in a persistent node below the lock's path, `_fairlock_requests`, which stays; those to the next holder take
    /// the place of these.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
    /// # use fairlock::{Fairlock, recipes::ReleaseAnswer, store::memory::Memory};
    /// # let lock = Fairlock::builder().open(Memory::new()).await?.mutex("/a")?;
    /// let guard = lock.acquire().await?;
    /// let request = lock.request_release("deployment").await?.expect("it is held");
    ///
    /// let asked = guard.release_requested().await?;
    /// println!("{} asks for the lock: {}", asked.by(), asked.reason());
    /// guard.acknowledge(&asked, "in a minute").await?;
    /// assert_eq!(request.answered().await?, ReleaseAnswer::Acknowledged("in a minute".into()));
    ///
    /// guard.release().await?;
    /// request.released().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the reason is longer than 512 bytes or 32 others ask already; [`Error::InvalidConfig`] if it has
    /// control characters; otherwise as [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// The request may be made even if the future is dropped.
    pub async fn request_release(&self, reason: &str) -> Result<Option<ReleaseRequest>, Error> {
        check_text("the reason", reason)?;
        let holder = self
            .contenders()
            .await?
            .into_iter()
            .find(|contender| contender.role == Role::Holder && contender.sequence.is_exclusive());
        let Some(holder) = holder else { return Ok(None) };
        let mut random = fastrand::Rng::new();
        let id = format!("{:016x}{:016x}", random.u64(..), random.u64(..));
        let entry = Entry { id: id.clone(), by: self.identity().clone(), reason: reason.to_owned(), answer: None };
        let session = self.pool().session().await?;
        let path = self.path().release_requests();
        change(&session, &path, holder.token, |requests| {
            // Made before, by a write whose reply was lost.
            if requests.iter().any(|known| known.id == entry.id) {
                return Ok(());
            }
            if requests.len() >= REQUESTS_MAX {
                let what = "the list of requests to release this lock";
                return Err(Error::TooLarge { what, bytes: requests.len() + 1, bytes_max: REQUESTS_MAX });
            }
            requests.push(entry.clone());
            Ok(())
        })
        .await?;
        info!(lock = %self.path(), token = %holder.token, reason, "asked the holder to release");
        Ok(Some(ReleaseRequest { mutex: self.clone(), token: holder.token, sequence: holder.sequence, id }))
    }
}

impl Guard {
    /// Waits until somebody asks for the lock, with [`Mutex::request_release`]: the first request that is not
    /// [acknowledged](Guard::acknowledge).
    ///
    /// Costs a watch and a read, and a read for each change of the requests, while somebody waits here.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] once the lock is lost; [`Error::NoPermission`] if the requests may not be read.
    ///
    /// # Cancel safety
    ///
    /// No request is missed by dropping the future: the next call tells it.
    pub async fn release_requested(&self) -> Result<AskedToRelease, Error> {
        let path = self.path().release_requests();
        let session = self.session();
        let asked = async {
            loop {
                let watched = session.read_surely(|| session.store().watch_value(&path)).await?;
                let requests = watched.value.and_then(|value| parse(&value.data));
                let first = requests
                    .filter(|requests| requests.token == self.fencing_token().as_i64())
                    .and_then(|requests| requests.requests.into_iter().find(|entry| entry.answer.is_none()));
                if let Some(Entry { id, by, reason, .. }) = first {
                    return Ok(AskedToRelease { id, by, reason });
                }
                watched.event.await;
            }
        };
        let asked: Result<_, StoreError> = self.protect(asked).await?;
        asked.map_err(|error| Error::from_store("read the requests to release", path.as_str(), error))
    }

    /// Tells whoever asked that the request was seen, with a note for people. What the holder does is its own matter.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the note is longer than 512 bytes; [`Error::InvalidConfig`] if it has control characters;
    /// [`Error::LockLost`] if the lock was lost before.
    ///
    /// # Cancel safety
    ///
    /// The acknowledgement may be written even if the future is dropped.
    pub async fn acknowledge(&self, asked: &AskedToRelease, note: &str) -> Result<(), Error> {
        check_text("the note", note)?;
        let path = self.path().release_requests();
        let answered = change(self.session(), &path, self.fencing_token(), |requests| {
            if let Some(entry) = requests.iter_mut().find(|entry| entry.id == asked.id) {
                entry.answer = Some(note.to_owned());
            }
            Ok(())
        });
        self.protect(answered).await?
    }
}

impl ReleaseRequest {
    /// The token of the holder that was asked.
    pub fn holder(&self) -> FencingToken {
        self.token
    }

    /// Waits until the holder has acknowledged the request, or holds the lock no more.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped and called again.
    pub async fn answered(&self) -> Result<ReleaseAnswer, Error> {
        self.wait(true).await
    }

    /// Waits until the holder that was asked holds the lock no more.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped and called again.
    pub async fn released(&self) -> Result<(), Error> {
        self.wait(false).await.map(|_| ())
    }

    async fn wait(&self, for_answer: bool) -> Result<ReleaseAnswer, Error> {
        let path = self.mutex.path().release_requests();
        loop {
            let mut seat = self.mutex.pool().seat(WATCHED_PATHS, self.mutex.watched_path_bytes()).await?;
            // It watches, and holds nothing that the keeper would have to renew.
            seat.retire();
            match self.wait_with(seat.session(), self.mutex.queue(), &path, for_answer).await {
                Ok(answer) => return Ok(answer),
                // The next seat is on another session.
                Err(error) => match error.kind() {
                    StoreErrorKind::Ended(reason) if reason != LossReason::Closed => {}
                    _ => return Err(Error::from_store("watch the holder", path.as_str(), error)),
                },
            }
        }
    }

    async fn wait_with(
        &self,
        session: &Session,
        queue: &QueuePath,
        path: &LockPath,
        for_answer: bool,
    ) -> Result<ReleaseAnswer, StoreError> {
        let name = self.sequence.node_name();
        let mut states = session.states();
        loop {
            let watched = session.read_surely(|| session.store().watch_value(path)).await?;
            let answer =
                watched.value.and_then(|value| parse(&value.data)).and_then(|requests| self.answer_in(requests));
            if let Some(answer) = answer.filter(|_| for_answer) {
                return Ok(ReleaseAnswer::Acknowledged(answer));
            }
            let node = session.read_surely(|| session.store().watch(queue, &name)).await?;
            let Some(node) = node.filter(|watched| Ticket::fencing_token_of(&watched.node) == self.token) else {
                return Ok(ReleaseAnswer::Gone);
            };
            tokio::select! {
                biased;
                _ = node.event => {},
                () = watched.event => {},
                // Servers withhold an event if READ on the node was revoked meanwhile, and nothing else would tell.
                () = tokio::time::sleep(pauses::until_next_look()) => {},
                // The watches are gone with it.
                _ = states.wait_for(|state| matches!(state, SessionState::Ended(_))) => {},
            }
        }
    }

    fn answer_in(&self, requests: Requests) -> Option<String> {
        let is_to_it = requests.token == self.token.as_i64();
        requests.requests.into_iter().find(|entry| is_to_it && entry.id == self.id)?.answer
    }
}

fn check_text(what: &'static str, text: &str) -> Result<(), Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::TooLarge { what, bytes: text.len(), bytes_max: TEXT_BYTES_MAX });
    }
    if !is_fit(text) {
        return Err(Error::InvalidConfig { reason: format!("{what} has control characters; give one line of text") });
    }
    Ok(())
}

/// Fit to be shown to people: short, and nothing that a terminal obeys.
fn is_fit(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// What a value says, without entries that are not fit to be shown; `None` if it says nothing that this library wrote.
fn parse(data: &[u8]) -> Option<Requests> {
    let mut requests: Requests = serde_json::from_slice(data).ok()?;
    // One bad writer must not hide the others.
    requests.requests.retain(|entry| {
        entry.by.is_presentable() && is_fit(&entry.reason) && entry.answer.as_deref().is_none_or(is_fit)
    });
    Some(requests)
}

/// Changes the requests to the holder with this token. The change is made again whenever another write came first, or a reply was
/// lost: it must mean the same then.
async fn change(
    session: &Session,
    path: &LockPath,
    token: FencingToken,
    mut change: impl FnMut(&mut Vec<Entry>) -> Result<(), Error>,
) -> Result<(), Error> {
    let failed = |error| Error::from_store("write the requests to release", path.as_str(), error);
    loop {
        let value = session.read_surely(|| session.store().read_value(path)).await.map_err(failed)?;
        let known = value.as_ref().and_then(|value| parse(&value.data));
        // To a holder before the present one: whoever waits for it finds it gone.
        if known.as_ref().is_some_and(|known| known.token > token.as_i64()) {
            return Ok(());
        }
        let known = known.filter(|known| known.token == token.as_i64());
        let mut requests = known.unwrap_or_else(|| Requests { token: token.as_i64(), requests: vec![] });
        change(&mut requests.requests)?;
        let data = serde_json::to_vec(&requests).expect("text and numbers can be written as JSON");
        let expected = value.as_ref().map_or(Expected::Absent, |value| Expected::Version(value.version));
        match session.write(session.store().write_value(path, &data, expected)).await {
            Ok(_) => return Ok(()),
            Err(error) => match error.kind() {
                StoreErrorKind::VersionMismatch
                | StoreErrorKind::NodeExists
                | StoreErrorKind::NoNode
                | StoreErrorKind::Overloaded
                | StoreErrorKind::Unknown => {}
                _ => return Err(failed(error)),
            },
        }
        tokio::time::sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
        // The next read must not see a state from before what came first.
        match session.write(session.store().write_barrier()).await {
            Err(error) if matches!(error.kind(), StoreErrorKind::Ended(_)) => return Err(failed(error)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(reason: &str) -> Vec<u8> {
        let by = Identity::new("billing").expect("a name");
        let entry = Entry { id: "1".into(), by, reason: reason.into(), answer: None };
        serde_json::to_vec(&Requests { token: 7, requests: vec![entry] }).expect("JSON")
    }

    #[test]
    fn what_others_wrote_there_is_no_request() {
        assert!(parse(&requests("deployment")).is_some());
        for data in [&b""[..], b"{}", b"[1]"] {
            assert_eq!(parse(data), None, "{}", String::from_utf8_lossy(data));
        }
        for data in [requests("\u{1b}[2J"), requests(&"x".repeat(600))] {
            assert_eq!(parse(&data).map(|requests| requests.requests), Some(vec![]));
        }
    }
}
