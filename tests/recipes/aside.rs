//! Readers and writers of one lock that wait in tasks of their own.

use fairlock::store::memory::Memory;
use fairlock::{Error, ReadGuard, RwLock, WriteGuard};
use tokio::task::JoinHandle;

use crate::bed::{client, soon};

pub(crate) async fn lock(memory: &Memory) -> RwLock {
    client(memory).await.rw_lock("/a").expect("a path")
}

pub(crate) fn read_aside(lock: &RwLock) -> JoinHandle<Result<ReadGuard, Error>> {
    let lock = lock.clone();
    tokio::spawn(async move { lock.read().await })
}

pub(crate) fn write_aside(lock: &RwLock) -> JoinHandle<Result<WriteGuard, Error>> {
    let lock = lock.clone();
    tokio::spawn(async move { lock.write().await })
}

pub(crate) async fn granted<T>(waiting: JoinHandle<Result<T, Error>>) -> T {
    soon(waiting).await.expect("no panic").expect("granted")
}
