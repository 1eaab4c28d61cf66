//! What must hold in every state, one property a file, and what must be reached at all.

pub mod conduct;
pub mod drain;
pub mod fifo;
pub mod holder;
pub mod orphans;
pub mod progress;
pub mod reach;
pub mod watches;

use stateright::Property;

use crate::world::{Converts, World};

/// The properties of a world.
pub fn all(world: &World) -> Vec<Property<World>> {
    let mut all = vec![
        Property::always("a grant is to the head, with a rising token", holder::grant_is_to_the_head),
        Property::always("a guard is handed over for a live node only", holder::guard_has_a_node),
        Property::always("the baton is believed rightly", holder::baton_is_believed_rightly),
        Property::always("a list is believed rightly", holder::list_is_believed_rightly),
        Property::always("at most one guard is valid", holder::one_valid_guard),
        Property::always("first come, first served", fifo::first_come_first_served),
        Property::always("no node outlives its contender", orphans::no_node_outlives_its_contender),
        Property::always("nobody waits for ever", progress::nobody_waits_for_ever),
        Property::always("a waiter is woken", progress::a_waiter_is_woken),
        Property::always("one watch of each kind", watches::one_watch_of_each_kind),
        Property::always("no assertion fails", conduct::no_assertion_fails),
        Property::always("nobody deletes another's node", conduct::nobody_deletes_anothers_node),
        Property::always("users are told", conduct::users_are_told),
        Property::always("no write is dropped", conduct::no_write_is_dropped),
    ];
    if world.contenders.iter().any(|setup| matches!(setup.converts, Converts::Upgrades(_))) {
        let holds = holder::nothing_comes_between_a_share_and_its_upgrade;
        all.push(Property::always("nothing comes between a share and its upgrade", holds));
    }
    if world.drains {
        all.push(Property::always("all ends well from everywhere", drain::all_ends_well));
    }
    all.extend(reach::all(world));
    all
}
