//! No node is left behind.

use crate::state::{Request, State};
use crate::world::World;

/// When a contender has ended and its session lives, no node with its ticket is in the leader's tree, and none can
/// appear any more. In every state, not only when all is quiet.
pub fn no_node_outlives_its_contender(_: &World, state: &State) -> bool {
    let is_done = |contender: u8| state.contenders[usize::from(contender)].is_done();
    let lives = |session: usize| state.sessions[session].lives;
    let none_left = state.leader.nodes.iter().all(|node| !is_done(node.ticket) || !lives(node.session.into()));
    let none_to_come = state.sessions.iter().all(|session| {
        let enters = |ghost: &&crate::state::Queued| ghost.request == Request::Enter;
        session.ghosts.iter().filter(enters).all(|ghost| !is_done(ghost.contender))
    });
    none_left && none_to_come
}
