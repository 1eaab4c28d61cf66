//! What a contender must never do.

use crate::state::{Note, State};
use crate::world::World;

/// The machine's own assertions hold.
pub fn no_assertion_fails(_: &World, state: &State) -> bool {
    !matches!(state.note, Some(Note::Panicked(_)))
}

/// A contender deletes its own node only: that of its token, not whatever has the name. It is excused if its own node
/// was deleted by hand, as docs/PROTOCOL.md says: "What remains is an operator who removes the queue, and clients who
/// make it anew and come to the same number, while the own node is not watched (the first 50 ms of a hold) or the news of
/// its deletion is on the way." That is judged by when the deletion was asked for. An interruption that was noticed since
/// its node was deleted leaves no excuse: "The same is done before the *first* deletion if the connection was interrupted".
pub fn nobody_deletes_anothers_node(_: &World, state: &State) -> bool {
    !matches!(state.note, Some(Note::DeletedAnothers(_)))
}

/// A write that is on its way is not dropped for something else: its outcome matters.
pub fn no_write_is_dropped(_: &World, state: &State) -> bool {
    !matches!(state.note, Some(Note::Abandoned(_)))
}

/// Whoever waits or holds is told what becomes of that before its contender ends, and as soon as it hears of a loss.
pub fn users_are_told(_: &World, state: &State) -> bool {
    !matches!(state.note, Some(Note::Untold(_)))
}
