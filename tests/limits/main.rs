//! How far the lock goes on a real server: ten thousand waiters, what each of them costs, and holders that are stopped.

// Each program of tests uses a part of it.
#[allow(dead_code)]
#[path = "../zookeeper/bed.rs"]
mod bed;
mod memory;
mod pauses;
mod waiters;
