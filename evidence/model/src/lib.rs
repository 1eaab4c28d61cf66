//! A model checker visits every state of a small world around the shipped queue machine, and of one around an election.
//!
//! What follows is about the queue; [`election`] has a world of its own.
//!
//! # What is real
//!
//! Each contender is a [`fairlock::queue::Machine`], the shipped one, driven through its public face. Everything around
//! it is modelled: [`driver`](world::Driver) does what `src/driver` does, the servers do what docs/PROTOCOL.md says that
//! ZooKeeper does.
//!
//! # The abstraction
//!
//! * *Servers.* A leader, whose log is the order of all writes, and a follower that has applied a prefix of it. A
//!   session is connected to one of them or to none. Looks are answered from the connected server's tree; a write's reply
//!   comes once that server has applied it. A server that lacks what the client has seen refuses it.
//! * *Order.* The requests of a session are executed in order; replies and events come in one order per connection. A
//!   reply is taken to arrive when it is made, with all events before it: that it is taken in later is a step of its own,
//!   and that it is lost is the same as a request that is executed after its connection was lost.
//! * *Lost connections.* What is unanswered has an unknown outcome; each unexecuted write remains as a ghost that may be
//!   executed later or never, but not after a later write of its session. On the next connection, watches tell what is
//!   different.
//! * *The driver.* News of the own node come before a predecessor's event and before an answer; the session's state is
//!   seen late, only as the latest, or not at all if the connection is soon back. Looking at it changes nothing but flags, so
//!   a look is merged with the step after it. A holder's own watch is asked for some time after the grant. Whether the
//!   connection has held is asked at any time between the event's arrival and its use.
//! * *Time.* There is none: whatever waits for a timer may happen at any time. A session that is cut off ends only after
//!   its validity has lapsed by its holders' clocks, which is what the argument about clocks in docs/PROTOCOL.md promises;
//!   a rude end has no such regard.
//! * *Tokens* count creations, so that histories that differ only in transaction numbers are one.
//! * *Independent steps* are visited in one order only, once no fault can happen any more: see `calm`.
//!
//! # What is not modelled
//!
//! Refusals by permission or quota, overloaded and read-only servers, lost events of connections that hold, several
//! attempts after one another by one user, more than one lock, numbers beyond a few, restarts of servers (for a client, a
//! lost connection), and the arithmetic of validity, which has tests of its own. A reaped or deleted queue is made anew by
//! contenders only.

mod calm;
pub mod check;
mod conversion;
mod driver;
pub mod election;
mod faults;
mod panics;
pub mod properties;
mod servers;
pub mod state;
pub mod step;
pub mod tree;
pub mod world;
pub mod worlds;
