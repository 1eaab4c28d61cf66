//! What the database has seen, and whether it is as promised.

use std::collections::BTreeMap;

use fairlock::FencingToken;

use crate::{Error, Trouble};

/// What the database has seen.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The tasks that are not done.
    pub open: Vec<i64>,
    /// What happened, in order.
    pub history: Vec<Entry>,
}

/// One write of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The task's id.
    pub task: i64,
    /// The worker's number.
    pub worker: usize,
    /// The token it wrote with.
    pub token: FencingToken,
    /// What came of it.
    pub what: What,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The worker is at the task.
    Claimed,
    /// Its result counts.
    Accepted,
    /// Its result does not count.
    Refused,
    /// It has lost the task, and knows.
    GivenBack,
    /// Something that this program does not write.
    Other,
}

impl What {
    const NAMES: [(What, &str); 4] = [
        (What::Claimed, "claimed"),
        (What::Accepted, "accepted"),
        (What::Refused, "refused"),
        (What::GivenBack, "given back"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(what, _)| *what == self).map_or("other", |(_, name)| name)
    }

    pub(crate) fn from_name(name: &str) -> Self {
        Self::NAMES.iter().find(|(_, known)| *known == name).map_or(What::Other, |(what, _)| *what)
    }
}

impl Report {
    /// How often this happened.
    #[must_use]
    pub fn count(&self, what: What) -> usize {
        self.history.iter().filter(|entry| entry.what == what).count()
    }

    /// Checks that each of so many tasks was done exactly once, by the last who has claimed it, and that what happened
    /// to the workers in trouble did no harm.
    ///
    /// # Errors
    ///
    /// The first promise that was broken.
    pub fn check(&self, tasks: usize, troubles: &[(usize, Trouble)]) -> Result<(), Error> {
        if !self.open.is_empty() {
            return Err(format!("tasks {:?} are not done", self.open).into());
        }
        let mut done = BTreeMap::new();
        for entry in self.history.iter().filter(|entry| entry.what == What::Accepted) {
            if done.insert(entry.task, entry).is_some() {
                return Err(format!("task {} was done twice", entry.task).into());
            }
            let newest = self.claims().filter(|claim| claim.task == entry.task).map(|claim| claim.token).max();
            if newest != Some(entry.token) {
                let task = entry.task;
                return Err(format!("task {task} was done with token {}, claimed with {newest:?}", entry.token).into());
            }
        }
        if done.len() != tasks {
            return Err(format!("{} tasks were done, not {tasks}", done.len()).into());
        }
        for (worker, trouble) in troubles {
            let first = self.claims().find(|claim| claim.worker == *worker);
            let first = first.ok_or_else(|| format!("worker {worker} has had no task"))?;
            // A worker that has lost a task and lives on may well be the next to get it.
            if done.get(&first.task).is_none_or(|entry| entry.token <= first.token) {
                return Err(format!("task {} was not done with a newer token than {}", first.task, first.token).into());
            }
            let expected = match trouble {
                Trouble::Dies => continue,
                Trouble::Hangs => What::GivenBack,
                Trouble::ComesLate => What::Refused,
            };
            if !self.history.contains(&Entry { what: expected, ..*first }) {
                return Err(format!("{trouble:?}, but no {expected:?} of worker {worker}").into());
            }
        }
        Ok(())
    }

    fn claims(&self) -> impl Iterator<Item = &Entry> {
        self.history.iter().filter(|entry| entry.what == What::Claimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(task: i64, worker: usize, token: i64, what: What) -> Entry {
        Entry { task, worker, token: FencingToken::from(token), what }
    }

    /// Worker 1 is late at task 1, worker 2 does both.
    fn good() -> Report {
        let history = vec![
            entry(1, 1, 5, What::Claimed),
            entry(2, 2, 6, What::Claimed),
            entry(2, 2, 6, What::Accepted),
            entry(1, 2, 9, What::Claimed),
            entry(1, 2, 9, What::Accepted),
            entry(1, 1, 5, What::Refused),
        ];
        Report { open: vec![], history }
    }

    fn flagged(change: impl FnOnce(&mut Report)) -> String {
        let mut report = good();
        change(&mut report);
        report.check(2, &[(1, Trouble::ComesLate)]).expect_err("a broken promise").to_string()
    }

    #[test]
    fn a_good_history_passes() {
        good().check(2, &[(1, Trouble::ComesLate)]).expect("nothing is wrong");
    }

    #[test]
    fn broken_promises_are_flagged() {
        assert!(flagged(|report| report.open.push(3)).contains("not done"));
        assert!(flagged(|report| report.history.push(entry(2, 2, 6, What::Accepted))).contains("twice"));
        assert!(flagged(|report| report.history[4] = entry(1, 1, 5, What::Accepted)).contains("with token 5"));
        assert!(flagged(|report| report.history.retain(|entry| entry.task == 1)).contains("1 tasks"));
        assert!(flagged(|report| report.history.truncate(5)).contains("no Refused"));
    }
}
