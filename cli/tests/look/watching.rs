//! `--watch` where standard output is no terminal.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use fairlock_testcontainers::{Close, Proxy};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bed::{Outcome, address, client, program, start, unused_path, wait_for_contenders};

/// The program, and its lines as they come.
struct Watching {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watching {
    async fn start(args: &[&str]) -> Result<Self, Box<dyn std::error::Error>> {
        let mut child = start(args).await?;
        let lines = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self { child, lines })
    }

    async fn line(&mut self) -> Result<String, Box<dyn std::error::Error>> {
        let mut line = String::new();
        // The clients of the test go on meanwhile, on other threads.
        let length = tokio::task::block_in_place(|| self.lines.read_line(&mut line))?;
        assert!(length > 0, "the program ended too soon");
        Ok(line.trim_end().to_owned())
    }

    async fn json(&mut self) -> Result<Value, Box<dyn std::error::Error>> {
        Ok(serde_json::from_str(&self.line().await?)?)
    }

    fn end(mut self, signal: Signal) -> Result<Option<i32>, Box<dyn std::error::Error>> {
        kill_process(Pid::from_child(&self.child), signal)?;
        Ok(self.child.wait()?.code())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_a_json_document_of_one_line() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let guard = one.mutex(&path)?.acquire().await?;
    // Nobody waits for the interval: the servers tell of each change.
    let mut watching = Watching::start(&["queue", "--watch", "--json", "--interval", "1h", &path]).await?;
    let first = watching.json().await?;
    assert_eq!((&first["event"], &first["path"]), (&json!("look"), &json!(path)));
    assert_eq!(first["locks"][0]["contenders"][0]["identity"]["owner"], json!("one"));

    let lock = two.mutex(&path)?;
    let waiting = tokio::spawn(async move { lock.acquire().await });
    let entered = watching.json().await?;
    assert_eq!((&entered["event"], &entered["ahead"]), (&json!("entered"), &json!(0)));
    assert_eq!(entered["contender"]["identity"]["owner"], json!("two"));

    let token = guard.fencing_token().as_i64();
    guard.release().await?;
    let left = watching.json().await?;
    assert_eq!((&left["event"], &left["contender"]["token"]), (&json!("left"), &json!(token)));
    assert!(left["held_ms"].is_u64(), "{left}");
    let granted = watching.json().await?;
    let guard = waiting.await??;
    assert_eq!(granted["event"], json!("granted"));
    assert_eq!(granted["contender"]["token"], json!(guard.fencing_token().as_i64()));
    assert!(granted["handed_over_within_ms"].is_u64(), "{granted}");
    assert_eq!(watching.end(Signal::TERM)?, Some(143));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_a_line_of_text() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let guard = one.mutex(&format!("{path}/a"))?.acquire().await?;
    let mut watching = Watching::start(&["ls", "--watch", "--interval", "50ms", &path]).await?;
    assert_eq!(watching.line().await?, format!("{path}/a: lock, 1 holds it, 0 wait"));
    let lock = two.mutex(&format!("{path}/a"))?;
    let waiting = tokio::spawn(async move { lock.acquire().await });
    wait_for_contenders(&one, &format!("{path}/a"), 2).await;
    let line = watching.line().await?;
    assert!(line.contains("Z ") && line.ends_with(&format!("{path}/a 1 wait, were 0")), "{line}");
    guard.release().await?;
    let line = watching.line().await?;
    assert!(line.contains("one@") && line.contains(" left, was seen to hold it for "), "{line}");
    let line = watching.line().await?;
    assert!(line.contains("two@") && line.contains(" holds it ") && line.contains("handed over within"), "{line}");
    drop(waiting);
    assert_eq!(watching.end(Signal::INT)?, Some(130));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_session_had_is_told_when_it_goes() -> Outcome {
    let (path, doomed) = (unused_path(), client("doomed").await);
    let _held =
        (doomed.mutex(&format!("{path}/a"))?.acquire().await?, doomed.mutex(&format!("{path}/b"))?.acquire().await?);
    let mut watching = Watching::start(&["ls", "--watch", "--json", "--interval", "50ms", &path]).await?;
    let first = watching.json().await?;
    let session = &first["locks"][0]["holders"][0]["session"];
    doomed.close().await;
    let left = watching.json().await?;
    assert_eq!((&left["event"], &left["session"], &left["nodes"]), (&json!("session-left"), session, &json!(2)));
    for _ in 0..2 {
        assert_eq!(watching.json().await?["event"], json!("left"));
    }
    assert_eq!(watching.end(Signal::TERM)?, Some(143));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_ends_it_without_an_error() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let mut watching = Watching::start(&["queue", "--watch", "--json", "--interval", "50ms", &path]).await?;
    watching.line().await?;
    let Watching { child, lines } = watching;
    drop(lines);
    let _guard = one.mutex(&path)?.acquire().await?;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
    assert_eq!((output.status.code(), String::from_utf8(output.stderr)?), (Some(0), String::new()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_servers_is_told_on_standard_error_and_so_is_its_end() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let proxy = Proxy::start(address().await).await?;
    let mut child = program(&proxy.address(), &["queue", "--watch", "--json", "--interval", "50ms", &path])
        .args(["--session-timeout", "1s", "--connect-timeout", "1s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
    let mut told = BufReader::new(child.stderr.take().ok_or("no pipe")?).lines();
    let next = |lines: &mut dyn Iterator<Item = std::io::Result<String>>| {
        tokio::task::block_in_place(|| lines.next()).unwrap_or_else(|| Err(std::io::ErrorKind::UnexpectedEof.into()))
    };
    assert!(next(&mut lines)?.contains(r#""event":"look""#));
    proxy.refuse(true);
    proxy.cut(Close::Fin);
    let error = next(&mut told)?;
    assert!(error.starts_with("fairlock: ") && error.ends_with("; looking again"), "{error}");
    proxy.refuse(false);
    while next(&mut told)? != "fairlock: the servers can be seen again" {}
    let _guard = one.mutex(&path)?.acquire().await?;
    assert!(next(&mut lines)?.contains(r#""event":"granted""#));
    kill_process(Pid::from_child(&child), Signal::TERM)?;
    assert_eq!(child.wait()?.code(), Some(143));
    Ok(())
}
