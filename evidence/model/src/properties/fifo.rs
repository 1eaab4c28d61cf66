//! First come, first served.

use crate::state::{Note, State, User};
use crate::world::World;

/// When c is granted, no contender that still waits has a node in the leader's tree with a lower token than c's.
pub fn first_come_first_served(_: &World, state: &State) -> bool {
    let Some(Note::Granted { contender, .. }) = state.note else { return true };
    let Some(granted) = state.contenders[usize::from(contender)].token() else { return true };
    state.contenders.iter().all(|other| {
        let waits = other.user == User::Waiting && !other.machine.is_leaving();
        let earlier = other.token().filter(|&token| waits && token < granted);
        earlier.is_none_or(|token| state.leader.node_of_token(token).is_none())
    })
}
