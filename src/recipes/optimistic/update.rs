//! The loop of an update, and finding out what became of a write whose reply was lost.
//!
//! Whose write made a version cannot be told from the version and the data: two that add 1 write the same data on the
//! same version. So each attempt writes an id of its own into the note beside the value, in the same transaction. Plain
//! writes leave the note as it is, which does no harm: it never names an attempt that was not executed.

use std::time::Duration;

use tracing::debug;

use super::{Snapshot, UpdateOptions, Versioned, check_size, is_conflict, is_lost};
use crate::error::Error;
use crate::pauses;
use crate::session::Session;
use crate::store::{Expected, Operation, StoreError, StoreErrorKind};

/// The pause after a conflict doubles from the one to the other.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// The pause before the barrier is tried again.
const BARRIER_PAUSE: Duration = Duration::from_millis(20);

/// How often the note is written while others make or remove it.
const NOTES_MAX: u32 = 4;

/// Where the note is among the operations of a commit, which counts from 1.
const NOTE_INDEX: usize = 2;

/// What came of an attempt.
enum Outcome {
    Written(Snapshot),
    /// Somebody else has written.
    Conflict,
    /// The request was lost, and nobody has written.
    NotExecuted,
}

pub(super) async fn run<E>(
    value: &Versioned,
    options: UpdateOptions,
    mut f: impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, E>,
) -> Result<Result<Snapshot, E>, Error> {
    let mut conflicts: u32 = 0;
    let mut pauses = pauses::growing(PAUSE_MIN, PAUSE_MAX);
    let mut guard = None;
    loop {
        if guard.is_none() && conflicts >= options.conflicts_max {
            debug!(path = %value.path(), conflicts, "an update takes the lock");
            guard = Some(value.lock.acquire().await?);
        }
        let session = value.pool.session().await?;
        let seen = value.read_with(&session).await.map_err(|source| value.failed("read the value", source))?;
        let data = match f(seen.as_ref().map(Snapshot::data)) {
            Ok(data) => data,
            Err(refusal) => return Ok(Err(refusal)),
        };
        check_size(&data)?;
        match attempt(value, &session, seen, data).await? {
            Outcome::Written(snapshot) => return Ok(Ok(snapshot)),
            Outcome::NotExecuted => {}
            Outcome::Conflict => {
                conflicts = conflicts.saturating_add(1);
                // Who is about to queue pauses there.
                if guard.is_some() || conflicts < options.conflicts_max {
                    tokio::time::sleep(pauses.next().unwrap_or(PAUSE_MAX)).await;
                }
            }
        }
    }
}

async fn attempt(
    value: &Versioned,
    session: &Session,
    seen: Option<Snapshot>,
    data: Vec<u8>,
) -> Result<Outcome, Error> {
    let id = format!("{:032x}", fastrand::u128(..)).into_bytes();
    let reply = match &seen {
        None => session.write(session.store().write_value(value.path(), &data, Expected::Absent)).await,
        Some(seen) => write_with_note(value, session, seen.version, &data, &id).await,
    };
    match reply {
        Ok(version) => Ok(Outcome::Written(value.snapshot(data, version, seen.and_then(|seen| seen.created)))),
        // What was refused was decided by the leader, in the order of this session's requests: whoever reads next in
        // this session sees what it was refused for.
        Err(source) if is_conflict(&source) => Ok(Outcome::Conflict),
        Err(source) if is_lost(&source) => {
            find_out(value, session, seen, data, &id).await.ok_or(Error::UnknownOutcome { source })
        }
        Err(source) => Err(value.failed("update the value", source)),
    }
}

async fn write_with_note(
    value: &Versioned,
    session: &Session,
    version: i32,
    data: &[u8],
    id: &[u8],
) -> Result<i32, StoreError> {
    if version == -1 {
        // Servers would take it for any version.
        return Err(StoreErrorKind::BadRequest.into());
    }
    let (path, note) = (value.path().as_str(), value.path().note());
    let mut has_note = true;
    for _ in 0..NOTES_MAX {
        let set = Operation::SetData { path: path.to_owned(), data: data.to_vec(), version: Some(version) };
        let (note, id) = (note.to_string(), id.to_vec());
        let tell = if has_note {
            Operation::SetData { path: note, data: id, version: None }
        } else {
            Operation::Create { path: note, data: id }
        };
        match session.write(session.store().commit(path, &[set, tell])).await {
            Ok(()) => return Ok(version.wrapping_add(1)),
            Err(error) if error.index() == Some(NOTE_INDEX) && is_conflict(&error) => has_note = !has_note,
            Err(error) => return Err(error),
        }
    }
    Err(StoreErrorKind::NoNode.into())
}

/// What became of an attempt whose reply was lost; `None` if that cannot be told.
async fn find_out(
    value: &Versioned,
    session: &Session,
    seen: Option<Snapshot>,
    data: Vec<u8>,
    id: &[u8],
) -> Option<Outcome> {
    let is_settled = is_settled(session).await;
    // Another session sees what was executed as well, but not what never will be.
    let another = if is_settled { None } else { Some(value.pool.session().await.ok()?) };
    let session = another.as_deref().unwrap_or(session);
    let note_path = value.path().note();
    loop {
        let before = value.read_with(session).await.ok()?;
        let note = session.read_surely(|| session.store().read_value(&note_path)).await.ok()?;
        let after = value.read_with(session).await.ok()?;
        let Some(seen) = &seen else {
            return match after {
                None => is_settled.then_some(Outcome::NotExecuted),
                // Not what was to be made, and not written since. The same data may be another's.
                Some(after) if after.version == 0 && after.data != data => is_settled.then_some(Outcome::Conflict),
                Some(_) => None,
            };
        };
        if note.is_some_and(|note| note.data == id) {
            return Some(Outcome::Written(value.snapshot(data, seen.version.wrapping_add(1), seen.created)));
        }
        let after = after?;
        if seen.created.is_some() && after.created != seen.created {
            // Another life: its versions say nothing.
            return None;
        }
        if after.version == seen.version {
            return is_settled.then_some(Outcome::NotExecuted);
        }
        if after.version != seen.version.wrapping_add(1) {
            return None;
        }
        // The one next version was there when the note was read, so the note is the one beside it.
        if before.as_ref() == Some(&after) {
            return Some(Outcome::Conflict);
        }
    }
}

/// Once a later write of the session is acknowledged, the lost one has been executed or never will be.
async fn is_settled(session: &Session) -> bool {
    loop {
        match session.write(session.store().write_barrier()).await {
            Ok(()) => return true,
            Err(error) if error.is_transient() => tokio::time::sleep(BARRIER_PAUSE).await,
            Err(_) => return false,
        }
    }
}
