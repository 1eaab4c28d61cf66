//! One process of the tests in `crashes.rs`: it holds something of any kind, or waits for it, until something happens to it.
//!
//! Usage: `holding_worker hold|stop|wait SERVERS KIND PATH TIMEOUT_MS`. It prints `held` once it holds, and then
//!
//! * `lead`: is a leader, whatever the kind, and prints what its next run needs in place of `held`; goes on for ever, holding the lock
//!   `PATH/probe` as well,
//! * `hold`: goes on for ever,
//! * `stop`: stops itself at once; when it is continued, prints what it is told first (whether what it holds is valid, for how
//!   many milliseconds more, and what a release says), and ends,
//! * `wait`: goes on for ever; it does not hold when it gets a line, it exits without a word to anybody.

use std::io::Write;
use std::time::Duration;

use fairlock::Fairlock;
use kinds::Kind;
use rustix::process::{Signal, getpid, kill_process};

#[allow(dead_code, reason = "the suite of the recipes uses all of it")]
#[path = "../recipe_contract/kinds.rs"]
mod kinds;

// One thread: after a pause nothing of the library runs before what is held is asked.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, servers, kind, path, timeout] = &arguments[..] else {
        return Err("usage: holding_worker hold|stop|wait|lead SERVERS KIND PATH TIMEOUT_MS".into());
    };
    let session_timeout = Duration::from_millis(timeout.parse()?);
    let locks = Fairlock::builder().session_timeout(session_timeout).connect(servers).await?;
    if what == "lead" {
        // Shows how long the session lives.
        let _probe = locks.mutex(&format!("{path}/probe"))?.acquire().await?;
        let leadership = locks.election(path)?.campaign("first run").await?;
        tell(&leadership.resumption().to_string())?;
        return std::future::pending().await;
    }
    let lock = (Kind::named(kind).lock)(&locks, path)?;
    if what == "wait" {
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_line(&mut String::new());
            std::process::exit(0)
        });
    }
    let held = lock.acquire().await?;
    tell("held")?;
    if what != "stop" {
        return std::future::pending().await;
    }
    kill_process(getpid(), Signal::STOP)?;
    let (is_valid, valid_for) = (held.is_valid(), held.valid_for());
    let released = match held.release().await {
        Ok(()) => "released",
        Err(fairlock::Error::LockLost { .. }) => "lock-lost",
        Err(error) => return Err(error.into()),
    };
    tell(&format!("{is_valid} {} {released}", valid_for.as_millis()))?;
    Ok(())
}

fn tell(line: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}
