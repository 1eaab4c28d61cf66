//! The history as it happened: its hash, by which two runs are compared, and its steps, for whoever looks for a bug.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use fairlock::store::Change;

use crate::facts::{Fact, Lock, Remover};
use crate::network::CallKind;
use crate::plan::FaultKind;

/// A step of the simulated world.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Step {
    Opened { session: i64, client: usize },
    Executed { session: i64, call: CallKind, name: String, answer: &'static str },
    Late { session: i64, call: CallKind, name: String, answer: &'static str },
    Lost { session: i64, call: CallKind, name: String },
    Ignored { session: i64, call: CallKind },
    Event { session: i64, watch: u64, change: Change, is_heard: bool },
    Disturbed { session: i64, kind: FaultKind },
    Cut { session: i64, notice_ms: u64, down_ms: u64 },
    Noticed { session: i64 },
    Connected { session: i64 },
    Told { session: i64 },
    Ended { session: i64, by: Remover },
    ClosedByClient { session: i64 },
    Operator { action: &'static str, lock: Lock },
    Fact(Fact),
}

/// See the module's doc.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hasher: DefaultHasher,
    steps: Option<Vec<(u64, Step)>>,
    count: u64,
}

impl Trace {
    /// A trace that keeps its steps, or only their hash.
    pub(crate) fn new(keeps_steps: bool) -> Self {
        Self { steps: keeps_steps.then(Vec::new), ..Self::default() }
    }

    pub(crate) fn step(&mut self, at: u64, step: Step) {
        at.hash(&mut self.hasher);
        step.hash(&mut self.hasher);
        self.count += 1;
        if let Some(steps) = &mut self.steps {
            steps.push((at, step));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let show = |(at, step): &(u64, Step)| match step {
            Step::Fact(fact) => format!("{at:>7}  * {fact:?}"),
            Step::Executed { session, call, name, answer } => {
                format!("{at:>7}    session {session}: {call:?} {name} {answer}")
            }
            step => format!("{at:>7}    {step:?}"),
        };
        self.steps.iter().flatten().map(show).collect()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps, {:016x}", self.count, self.hash())
    }
}
