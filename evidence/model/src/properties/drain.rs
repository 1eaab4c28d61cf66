//! From every state all ends well, in a bounded number of steps, once nothing goes wrong any more.

use crate::properties::progress::nobody_waits_for_ever;
use crate::state::State;
use crate::world::World;

/// More steps than any history of these worlds needs after its last fault.
const STEPS_MAX: usize = 400;

/// If from now on nothing goes wrong and everybody gets a turn, all contenders end within a bounded number of steps.
///
/// One fair schedule: the possible steps take turns by their kind. Deadlocks of other schedules are found by
/// [`nobody_waits_for_ever`], since the checker visits them all.
pub fn all_ends_well(world: &World, state: &State) -> bool {
    let mut state = state.clone();
    let mut steps = Vec::new();
    for turn in 0..STEPS_MAX {
        steps.clear();
        world.steps(&state, &mut steps);
        steps.retain(|step| step.is_progress());
        let Some(&step) = steps.get(turn % steps.len().max(1)) else {
            return nobody_waits_for_ever(world, &state);
        };
        state = world.step(&state, step);
    }
    false
}
