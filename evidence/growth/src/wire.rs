//! How many bytes each step of the protocol takes on ZooKeeper's wire, both ways, as functions of the lengths of paths
//! and tickets: what `src/store/zookeeper/session.rs` and `nodes.rs` send, in ZooKeeper's own format.

/// `/lock-0000000007`.
pub const NODE: u64 = 16;

/// Length of the frame, number and code of the request.
const REQUEST: u64 = 12;
/// Length of the frame, number, transaction and error.
const REPLY: u64 = 20;
/// Code, whether it is the last, error: before each part of a transaction, and behind the last one.
const PART: u64 = 9;
const STAT: u64 = 68;
/// One entry: everybody may do everything.
const ACCESS: u64 = 4 + 4 + (4 + 5) + (4 + 6);
/// What is written to a queue's directory.
const MARK: u64 = 16;

/// A text or some data, with its length before it.
const fn text(bytes: u64) -> u64 {
    4 + bytes
}

/// Entering: a create and a write of the directory in one transaction.
pub const fn enter(queue: u64, ticket: u64) -> u64 {
    let create = PART + text(queue + "/lock-".len() as u64) + text(ticket) + ACCESS + 4;
    let mark = PART + text(queue) + text(MARK) + 4;
    // Without a Stat: it is a plain create.
    let created = PART + text(queue + NODE);
    let marked = PART + STAT;
    REQUEST + create + mark + PART + REPLY + created + marked + PART
}

/// Reading a node with or without placing a watch: a waiter's two watches, its looks, a holder's own watch.
pub const fn read(queue: u64, ticket: u64) -> u64 {
    REQUEST + text(queue + NODE) + 1 + REPLY + text(ticket) + STAT
}

/// A release: a write and a delete in one transaction.
pub const fn release(queue: u64) -> u64 {
    let write = PART + text(queue + NODE) + text(0) + 4;
    let delete = PART + text(queue + NODE) + 4;
    REQUEST + write + delete + PART + REPLY + PART + STAT + PART + PART
}

/// A notification of one node.
pub const fn event(queue: u64) -> u64 {
    REPLY + 4 + 4 + text(queue + NODE)
}

/// A list of so many contenders.
pub const fn list(queue: u64, names: u64) -> u64 {
    REQUEST + text(queue) + 1 + REPLY + 4 + names * text(NODE - 1)
}

/// A write without effect: what keeps a validity, and what comes before a departure after a reconnect.
pub const fn barrier() -> u64 {
    REQUEST + PART + text(1) + 4 + PART + REPLY + PART + PART
}

/// A read of the root: what keeps an idle session.
pub const fn touch() -> u64 {
    REQUEST + text(1) + 1 + REPLY + STAT
}

/// Giving so many watches back to a server after a reconnect, without the handshake.
pub const fn set_watches(queue: u64, watches: u64) -> u64 {
    REQUEST + 8 + 3 * 4 + watches * text(queue + NODE) + REPLY
}

/// The whole life of a contender that finds nobody, and holds shortly.
pub const fn alone(queue: u64, ticket: u64) -> u64 {
    enter(queue, ticket) + release(queue)
}

/// The whole life of one that waits and is handed the lock, between two sessions: two notifications.
pub const fn waiting(queue: u64, ticket: u64) -> u64 {
    enter(queue, ticket) + 2 * read(queue, ticket) + 2 * event(queue) + release(queue)
}

/// How many contenders a list has at most that fits a packet of so many bytes, as Java clients count: without the length
/// before the frame.
pub const fn names_max(packet: u64) -> u64 {
    (packet - (REPLY - 4) - 4) / text(NODE - 1)
}

/// How many contenders a session carries at most: two watched paths each, within what one frame restores
/// (`ZooKeeperSession::watch_limits`, `contend::watched_path_bytes`, `Session::seat`).
pub const fn contenders_per_session(queue: u64, root: u64) -> u64 {
    120 * 1_024 / (2 * (queue + NODE + root))
}
