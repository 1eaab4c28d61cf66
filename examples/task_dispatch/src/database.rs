//! The tasks in SQLite, and the statements that decide what counts.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairlock::FencingToken;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::report::{Entry, Report, What};
use crate::{Error, STAGES};

/// How many tasks one look for the next finds; more than one, since somebody may still be at the first.
const LOOK: usize = 16;

/// Between two attempts of a statement that others keep out. SQLite's own pauses grow to 100 ms, in which the others
/// win over and over, until the worker has held its task for too long.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// How often a statement is tried.
const ATTEMPTS: i32 = 20_000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS tasks (
        id INTEGER PRIMARY KEY,
        order_number INTEGER NOT NULL,
        stage INTEGER NOT NULL,
        result TEXT,                               -- NULL until it is done
        token INTEGER NOT NULL DEFAULT 0,          -- of the last who has claimed it
        look_after REAL NOT NULL DEFAULT 0         -- not before then is it worth a look whether it was given up
    );
    CREATE INDEX IF NOT EXISTS due ON tasks (look_after, id) WHERE result IS NULL;
    CREATE TABLE IF NOT EXISTS history (task INTEGER, worker INTEGER, token INTEGER, what TEXT);
";

/// A connection to the database. It blocks its thread, for a moment; a database on another machine would want an async
/// client.
pub(crate) struct Database {
    connection: Mutex<Connection>,
}

/// A task as a worker gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) id: i64,
    pub(crate) order_number: i64,
    pub(crate) stage: usize,
    /// Whether somebody has had it.
    pub(crate) was_claimed: bool,
}

