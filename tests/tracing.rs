//! What is traced; a program of its own, because what is logged is a matter of the whole process.

use std::sync::Arc;
use std::time::Duration;

use fairlock::Fairlock;
use fairlock::store::memory::{Loss, Memory, Request};
use tokio::time::timeout;

const QUEUE: &str = "/a/_fairlock";
const PATIENCE: Duration = Duration::from_secs(5);

async fn eventually(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}

#[tokio::test]
async fn the_life_of_a_lock_is_traced_and_foreign_nodes_are_reported_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("fairlock=debug")
        .with_ansi(false)
        .with_writer(move || writer.clone());
    subscriber.init();

    let memory = Memory::new();
    let locks = Fairlock::builder().open(memory.clone()).await.expect("a session");
    let lock = locks.mutex("/a").expect("a good path");
    memory.create(&format!("{QUEUE}/config"), b"foreign".to_vec());
    let guard = lock.acquire().await.expect("free");
    let waiter = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    eventually(|| memory.children(QUEUE).len() == 3).await;
    eventually(|| log.text().contains("waiting")).await;
    guard.release().await.expect("released");
    let guard = soon(waiter).await.expect("no panic").expect("granted");
    memory.expire(memory.sessions()[0]);
    soon(guard.lost()).await;
    eventually(|| !memory.sessions().is_empty()).await;
    memory.lose_next(*memory.sessions().last().expect("a new one"), Request::Enter, Loss::Reply);
    drop(soon(lock.acquire()).await.expect("free"));

    let text = log.text();
    for part in [
        "session opened",
        "entered",
        "node=lock-0000000001",
        "waiting",
        "behind=lock-0000000001",
        "granted",
        "waited_ms=",
        "token=",
        "released",
        "held_ms=",
        "lost",
        "reason=the session expired",
        "recovered after a lost reply",
        "lock=/a",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    // Once for each session that saw them.
    assert_eq!(text.matches("not of this library").count(), 2, "{text}");
}
