//! A leadership under way.

use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use super::proclaiming::{self, Next, Outcome};
use super::record::{self, Leader};
use super::resumption::Resumption;
use crate::error::Error;
use crate::lock::Guard;
use crate::path::LockPath;
use crate::store::{Expected, StoreErrorKind};
use crate::ticket::Identity;

/// The pause before a proclamation whose reply was lost is made again.
const UNKNOWN_PAUSE: Duration = Duration::from_millis(20);

/// A leadership. Dropping it resigns.
///
/// It gives access to the [`Guard`] of the lock: the fencing token, whether and until when it may be relied upon, `lost()`,
/// `protect()`, and transactions that the store executes only while this leads.
#[must_use = "if unused, the leadership ends immediately"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct Leadership {
    guard: Guard,
    record: LockPath,
    identity: Identity,
    /// One at a time: an earlier proclamation that is repeated must not undo a later one.
    proclaiming: tokio::sync::Mutex<()>,
}

impl Leadership {
    pub(super) fn new(guard: Guard, record: LockPath, identity: Identity) -> Self {
        Self { guard, record, identity, proclaiming: tokio::sync::Mutex::new(()) }
    }

    /// Proclaims another payload. Observers see it, and see that the leader is the same.
    ///
    /// If the reply is lost it is made again, which changes nothing if it was executed.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if the leadership was lost before it was certain that the payload was proclaimed;
    /// [`Error::TooLarge`], [`Error::NoPermission`] and others as they say.
    ///
    /// # Cancel safety
    ///
    /// A proclamation that was sent may take effect even if the future is dropped.
    pub async fn proclaim(&self, payload: impl Into<Vec<u8>>) -> Result<(), Error> {
        let payload = payload.into();
        record::check_size(&payload)?;
        let _one_at_a_time = self.proclaiming.lock().await;
        let (token, identity) = (self.guard.fencing_token(), self.identity.clone());
        let data = Leader::new(self.guard.claim().node, token, identity, payload).to_bytes();
        loop {
            let transaction = self.guard.transaction().set_data(self.record.as_str(), data.clone(), None);
            let executed = self.guard.protect(transaction.commit()).await?;
            match proclaiming::after(outcome(&executed)) {
                Next::Succeed => return Ok(()),
                Next::Fail => return executed.map_err(|error| self.not_proclaimed(error)),
                Next::MakeRecord => self.make_record().await?,
                Next::Repeat => tokio::time::sleep(UNKNOWN_PAUSE).await,
            }
        }
    }

    /// What the next run of this process needs to go on leading; see [`Election::resume`](super::Election::resume).
    pub fn resumption(&self) -> Resumption {
        Resumption::new(self.guard.path(), self.guard.claim(), self.guard.fencing_token())
    }

    /// Ends the leadership and waits until that is certain.
    ///
    /// It goes on in the background, over a reconnect if need be, until the candidate's node is gone: there is nothing to retry.
    ///
    /// # Errors
    ///
    /// [`Error::LockLost`] if it was lost before; otherwise as [`Guard::release`].
    ///
    /// # Cancel safety
    ///
    /// The resignation is under way once this function was called. Dropping the future only stops waiting for it.
    pub fn resign(self) -> impl Future<Output = Result<(), Error>> + Send {
        self.guard.release()
    }

    fn not_proclaimed(&self, error: Error) -> Error {
        match error {
            // Of the transaction's parts, only the record can have been refused.
            Error::TransactionRefused { source, .. } => {
                Error::from_store("write the leader's record", self.record.as_str(), source)
            }
            error => error,
        }
    }

    async fn make_record(&self) -> Result<(), Error> {
        let session = self.guard.session();
        match session.write(session.store().write_value(&self.record, b"", Expected::Absent)).await {
            Ok(_) => Ok(()),
            // The transaction finds out whether it is there.
            Err(error) if error.kind() == StoreErrorKind::NodeExists || error.is_transient() => Ok(()),
            Err(error) => Err(Error::from_store("create the leader's record", self.record.as_str(), error)),
        }
    }
}

fn outcome(executed: &Result<(), Error>) -> Outcome {
    match executed {
        Ok(()) => Outcome::Executed,
        Err(Error::TransactionRefused { source, .. }) if source.kind() == StoreErrorKind::NoNode => {
            Outcome::RecordMissing
        }
        Err(Error::UnknownOutcome { .. }) => Outcome::Unknown,
        // It was not executed, and may be at the next attempt: no reason to give the leadership up.
        Err(Error::Store { source, .. } | Error::ReadOnly { source }) if source.is_transient() => Outcome::Unknown,
        Err(_) => Outcome::Failed,
    }
}

impl Deref for Leadership {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}
