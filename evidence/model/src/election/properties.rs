//! What must hold in every state of an election's world, and what must be reached at all.

use stateright::Property;

use super::World;
use super::state::{Note, Record, State};

pub(super) fn all() -> Vec<Property<World>> {
    vec![
        Property::always("what an observer is told was true since it looked", told_what_is_true),
        Property::always("only who leads writes the record", only_who_leads_writes),
        Property::always("what is proclaimed is written", what_is_proclaimed_is_written),
        Property::always("once nothing is under way, the observer knows who leads", knows_once_nothing_is_under_way),
        Property::always("no assertion of the core fails", |_, state: &State| state.note != Some(Note::Panicked)),
        Property::sometimes("that nobody leads is told", |_, state| told(state, |_, now| now.is_none())),
        Property::sometimes("a leader is told", |_, state| told(state, |_, now| now.is_some())),
        Property::sometimes("another payload of the same leader is told", |_, state| {
            told(state, |before, now| matches!((before, now), (Some(old), Some(new)) if old.token == new.token))
        }),
        Property::sometimes("a leader is told after another", |_, state| {
            told(state, |before, now| matches!((before, now), (Some(old), Some(new)) if old.token < new.token))
        }),
        Property::sometimes("the end of a leader that was told is told", |_, state| {
            told(state, |before, now| before.is_some() && now.is_none())
        }),
        Property::sometimes("a proclamation is written twice", |_, state: &State| {
            state.written.is_some_and(|written| written.again)
        }),
    ]
}

/// Whatever is told, a leader or that nobody leads, was true at the observer's server between the look at the record and the telling,
/// and is something new.
pub fn told_what_is_true(_: &World, state: &State) -> bool {
    let Some(Note::Told { leader, before, was_true }) = &state.note else { return true };
    *was_true && *before != Some(*leader)
}

/// The leader whom a record names lived when it was written, and neither its token nor its payload is older than those before.
///
/// Except where an operator deleted its node and another's has its name: then the store checks that one (docs/PROTOCOL.md).
pub fn only_who_leads_writes(world: &World, state: &State) -> bool {
    let is_excused = |is_namesake| is_namesake && world.excuses_namesakes;
    state.written.is_none_or(|written| (written.by_living && written.in_order) || is_excused(written.is_namesake))
}

/// A proclamation that its leader takes for made was written.
pub fn what_is_proclaimed_is_written(_: &World, state: &State) -> bool {
    !matches!(state.note, Some(Note::Confirmed { is_written: false }))
}

/// When nothing is under way any more, neither at the servers nor to or from the observer, it has been told who leads. Looks for
/// missed events are not counted on.
pub fn knows_once_nothing_is_under_way(world: &World, state: &State) -> bool {
    let mut steps = Vec::new();
    world.steps(state, &mut steps);
    let is_under_way = steps.into_iter().any(|step| step.is_progress() && world.step(state, step) != *state);
    is_under_way || state.observer.told == Some(state.leader.truth())
}

fn told(state: &State, is: impl Fn(Option<Record>, Option<Record>) -> bool) -> bool {
    matches!(&state.note, Some(Note::Told { leader, before, .. }) if is(before.flatten(), *leader))
}
