//! The formulae of docs/SCALE.md: what locks cost, as functions of how many there are of everything.
//!
//! Each is derived from the code that it names. `situations` runs the shipped library on the counting store, and nothing
//! may differ, not by one request.

use crate::meter::Cost;

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Locks.
    pub locks: u64,
    /// Those who wait, per lock.
    pub waiters: u64,
    /// Sessions. Neighbours in a queue are of different ones, if there is more than one.
    pub sessions: u64,
}

impl Size {
    /// 1 if neighbours in a queue have sessions of their own, else 0.
    fn apart(self) -> u64 {
        u64::from(self.sessions > 1)
    }
}

/// 1 + 2 + … + n.
fn sum_to(n: u64) -> u64 {
    n * (n + 1) / 2
}

/// Entering where so many directories are missing and nobody is (`Machine::entering`, `make_queue`): the transaction
/// fails; another makes the innermost two, then three, and so on, until one begins with the outermost that is missing; the
/// first one succeeds. Where only the queue is missing, the making of two is refused, and the queue is made.
pub fn first_use(missing: u64) -> Cost {
    let making = if missing == 1 { 2 } else { missing - 1 };
    Cost::of(1 + making + 1, 0, 0)
}

/// Entering an empty queue (`Machine::entered`, proof *alone*).
pub fn acquire() -> Cost {
    Cost::of(1, 0, 0)
}

/// Holding longer than 50 ms (`OWN_WATCH_DELAY`): the own node is watched.
pub fn hold() -> Cost {
    Cost::of(0, 1, 0)
}

/// The last one leaves (`LeaveForm::Release`), and is told of its own deletion if it watched its node.
pub fn release(was_watched: bool) -> Cost {
    Cost::of(1, 0, u64::from(was_watched))
}

/// Trying a held lock (`Mutex::has_contender`).
pub fn try_held(size: Size) -> Cost {
    Cost::of(0, 1, 0).listing(size.waiters + 1)
}

/// All waiters of all locks come, at whatever pace: each enters, watches its node and the one before (`Machine::entered`).
pub fn gather(size: Size) -> Cost {
    size.locks * size.waiters * Cost::of(1, 2, 0)
}

/// The server's watches when all wait and the holders watch their nodes: one for each node by its owner, and one by the
/// successor, which is the same where both are of one session.
pub fn watches(size: Size) -> u64 {
    size.locks * (1 + size.waiters + size.apart() * size.waiters)
}

/// The znodes of contenders.
pub fn ephemerals(size: Size) -> u64 {
    size.locks * (1 + size.waiters)
}

/// One hand-over: the release, which the successor is told, and the releaser itself if it is of another session.
pub fn hand_over(size: Size) -> Cost {
    Cost::of(1, 0, 1 + size.apart())
}

/// All waiters are served, and the last one releases.
pub fn drain(size: Size) -> Cost {
    size.locks * (size.waiters * hand_over(size) + release(true))
}

/// Each waiter looks at its predecessor's node once in 22.5 to 30 s (`pauses::until_next_look`, `Action::Probe`).
pub fn looks(size: Size, each: u64) -> Cost {
    size.locks * size.waiters * each * Cost::of(0, 1, 0)
}

/// A waiter with so many others in the queue, neither the first nor the last, gives up: its node is deleted, which its
/// successor is told, and it itself if they are of different sessions; its watch on its predecessor is taken back unless
/// somebody of its session has it too; the successor lists the queue and watches the next.
pub fn give_up(size: Size, others: u64, is_watch_shared: bool) -> Cost {
    Cost::of(1, 2 + u64::from(!is_watch_shared), 1 + size.apart()).listing(others)
}

/// All waiters give up, the foremost first. Each has come to watch the holder, whose session does so too.
pub fn give_up_from_the_front(size: Size) -> Cost {
    let of_the_holders = |place: u64| place.is_multiple_of(size.sessions);
    let all_but_last = (1..size.waiters)
        .fold(Cost::NONE, |sum, place| sum + give_up(size, size.waiters + 1 - place, of_the_holders(place)));
    // Nobody is behind the last one.
    let last = Cost::of(1, u64::from(!of_the_holders(size.waiters)), 1);
    size.locks * if size.waiters == 0 { Cost::NONE } else { all_but_last + last }
}

/// The holder's session ends, which is nobody's request: its successor of another session is told, and lists the queue.
pub fn expiry(size: Size) -> Cost {
    Cost::of(0, 1, 1).listing(size.waiters)
}

/// After a reconnect of all sessions, a drain. Whoever leaves writes a barrier and reads its node first
/// (`Machine::leave`), and whoever is next lists the queue (`may_believe_baton`): a list for each of ever fewer.
pub fn drain_after_reconnect(size: Size) -> Cost {
    let sure = Cost::of(1, 1, 0);
    let each = hand_over(size) + sure + Cost::of(0, 1, 0);
    size.locks * (size.waiters * each + release(true) + sure).listing(sum_to(size.waiters))
}

