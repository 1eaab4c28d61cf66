//! The next task for a free worker.

use std::time::Duration;

use fairlock::{AcquireOptions, Error as LockError, Guard};

use crate::Error;
use crate::database::Task;
use crate::worker::Worker;

/// Between two looks at an empty pool, should nobody tell of a new task.
const POLL: Duration = Duration::from_millis(20);

/// How long to wait for a lock that should be free.
const PATIENCE: Duration = Duration::from_secs(1);

/// The lock that is the queue of the free workers.
pub(crate) fn lock_of(path: &str) -> String {
    format!("{path}/dispatch")
}

impl Worker {
    /// Waits until this worker is the next to be given a task, and until there is one; `None` when all are done.
    pub(crate) async fn next_task(&self) -> Result<Option<(Task, Guard)>, Error> {
        let dispatch = self.process.locks.mutex(&lock_of(&self.shared.path))?.acquire().await?;
        // If this is dropped half-way, so is the task's lock, and what was claimed with it is given up.
        let found = dispatch.protect(self.look()).await?;
        match dispatch.release().await {
            Ok(()) | Err(LockError::LockLost { .. }) => found,
            Err(error) => Err(error.into()),
        }
    }

    async fn look(&self) -> Result<Option<(Task, Guard)>, Error> {
        loop {
            for task in self.database.due()? {
                if let Some(guard) = self.take(&task).await? {
                    return Ok(Some((task, guard)));
                }
            }
            if self.database.done()? == self.shared.tasks {
                return Ok(None);
            }
            // Told or not: look.
            let _: Result<(), _> = tokio::time::timeout(POLL, self.shared.changed.notified()).await;
        }
    }

    /// Takes a task whose lock is free.
    async fn take(&self, task: &Task) -> Result<Option<Guard>, Error> {
        let lock = self.process.locks.mutex(&format!("{}/tasks/{}", self.shared.path, task.id))?;
        // One read, which may be old: then the lock is waited for a moment, or the next look finds it free.
        if task.was_claimed && !lock.contenders().await?.is_empty() {
            return Ok(None);
        }
        let options = AcquireOptions::default().hold_at_most(self.shared.limit).timeout(PATIENCE);
        let guard = match lock.acquire_with(options).await {
            Ok(guard) => guard,
            Err(LockError::Timeout { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // It may have been done between the look and the lock.
        if self.database.claim(task, self.number, guard.fencing_token(), self.shared.limit)? {
            return Ok(Some(guard));
        }
        Ok(None)
    }
}
