//! The part of a server's tree that matters: one queue with its nodes, and the transactions that change it.

use fairlock::store::Neighbours;

/// A server's tree, as of the transactions that it has applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tree {
    /// Whether the queue's directory exists.
    pub exists: bool,
    /// The next number.
    pub next: u8,
    /// The contenders' nodes, by rising number.
    pub nodes: Vec<Node>,
    /// How many permits the directory says that there are, if it is one of permits.
    pub permits: u8,
}

/// A contender's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its number.
    pub number: u8,
    /// The count of all creations up to its own. It orders nodes as zxids do.
    pub token: u8,
    /// The session that owns it.
    pub session: u8,
    /// The contender whose ticket it carries.
    pub ticket: u8,
    /// How often it was written.
    pub version: u8,
    /// Whether its contender shares the lock, as its name tells.
    pub shares: bool,
}

/// A transaction as it is logged, after the leader has decided what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transaction {
    /// Nothing: a barrier, or a write that was refused.
    Nothing,
    /// Makes the queue.
    Make,
    /// Removes the empty queue.
    Remove,
    /// Creates a node.
    Create(Node),
    /// Deletes a node.
    Delete(u8),
    /// Writes and deletes a node.
    Release(u8),
    /// Deletes a node and the queue.
    CloseQueue(u8),
    /// Writes a node.
    Write(u8),
    /// Ends a session: deletes its nodes.
    EndSession(u8),
    /// Changes the number of permits.
    Resize(u8),
    /// Puts a shared node in place of the one of its number.
    Downgrade(Node),
}

/// The number under which the members and the data of the directory of permits are watched; no node has it.
pub const ROOM: u8 = u8::MAX;

/// What a watch tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// The node was written by its holder's release.
    Released,
    /// The node was written by somebody else.
    Forged,
    /// The node was deleted.
    Deleted,
    /// After a reconnect: another node has the name, or the node was written meanwhile.
    Differs,
}

impl Transaction {
    /// Whether it might change the node of this number.
    pub fn concerns(self, number: u8) -> bool {
        match self {
            Transaction::Nothing | Transaction::Resize(_) => false,
            Transaction::Create(node) | Transaction::Downgrade(node) => node.number == number,
            Transaction::Delete(changed) | Transaction::Release(changed) | Transaction::Write(changed) => {
                changed == number
            }
            Transaction::Make | Transaction::Remove | Transaction::CloseQueue(_) | Transaction::EndSession(_) => true,
        }
    }
}

impl Tree {
    /// The node of this number.
    pub fn node(&self, number: u8) -> Option<&Node> {
        self.nodes.iter().find(|node| node.number == number)
    }

    /// The live node of this token.
    pub fn node_of_token(&self, token: u8) -> Option<&Node> {
        self.nodes.iter().find(|node| node.token == token)
    }

    /// Whether the next node to be created will have company.
    pub fn neighbours_of_next(&self) -> Neighbours {
        if self.nodes.is_empty() { Neighbours::None } else { Neighbours::Some }
    }

    /// Applies a transaction; `tell` gets the number of each changed node, in order.
    pub fn apply(&mut self, transaction: Transaction, mut tell: impl FnMut(u8, Told)) {
        let before = (self.nodes.len(), self.permits);
        match transaction {
            Transaction::Nothing => {}
            Transaction::Make => *self = Tree { exists: true, ..Tree::default() },
            Transaction::Remove => *self = Tree::default(),
            Transaction::Resize(permits) => self.permits = permits,
            Transaction::Create(node) => {
                self.next = node.number + 1;
                self.nodes.push(node);
            }
            Transaction::Delete(number) => {
                self.nodes.retain(|node| node.number != number);
                tell(number, Told::Deleted);
            }
            Transaction::Release(number) => {
                // The write takes the watches; the deletion finds none.
                self.nodes.retain(|node| node.number != number);
                tell(number, Told::Released);
            }
            Transaction::CloseQueue(number) => {
                *self = Tree::default();
                tell(number, Told::Deleted);
            }
            Transaction::Write(number) => {
                for node in self.nodes.iter_mut().filter(|node| node.number == number) {
                    node.version += 1;
                }
                tell(number, Told::Forged);
            }
            Transaction::Downgrade(shared) => {
                for node in self.nodes.iter_mut().filter(|node| node.number == shared.number) {
                    *node = shared;
                }
                tell(shared.number, Told::Deleted);
            }
            Transaction::EndSession(session) => {
                let gone: Vec<u8> =
                    self.nodes.iter().filter(|node| node.session == session).map(|node| node.number).collect();
                self.nodes.retain(|node| node.session != session);
                for number in gone {
                    tell(number, Told::Deleted);
                }
            }
        }
        // Each transaction changes the number of nodes, or leaves them as they are.
        if (self.nodes.len(), self.permits) != before {
            tell(ROOM, Told::Deleted);
        }
    }
}
