//! What must be reached: a world in which nothing happens satisfies everything else.

use fairlock::queue::Proof;
use stateright::Property;

use crate::state::{Note, State, User};
use crate::world::World;

/// Its name.
pub const GRANTED_ALONE: &str = "granted alone";

/// Reached in every world in which contenders wait.
pub fn all(world: &World) -> Vec<Property<World>> {
    if world.permits > 0 {
        return of_permits();
    }
    vec![
        Property::sometimes(GRANTED_ALONE, |_, state| is_granted(state, Proof::Alone)),
        Property::sometimes("granted by survey", |_, state| is_granted(state, Proof::Survey)),
        Property::sometimes("granted by the baton", |_, state| is_granted(state, Proof::Baton)),
        Property::sometimes("two share, or nobody may", |world: &World, state: &State| {
            let readers = || (0..state.contenders.len()).filter(|&contender| world.shares(contender));
            readers().count() < 2 || readers().filter(|&contender| state.contenders[contender].is_valid()).count() == 2
        }),
        Property::sometimes("all have ended", |_, state: &State| {
            state.contenders.iter().all(|contender| contender.is_done() && contender.user == User::Nobody)
        }),
    ]
}

/// The same, where contenders want permits.
fn of_permits() -> Vec<Property<World>> {
    vec![
        Property::sometimes("granted by survey", |_, state| is_granted(state, Proof::Survey)),
        Property::sometimes("two hold together", |_, state: &State| {
            state.contenders.iter().filter(|contender| contender.is_valid()).count() == 2
        }),
        Property::sometimes("one waits for room", |_, state: &State| {
            state.contenders.iter().any(|contender| contender.predecessor_watch.is_some_and(|watch| watch.is_known))
        }),
        Property::sometimes("all have ended", |_, state: &State| {
            state.contenders.iter().all(|contender| contender.is_done() && contender.user == User::Nobody)
        }),
    ]
}

fn is_granted(state: &State, by: Proof) -> bool {
    matches!(state.note, Some(Note::Granted { proof, .. }) if proof == by)
}