impl Database {
    /// Opens the file, and makes the tables if there are none.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.busy_handler(Some(|attempts| {
            std::thread::sleep(BUSY_PAUSE);
            attempts < ATTEMPTS
        }))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Pushes the first task of each order.
    pub(crate) fn push_orders(&self, count: usize) -> Result<(), Error> {
        self.change(|change| {
            for order in 1..=count {
                change.execute("INSERT INTO tasks (order_number, stage) VALUES (?, 0)", [order])?;
            }
            Ok(())
        })
    }

    /// The oldest tasks that nobody has claimed, or that may have been given up. The clock says only when a look is
    /// worth it; whether somebody is at it, the task's lock says.
    pub(crate) fn due(&self) -> Result<Vec<Task>, Error> {
        let connection = self.connection();
        let mut look = connection.prepare_cached(
            "SELECT id, order_number, stage, token > 0 FROM tasks
             WHERE result IS NULL AND look_after <= unixepoch('subsec') ORDER BY id LIMIT ?",
        )?;
        let tasks = look.query_map([LOOK], |row| {
            Ok(Task { id: row.get(0)?, order_number: row.get(1)?, stage: row.get(2)?, was_claimed: row.get(3)? })
        })?;
        Ok(tasks.collect::<Result<_, _>>()?)
    }

    /// Notes that the holder of the task's lock is at it: from now on, an older token's result is refused. False if it
    /// is done, or if a newer token has claimed it.
    pub(crate) fn claim(
        &self,
        task: &Task,
        worker: usize,
        token: FencingToken,
        limit: Duration,
    ) -> Result<bool, Error> {
        self.change(|change| {
            let claimed = change.execute(
                "UPDATE tasks SET token = ?1, look_after = unixepoch('subsec') + ?2
                 WHERE id = ?3 AND result IS NULL AND token <= ?1",
                params![token.as_i64(), limit.as_secs_f64(), task.id],
            )?;
            if claimed > 0 {
                note(change, task, worker, token, What::Claimed)?;
            }
            Ok(claimed > 0)
        })
    }

    /// Writes the result and pushes the next task, all or nothing; false if it was refused: somebody else has claimed
    /// the task since, or done it.
    pub(crate) fn complete(
        &self,
        task: &Task,
        worker: usize,
        token: FencingToken,
        result: &str,
    ) -> Result<bool, Error> {
        self.change(|change| {
            let accepted = change.execute(
                "UPDATE tasks SET result = ?1, token = ?2 WHERE id = ?3 AND result IS NULL AND token <= ?2",
                params![result, token.as_i64(), task.id],
            )?;
            if accepted == 0 {
                note(change, task, worker, token, What::Refused)?;
                return Ok(false);
            }
            note(change, task, worker, token, What::Accepted)?;
            if task.stage + 1 < STAGES.len() {
                change.execute(
                    "INSERT INTO tasks (order_number, stage) VALUES (?, ?)",
                    params![task.order_number, task.stage + 1],
                )?;
            }
            Ok(true)
        })
    }

    /// Tells others not to wait for the time to look again. If this is not written, they look when it has come.
    pub(crate) fn give_back(&self, task: &Task, worker: usize, token: FencingToken) -> Result<(), Error> {
        self.change(|change| {
            note(change, task, worker, token, What::GivenBack)?;
            change.execute(
                "UPDATE tasks SET look_after = 0 WHERE id = ? AND result IS NULL AND token = ?",
                params![task.id, token.as_i64()],
            )?;
            Ok(())
        })
    }

    pub(crate) fn done(&self) -> Result<usize, Error> {
        Ok(self.connection().query_row("SELECT count(result) FROM tasks", [], |row| row.get(0))?)
    }

    /// The token of the last who has claimed the task.
    pub(crate) fn newest_claim(&self, task: &Task) -> Result<Option<FencingToken>, Error> {
        let token: i64 =
            self.connection().query_row("SELECT token FROM tasks WHERE id = ?", [task.id], |row| row.get(0))?;
        Ok((token > 0).then(|| FencingToken::from(token)))
    }

    pub(crate) fn report(&self) -> Result<Report, Error> {
        let connection = self.connection();
        let mut all = connection.prepare("SELECT id FROM tasks WHERE result IS NULL ORDER BY id")?;
        let open = all.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut all = connection.prepare("SELECT task, worker, token, what FROM history ORDER BY rowid")?;
        let history = all.query_map([], |row| {
            Ok(Entry {
                task: row.get(0)?,
                worker: row.get(1)?,
                token: FencingToken::from(row.get::<_, i64>(2)?),
                what: What::from_name(&row.get::<_, String>(3)?),
            })
        })?;
        Ok(Report { open, history: history.collect::<Result<_, _>>()? })
    }

    /// A transaction that has the right to write from its beginning: none fails because another came between.
    fn change<T>(&self, f: impl FnOnce(&Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let mut connection = self.connection();
        // It may wait for others, and the locks' tasks must go on meanwhile.
        tokio::task::block_in_place(|| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let output = f(&transaction)?;
            transaction.commit()?;
            Ok(output)
        })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(change: &Transaction<'_>, task: &Task, worker: usize, token: FencingToken, what: What) -> Result<(), Error> {
    change.execute(
        "INSERT INTO history (task, worker, token, what) VALUES (?, ?, ?, ?)",
        params![task.id, worker, token.as_i64(), what.name()],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(3_600);

    fn token(number: i64) -> FencingToken {
        FencingToken::from(number)
    }

    fn database() -> (Database, Task) {
        let database = Database::open(Path::new(":memory:")).expect("a database");
        database.push_orders(1).expect("written");
        let task = database.due().expect("read").remove(0);
        (database, task)
    }

    #[test]
    fn a_result_with_an_older_token_than_the_claim_is_refused() {
        let (database, task) = database();
        assert!(database.claim(&task, 1, token(7), LIMIT).expect("written"));
        assert!(database.claim(&task, 2, token(9), LIMIT).expect("written"));
        assert!(!database.complete(&task, 1, token(7), "late").expect("written"));
        assert_eq!(database.newest_claim(&task).expect("read"), Some(token(9)));
        assert_eq!(database.done().expect("read"), 0);
        assert!(database.complete(&task, 2, token(9), "in time").expect("written"));
        assert!(!database.complete(&task, 2, token(9), "again").expect("written"), "a result is final");
    }

    #[test]
    fn a_task_that_is_done_or_claimed_by_a_newer_token_cannot_be_claimed() {
        let (database, task) = database();
        assert!(database.claim(&task, 2, token(9), LIMIT).expect("written"));
        assert!(!database.claim(&task, 1, token(7), LIMIT).expect("written"));
        assert!(database.complete(&task, 2, token(9), "done").expect("written"));
        assert!(!database.claim(&task, 3, token(11), LIMIT).expect("written"));
    }

    #[test]
    fn a_result_pushes_the_next_task_and_a_refused_one_does_not() {
        let (database, task) = database();
        database.claim(&task, 1, token(7), LIMIT).expect("written");
        assert_eq!(database.due().expect("read"), [], "somebody is at it");
        assert!(!database.complete(&task, 1, token(6), "old").expect("written"));
        assert_eq!(database.due().expect("read"), []);
        assert!(database.complete(&task, 1, token(7), "done").expect("written"));
        let next = database.due().expect("read");
        assert_eq!(next.iter().map(|task| (task.order_number, task.stage)).collect::<Vec<_>>(), [(1, 1)]);
    }

    #[test]
    fn a_task_is_worth_a_look_again_when_it_is_given_back_or_its_time_has_come() {
        let (database, task) = database();
        database.claim(&task, 1, token(7), LIMIT).expect("written");
        database.give_back(&task, 2, token(6)).expect("written");
        assert_eq!(database.due().expect("read"), [], "it was not that worker's any more");
        database.give_back(&task, 1, token(7)).expect("written");
        assert_eq!(database.due().expect("read").len(), 1);
        database.claim(&task, 1, token(8), Duration::ZERO).expect("written");
        let due = database.due().expect("read");
        assert!(due.first().is_some_and(|task| task.was_claimed), "{due:?}");
    }
}
