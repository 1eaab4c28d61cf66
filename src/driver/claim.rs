//! Nodes that an attempt relies upon: its own, and earlier ones of the same user.

use crate::clock::Timestamp;
use crate::store::{Node, OwnNode, SessionId};
use crate::token::FencingToken;

/// A node and the session that owns it. By its name alone it might be another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) node: OwnNode,
    pub(crate) session: SessionId,
}

impl Claim {
    /// Whether this is the node, found by its name.
    pub(super) fn is_of(&self, found: &Node) -> bool {
        found.owner == Some(self.session) && found.token == self.node.token
    }
}

/// A share that is given up for the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) claim: Claim,
    /// Until when the lock is held at most, since the share is.
    pub(crate) held_until: Option<Timestamp>,
}

/// A node whose place a later attempt of the same user takes over, and the token that stays with the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) claim: Claim,
    pub(crate) token: FencingToken,
}
