//! Why there are fencing tokens: a holder that was paused for too long writes too late, and the resource refuses it.
//!
//! No lock can prevent such a write: the holder looked at its guard, was paused (by its scheduler, its garbage
//! collector, its hypervisor), and went on where it had stopped. Only the resource can tell, by the token.
//!
//! `cargo run --example fenced_write` runs in this process;
//! `ZOOKEEPER=localhost:2181 cargo run --example fenced_write` uses a server.

use std::error::Error;

use fairlock::{Fairlock, FencingToken, store::memory::Memory};

/// What the lock protects. A database would keep the token in a column and check it in the same statement:
/// `UPDATE … SET value = $1, token = $2 WHERE token <= $2`.
#[derive(Default)]
struct Resource {
    value: String,
    newest: Option<FencingToken>,
}

impl Resource {
    fn write(&mut self, value: &str, token: FencingToken) -> Result<(), String> {
        match self.newest {
            Some(newest) if token < newest => Err(format!("token {token} is older than {newest}")),
            _ => {
                self.newest = Some(token);
                self.value = value.to_owned();
                Ok(())
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let servers = std::env::var("ZOOKEEPER").ok();
    let memory = Memory::new();
    let open = async || match &servers {
        Some(servers) => Fairlock::connect(servers).await,
        None => Fairlock::builder().open(memory.clone()).await,
    };
    let path = format!("/examples/fenced_write/{:016x}", fastrand::u64(..));
    let mut resource = Resource::default();

    // The first process gets the lock, sees that it holds it, and is paused at this very moment.
    let first = open().await?;
    let first_guard = first.mutex(&path)?.acquire().await?;
    assert!(first_guard.is_valid());
    println!("first:  holds the lock with token {}, and is paused", first_guard.fencing_token());

    // Its session ends: as servers do it when they have not heard of it for the session timeout.
    match (&servers, memory.sessions().first()) {
        (None, Some(session)) => memory.expire(*session),
        // A server cannot be told to expire a session at once; to close it from aside has the same effect there.
        _ => first.close().await,
    }

    // The lock passes on.
    let second = open().await?;
    let second_guard = second.mutex(&path)?.acquire().await?;
    resource.write("by the second", second_guard.fencing_token())?;
    println!("second: writes with token {}", second_guard.fencing_token());
    assert!(second_guard.fencing_token() > first_guard.fencing_token());

    // The first goes on where it was. It has looked at its guard before, so it does not look again.
    let refused = resource.write("by the first", first_guard.fencing_token());
    let refusal = refused.err().ok_or("the late write must be refused")?;
    println!("first:  wakes up and writes, too late; refused: {refusal}");
    assert_eq!(resource.value, "by the second");

    // Had it looked, it would have known.
    println!("first:  is told: {}", first_guard.lost().await);
    assert!(!first_guard.is_valid());

    second_guard.release().await?;
    second.close().await;
    first.close().await;
    Ok(())
}