/// Readers come to a lock with a writer, one after the other. Each lists the queue, since it may have nobody to wait for
/// (`Machine::entered`), and watches the writer.
pub fn readers_one_by_one(size: Size) -> Cost {
    let names = sum_to(size.waiters + 1) - 1;
    size.locks * (size.waiters * Cost::of(1, 3, 0)).listing(names)
}

/// As that, all at once: each finds all others in its list.
pub fn readers_at_once(size: Size) -> Cost {
    size.locks * (size.waiters * Cost::of(1, 3, 0)).listing(size.waiters * (size.waiters + 1))
}

/// The writer releases, and all readers are granted: one notification for each session.
pub fn readers_granted(size: Size) -> Cost {
    size.locks * Cost::of(1, 0, size.sessions.min(size.waiters + 1))
}

/// A writer comes to a lock with readers or writers: it enters, watches its node, and the one before under either name
/// (`Machine::guess`).
pub fn writer_comes() -> Cost {
    Cost::of(1, 3, 0)
}

/// Readers leave with nobody behind them. Each is told of its own deletion.
pub fn readers_leave(size: Size) -> Cost {
    size.locks * size.waiters * Cost::of(1, 0, 1)
}

/// A permit of a semaphore that has been used before, with room for it and so many held: the number of permits is read
/// (`agree`), the turn and the room are entered, the own node is watched, room and number are read, the turn is given up.
pub fn permit(held: u64) -> Cost {
    Cost::of(3, 4, 0).listing(held + 1)
}

/// Waiters for permits come, all of which are held. The first has its turn, looks for room twice, the second time with
/// watches, and has its turn's node watched after 50 ms; the others wait for their turn as for a lock.
pub fn permits_gather(size: Size, permits: u64) -> Cost {
    if size.waiters == 0 {
        return Cost::NONE;
    }
    let first = Cost::of(2, 7, 0).listing(2 * (permits + 1));
    size.locks * (first + (size.waiters - 1) * Cost::of(1, 3, 0))
}

/// A permit is handed over with others waiting for their turn: it is given back, which its owner and the foremost are
/// told; that one reads room and number, takes its other watch back, and gives its turn up, which its successor is told, and it itself if they
/// are of different sessions; that successor enters the room, watches its node, and looks for room twice.
pub fn permit_hand_over(size: Size, permits: u64) -> Cost {
    let granted = Cost::of(1, 3, 2).listing(permits);
    let turn = Cost::of(1, 0, 1 + size.apart());
    let next = Cost::of(1, 5, 0).listing(2 * (permits + 1));
    granted + turn + next
}

/// A leadership whose record is there: the lock, and one transaction (`Leadership::proclaim`).
pub fn campaign() -> Cost {
    acquire() + Cost::of(1, 0, 0)
}

/// So many observers, each with a session of its own, begin: each reads and watches the record and the leader's node.
pub fn observe(observers: u64) -> Cost {
    observers * Cost::of(0, 2, 0)
}

/// The leader resigns to a candidate that waits, and the observers come to know both: they are told of the node's end and
/// of the new record, and each time they read the record and look for the node that it names. The record's watch is taken
/// back the first time (`Observer::watch_record`). With the leader's two notifications being two sessions'.
pub fn leader_changes(observers: u64) -> Cost {
    Cost::of(2, 0, 2) + observers * Cost::of(0, 4 + 1, 2)
}

/// So many beats of each session's keeper, T/7 apart (`session::keep`): with contenders every second one writes.
pub fn keeping(size: Size, beats: u64, is_contending: bool) -> Cost {
    let writes = if is_contending { beats.div_ceil(2) } else { 0 };
    size.sessions * Cost::of(writes, beats - writes, 0)
}

/// A look of a waiter that wants to know its place (`driver::progress`): a list and the holder's node.
pub fn progress(size: Size, each: u64) -> Cost {
    each * Cost::of(0, 2, 0).listing(size.waiters + 1)
}

/// Who holds and who waits for one lock (`contenders::list`).
pub fn contenders(size: Size) -> Cost {
    Cost::of(0, 1 + size.waiters + 1, 0).listing(size.waiters + 1)
}

/// All locks below a directory with nothing else in it (`locks_below`): the directory, and for each lock its path, its
/// queue and its holder.
pub fn locks_below(size: Size) -> Cost {
    let each = Cost::of(0, 3, 0).listing(1 + 1 + size.waiters);
    Cost::of(0, 1, 0).listing(size.locks) + size.locks * each
}

/// Being told of the next change of one lock (`watch_lock`), which then comes.
pub fn watch_lock(size: Size) -> Cost {
    Cost::of(0, 1, 1).listing(size.waiters + 1)
}
