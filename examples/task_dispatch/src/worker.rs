//! A worker: takes the next task, works as long as it holds it, and writes the result with its token.

use std::sync::Arc;
use std::time::Duration;

use fairlock::{Error as LockError, Guard, Retry};

use crate::database::{Database, Task};
use crate::place::Process;
use crate::{Error, STAGES, Shared};

/// How long a task takes.
const WORK: Duration = Duration::from_millis(5);

/// How often a worker that is about to come late looks whether it is late: quicker than the work, so that it comes
/// between.
const LOOK_PAUSE: Duration = Duration::from_millis(1);

/// What may happen to a worker, at its first task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its process ends in the middle of the task.
    Dies,
    /// It works without end. The limit takes the task away.
    Hangs,
    /// It is paused before it writes, and goes on when another is at the task, without a look at its guard.
    ComesLate,
}

pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) process: Process,
    pub(crate) database: Database,
    pub(crate) shared: Arc<Shared>,
    trouble: Option<Trouble>,
}

impl Worker {
    pub(crate) fn new(
        number: usize,
        process: Process,
        database: Database,
        trouble: Option<Trouble>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { number, process, database, shared, trouble }
    }

    /// Works until all tasks are done.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        loop {
            let (task, guard) = match self.next_task().await {
                Ok(Some(found)) => found,
                Ok(None) => break,
                // A session that ended is replaced: back to the end of the queue.
                Err(error) if passes(&error) => continue,
                Err(error) => return Err(error),
            };
            match self.trouble.take() {
                Some(Trouble::Dies) => {
                    self.tell(&task, &guard, "dies");
                    self.process.end_session().await;
                    return Ok(());
                }
                Some(Trouble::Hangs) => {
                    self.tell(&task, &guard, "hangs");
                    self.finish(&task, &guard, guard.protect(std::future::pending()).await)?;
                }
                Some(Trouble::ComesLate) => {
                    self.tell(&task, &guard, "is paused");
                    let result = work(&task).await;
                    self.until_another_is_at(&task, &guard).await?;
                    self.finish(&task, &guard, Ok(result))?;
                }
                None => self.finish(&task, &guard, guard.protect(work(&task)).await)?,
            }
            match guard.release().await {
                Ok(()) | Err(LockError::LockLost { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.process.locks.close().await;
        Ok(())
    }

    fn finish(&self, task: &Task, guard: &Guard, worked: Result<String, LockError>) -> Result<(), Error> {
        let token = guard.fencing_token();
        match worked {
            Ok(result) => {
                if !self.database.complete(task, self.number, token, &result)? {
                    self.tell(task, guard, "writes too late, and is refused");
                }
            }
            Err(error) => {
                self.tell(task, guard, &format!("gives it back: {error}"));
                self.database.give_back(task, self.number, token)?;
            }
        }
        self.shared.changed.notify_one();
        Ok(())
    }

    async fn until_another_is_at(&self, task: &Task, guard: &Guard) -> Result<(), Error> {
        while self.database.newest_claim(task)? == Some(guard.fencing_token()) {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        Ok(())
    }

    fn tell(&self, task: &Task, guard: &Guard, what: &str) {
        println!("worker {}: has task {} with token {}, {what}", self.number, task.id, guard.fencing_token());
    }
}

async fn work(task: &Task) -> String {
    tokio::time::sleep(WORK).await;
    format!("{} of order {}: done", STAGES[task.stage], task.order_number)
}

/// Whether another attempt, from the end of the queue, may succeed.
fn passes(error: &Error) -> bool {
    let error = error.downcast_ref::<LockError>();
    error.is_some_and(|error| error.retry() == Retry::Yes || matches!(error, LockError::LockLost { .. }))
}
