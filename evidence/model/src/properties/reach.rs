//! What must be reached: a world in which nothing happens satisfies everything else.

use fairlock::queue::{Patience, Proof};
use stateright::Property;

use crate::state::{Contender, Note, State, User};
use crate::world::{Converts, Setup, World};

/// Its name.
pub const GRANTED_ALONE: &str = "granted alone";

/// Reached in every world in which contenders wait.
pub fn all(world: &World) -> Vec<Property<World>> {
    if world.permits > 0 {
        return of_permits();
    }
    let mut all = conversions(world);
    all.extend([
        Property::sometimes(GRANTED_ALONE, |_, state| is_granted(state, Proof::Alone)),
        Property::sometimes("granted by survey", |_, state| is_granted(state, Proof::Survey)),
        Property::sometimes("two share, or nobody may", |world: &World, state: &State| {
            let readers = || (0..state.contenders.len()).filter(|&contender| world.shares(contender));
            readers().count() < 2 || readers().filter(|&contender| state.contenders[contender].is_valid()).count() == 2
        }),
        Property::sometimes("all have ended", |_, state: &State| {
            state.contenders.iter().all(|contender| contender.is_done() && contender.user == User::Nobody)
        }),
    ]);
    // Whoever does not wait is not handed anything.
    let waits = |setup: &Setup| setup.patience == Patience::Wait && (!setup.shares || setup.starts_late);
    if world.contenders.iter().any(waits) {
        all.push(Property::sometimes("granted by the baton", |_, state| is_granted(state, Proof::Baton)));
    }
    all
}

/// Reached where contenders are converted.
fn conversions(world: &World) -> Vec<Property<World>> {
    let mut all = Vec::new();
    let converts = |is: fn(Converts) -> bool| world.contenders.iter().any(|setup| is(setup.converts));
    if converts(|converts| converts == Converts::Downgrades) {
        all.push(Property::sometimes(
            "one is downgraded, and shares with another if one may",
            |world: &World, state: &State| {
                let valid = || state.contenders.iter().filter(|contender| contender.is_valid());
                let has_share =
                    |contender: &Contender| contender.machine.node().is_some_and(|node| !node.sequence.is_exclusive());
                let others = world.contenders.iter().filter(|setup| setup.shares).count();
                valid().any(|contender| contender.is_content_with_share && has_share(contender))
                    && valid().count() == 1 + others
            },
        ));
    }
    if converts(|converts| matches!(converts, Converts::Upgrades(_))) {
        all.push(Property::sometimes("a share is given up for the lock", |_, state: &State| {
            state.contenders.iter().any(|contender| contender.share.is_some() && contender.is_valid())
        }));
        all.push(Property::sometimes("a share is not given up for the lock", |world: &World, state: &State| {
            let failed = |contender: usize| {
                let share = world.share_of(contender).map(|share| &state.contenders[share]);
                state.contenders[contender].machine.is_leaving() && share.is_some_and(|share| share.is_valid())
            };
            (0..state.contenders.len()).any(failed)
        }));
    }
    all
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
