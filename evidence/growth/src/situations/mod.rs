//! The shipped library in each situation, beside its formula.

mod elections;
mod looking;
mod mutexes;
mod permits;
mod sharing;
mod stage;

use std::fmt;

use crate::formula::Size;
use crate::meter::Cost;

/// A formula and what was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What happens.
    pub situation: &'static str,
    /// How much there is of everything.
    pub size: Size,
    /// What the formula says.
    pub expected: Vec<u64>,
    /// What was counted.
    pub counted: Vec<u64>,
}

impl Comparison {
    /// Whether the formula holds.
    pub fn holds(&self) -> bool {
        self.expected == self.counted
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { locks, waiters, sessions } = self.size;
        write!(f, "{} (L {locks}, W {waiters}, C {sessions}): {:?}", self.situation, self.counted)?;
        if self.holds() { Ok(()) } else { write!(f, ", the formula says {:?}", self.expected) }
    }
}

/// Notes comparisons.
#[derive(Debug)]
struct Book {
    size: Size,
    comparisons: Vec<Comparison>,
}

impl Book {
    fn new(size: Size) -> Self {
        Self { size, comparisons: Vec::new() }
    }

    fn cost(&mut self, situation: &'static str, expected: Cost, counted: Cost) {
        let figures = |cost: Cost| vec![cost.writes, cost.reads, cost.names, cost.events];
        self.note(situation, figures(expected), figures(counted));
    }

    fn note(&mut self, situation: &'static str, expected: Vec<u64>, counted: Vec<u64>) {
        self.comparisons.push(Comparison { situation, size: self.size, expected, counted });
    }
}

/// All situations, of this size, on a paused clock of their own. Costs are writes, reads, names and events.
///
/// # Panics
///
/// If the library refuses something, or nobody is granted.
pub fn all(size: Size) -> Vec<Comparison> {
    let mut book = Book::new(size);
    stage::on_a_paused_clock(async {
        mutexes::all(&mut book).await;
        sharing::all(&mut book).await;
        permits::all(&mut book).await;
        elections::all(&mut book).await;
        looking::all(&mut book).await;
    });
    book.comparisons
}
