//! The queue protocol: a pure state machine, without I/O, clock or async. Events go in, actions come out.
//!
//! One [`Machine`] is one contender: one ephemeral numbered node in a queue, from entering to leaving. The driver
//! executes its actions on a [`Store`](crate::store::Store) and reports what came of them. Everything that decides
//! who holds the lock is in this folder.
//!
//! ```text
//!            Enter                      alone
//!  Entering ───────▶ node s ─────────────────────────────────────────▶ Held
//!     │ ▲                │ not alone                                    ▲ │
//!     │ │ none           ▼                missing                       │ │ Release
//!     ▼ │ found   Placing(s-1) ─────────▶ Surveying ── no lower node ───┤ │
//!  Recovering ──▶        │                ▲   │ nearest lower node p    │ ▼
//!                        ▼       gone     │   ▼                         │ Leaving ──▶ Gone
//!                    Waiting(p) ──────────┴─ Placing(p)                 │ │ ▲ there
//!                        └───────── released (the baton) ───────────────┘ ▼ │
//!                                                                      Verifying
//! ```
//!
//! Not drawn: a head by survey whose own watch is not in place is confirmed by reading its node (`Confirming`); a
//! clean-up that is refused is tried again from time to time (`Stuck`); a waiter looks now and then whether it missed
//! an event (`Probing`); a writer that expects readers looks for the number before under either name at once (`Guessing`); a
//! contender for permits surveys and watches its whole directory (`SurveyingRoom`,
//! `AwaitingRoom`), which `machine/room.rs` argues; a holder that shares the lock from now on replaces its node
//! (`Downgrading`, `Locating`), which `machine/downgrading.rs` argues.
//!
//! # Why at most one contender is granted
//!
//! Let the head of a queue be its live node with the lowest number. Numbers are given in the order of creation, so
//! nobody ever enters ahead of a live node: once head, a node stays head until it is deleted. A grant needs one of
//! three proofs that the own node is the head ([`Proof`]):
//!
//! * **Alone**: the transaction that created the node saw no other child of the queue.
//! * **Survey**: a list of the queue shows the own node and none with a lower number. A server that knows the own
//!   node knows all earlier creations, so a stale list can only show nodes too many, never one too few. A name alone
//!   is not the own node: the own watch is in place and silent, or the node is read and its owner and token compared.
//! * **Baton**: the watch on the predecessor reports a *write*. Only a holder writes to its node, in the transaction
//!   that deletes it; so the predecessor was head, and its successor is now. This is believed only while the own
//!   node's watch is placed and silent and the connection has not been interrupted since: a server reports changes
//!   in their order, so had the own node gone first (deleted, expired), that would have been reported first.
//!
//! Who has a share already, and gives it up for the lock, is no head as long as that is ahead of it. It is granted by a survey
//! that shows nobody else ahead, once the share's node was read and compared like its own, and it passes no baton.
//!
//! A *deleted* predecessor proves nothing (it may have been a waiter that gave up, or a whole session that ended,
//! the own one included): the contender surveys.
//!
//! # Invariants
//!
//! Checked by `Machine::assert_invariants` after every event:
//!
//! * Q1: from entering to leaving, the machine knows its node, or two of which it has one; before and after, it has none.
//! * Q2: a contender waits only for a lower number than its own.
//! * Q3: at most one request of the protocol is outstanding (besides placing the own watch): each phase has one.
//! * Q4: a grant happens once, with a proof, and never after the machine was cancelled, failed or told of a loss.
//! * Q5: a machine ends (`Finish`) exactly once, and only after its node is known to be gone or doomed with its
//!   session: so a cancelled or failed contender leaves nothing behind.
//!
//! The reasoning in full, with the facts about servers that it rests on, is in docs/PROTOCOL.md.

mod event;
mod machine;
mod survey;
#[cfg(test)]
mod tests;

pub use self::event::{Action, Event, Failure, LeaveForm, Proof};
pub use self::machine::{Limits, Machine, Patience};
pub use self::survey::{Survey, read_children, sort_children};
pub use crate::name::{Mode, Sequence};
