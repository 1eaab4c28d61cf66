//! At most one valid holder, in the order of tokens.

use fairlock::queue::Proof;

use crate::state::{Note, State, User, token_of};
use crate::tree::Node;
use crate::world::World;

/// Who was granted by the last step, with its token.
fn granted(state: &State) -> Option<(usize, u8)> {
    let Some(Note::Granted { contender, .. }) = state.note else { return None };
    let contender = usize::from(contender);
    state.contenders[contender].token().map(|token| (contender, token))
}

/// When c is granted and its node n is in the leader's tree: no node there that excludes c has a lower number; n's token is higher
/// than all granted before that exclude c; and no other contender that holds and excludes c has a node there.
///
/// Nothing is asked of a grant whose node is gone already: that takes an operator or a session ended by force, and a
/// resource that has seen a later token refuses its own.
pub fn grant_is_to_the_head(world: &World, state: &State) -> bool {
    let Some((granted, token)) = granted(state) else { return true };
    let Some(node) = state.leader.node_of_token(token) else { return true };
    let excludes =
        |other: &Node| world.are_rivals(granted, usize::from(other.ticket)) && !(node.shares && other.shares);
    let is_lowest = state.leader.nodes.iter().all(|other| other.number >= node.number || !excludes(other));
    let others_hold = state.contenders.iter().enumerate().any(|(index, other)| {
        let lives = other.token().is_some_and(|token| state.leader.node_of_token(token).is_some());
        world.exclude_each_other(state, granted, index) && other.machine.is_held() && lives
    });
    // Whoever gets permits shares them with those ahead of it, whether they have been told yet or not.
    let up_to_own = state.leader.nodes.iter().filter(|other| other.number <= node.number);
    let wanted = world.permits_of(up_to_own.map(|other| usize::from(other.ticket)));
    if world.permits > 0 {
        return wanted <= world.permits_max();
    }
    let highest = if world.shares(granted) { state.granted_alone_highest } else { state.granted_highest };
    is_lowest && token > highest && !others_hold
}

/// When a guard is handed over by a grant and its node is not in the leader's tree, somebody was rude: an operator
/// deleted the node, or the servers ended the session before its validity had lapsed.
pub fn guard_has_a_node(_: &World, state: &State) -> bool {
    let Some((granted, token)) = granted(state) else { return true };
    state.is_rude || state.contenders[granted].user != User::Holding || state.leader.node_of_token(token).is_some()
}

/// While nobody was rude, no two guards that exclude each other are valid by their own clocks, at any time.
pub fn one_valid_guard(world: &World, state: &State) -> bool {
    let valid = || (0..state.contenders.len()).filter(|&contender| state.contenders[contender].is_valid());
    if !state.is_rude && world.permits_of(valid()) > world.permits_max() {
        return false;
    }
    state.is_rude || valid().all(|one| valid().all(|other| !world.exclude_each_other(state, one, other)))
}

/// When a share was given up for the lock, nobody was granted the lock alone since the share was.
pub fn nothing_comes_between_a_share_and_its_upgrade(_: &World, state: &State) -> bool {
    let Some((granted, _)) = granted(state) else { return true };
    state.contenders[granted].share.is_none_or(|share| state.granted_alone_highest < token_of(share))
}

/// When the baton is believed, the own node's watch is in place, and the client has not got anything from it; and what
/// was told is a write of this connection's time, not a difference.
pub fn baton_is_believed_rightly(_: &World, state: &State) -> bool {
    let Some(Note::Granted { contender, proof: Proof::Baton, differs, .. }) = state.note else { return true };
    let own_watch = state.contenders[usize::from(contender)].own_watch;
    !differs && own_watch.is_some_and(|watch| watch.is_known && !watch.is_visible())
}

/// When a list is believed, the own node's watch is in place, and the client has not got anything from it; or the node
/// was read just before.
pub fn list_is_believed_rightly(_: &World, state: &State) -> bool {
    let Some(Note::Granted { contender, proof: Proof::Survey, is_confirmed, .. }) = state.note else { return true };
    let own_watch = state.contenders[usize::from(contender)].own_watch;
    is_confirmed || own_watch.is_some_and(|watch| watch.is_known && !watch.is_visible())
}
