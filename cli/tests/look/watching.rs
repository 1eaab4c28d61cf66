//! `--watch` where standard output is no terminal.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fairlock_testcontainers::{Close, Proxy};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use zookeeper_client as zk;

use crate::bed::{Outcome, PATIENCE, PROGRAM, address, client, program, unused_path, wait_for_contenders};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Lines as they come, from a thread that reads, so that waiting has an end.
struct Lines(mpsc::Receiver<String>);

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(std::result::Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    fn next(&self) -> Result<String> {
        // The clients of the test go on meanwhile, on other threads.
        Ok(tokio::task::block_in_place(|| self.0.recv_timeout(PATIENCE))?)
    }
}

/// The program, and its lines as they come.
struct Watching {
    child: Child,
    lines: Lines,
    errors: Lines,
}

impl Watching {
    async fn start(args: &[&str]) -> Result<Self> {
        Self::run(&mut program(&address().await, args))
    }

    fn run(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let lines = Lines::of(child.stdout.take().ok_or("no pipe")?);
        let errors = Lines::of(child.stderr.take().ok_or("no pipe")?);
        Ok(Self { child, lines, errors })
    }

    fn line(&self) -> Result<String> {
        self.lines.next()
    }

    fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.line()?)?)
    }

    fn signal(&self, signal: Signal) -> Outcome {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    fn end(mut self, signal: Signal) -> Result<Option<i32>> {
        self.signal(signal)?;
        Ok(self.child.wait()?.code())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_a_json_document_of_one_line() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let guard = one.mutex(&path)?.acquire().await?;
    // Nobody waits for the interval: the servers tell of each change.
    let watching = Watching::start(&["queue", "--watch", "--json", "--interval", "1h", &path]).await?;
    let first = watching.json()?;
    assert_eq!((&first["event"], &first["path"]), (&json!("look"), &json!(path)));
    assert_eq!(first["locks"][0]["contenders"][0]["identity"]["owner"], json!("one"));

    let lock = two.mutex(&path)?;
    let waiting = tokio::spawn(async move { lock.acquire().await });
    let entered = watching.json()?;
    assert_eq!((&entered["event"], &entered["ahead"]), (&json!("entered"), &json!(0)));
    assert_eq!((&entered["path"], &entered["kind"]), (&json!(path), &json!("lock")));
    assert_eq!(entered["contender"]["identity"]["owner"], json!("two"));

    let token = guard.fencing_token().as_i64();
    guard.release().await?;
    let left = watching.json()?;
    assert_eq!((&left["event"], &left["contender"]["token"]), (&json!("left"), &json!(token)));
    assert!(left["held_ms"].is_u64(), "{left}");
    let granted = watching.json()?;
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
    let guard = one.mutex(&path)?.acquire().await?;
    let queue = Watching::start(&["queue", "--watch", "--interval", "1h", &path]).await?;
    let tree = Watching::start(&["ls", "--watch", "--interval", "50ms", &path]).await?;
    assert_eq!(queue.line()?, format!("{path}: lock, 1 holds it, 0 wait"));
    assert_eq!(tree.line()?, format!("{path}: lock, 1 holds it, 0 wait"));
    let lock = two.mutex(&path)?;
    let waiting = tokio::spawn(async move { lock.acquire().await });
    wait_for_contenders(&one, &path, 2).await;
    let line = tree.line()?;
    assert!(line.contains("Z ") && line.ends_with(&format!("{path} 1 wait, were 0")), "{line}");
    let line = queue.line()?;
    assert!(line.contains("two@") && line.ends_with(" waits, as the next"), "{line}");
    guard.release().await?;
    let line = queue.line()?;
    assert!(line.contains("one@") && line.contains(" left, was seen to hold it for "), "{line}");
    let line = queue.line()?;
    assert!(line.contains("two@") && line.contains(" holds it ") && line.contains("handed over within"), "{line}");
    drop(waiting);
    assert_eq!(queue.end(Signal::INT)?, Some(130));
    assert_eq!(tree.end(Signal::QUIT)?, Some(131));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_where_nobody_was_is_told() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let watching = Watching::start(&["queue", "--watch", "--json", "--interval", "1h", &path]).await?;
    assert_eq!(watching.json()?["locks"], json!([]));
    let _guard = one.mutex(&path)?.acquire().await?;
    let granted = watching.json()?;
    assert_eq!((&granted["event"], &granted["handed_over_within_ms"]), (&json!("granted"), &Value::Null));
    assert_eq!(watching.end(Signal::TERM)?, Some(143));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_session_had_is_told_when_it_goes() -> Outcome {
    // One look at a tree may see the one lock before and the other one after; hardly ever again and again.
    for _ in 0..10 {
        let (path, doomed) = (unused_path(), client("doomed").await);
        let _held = (
            doomed.mutex(&format!("{path}/a"))?.acquire().await?,
            doomed.mutex(&format!("{path}/b"))?.acquire().await?,
        );
        let watching = Watching::start(&["ls", "--watch", "--json", "--interval", "50ms", &path]).await?;
        let first = watching.json()?;
        let session = &first["locks"][0]["holders"][0]["session"];
        doomed.close().await;
        let told = [watching.json()?, watching.json()?];
        let is_told_at_once = told[0]["event"] == json!("session-left");
        if is_told_at_once {
            assert_eq!((&told[0]["session"], &told[0]["nodes"]), (session, &json!(2)));
            assert_eq!((&told[1]["event"], &watching.json()?["event"]), (&json!("left"), &json!("left")));
        }
        assert_eq!(watching.end(Signal::TERM)?, Some(143));
        if is_told_at_once {
            return Ok(());
        }
        assert_eq!((&told[0]["event"], &told[1]["event"]), (&json!("left"), &json!("left")));
    }
    Err("never told as one".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_be_seen_any_more_has_not_left() -> Outcome {
    let (path, one, raw) = (unused_path(), client("one").await, zk::Client::connect(&address().await).await?);
    let _hidden = one.mutex(&format!("{path}/a"))?.acquire().await?;
    let watching = Watching::start(&["ls", "--watch", "--json", "--interval", "50ms", &path]).await?;
    assert_eq!(watching.json()?["locks"][0]["path"], json!(format!("{path}/a")));
    let closed = [zk::Acl::new(zk::Permission::ADMIN, zk::AuthId::anyone())];
    raw.set_acl(&format!("{path}/a"), &closed, None).await?;
    let told = watching.errors.next()?;
    assert!(told.starts_with(&format!("fairlock: {path}/a: no permission")), "{told}");
    raw.set_acl(&format!("{path}/a"), &zk::Acls::anyone_all(), None).await?;
    let _seen = one.mutex(&format!("{path}/b"))?.acquire().await?;
    let event = watching.json()?;
    assert_eq!((&event["event"], &event["path"]), (&json!("granted"), &json!(format!("{path}/b"))));
    assert_eq!(watching.end(Signal::TERM)?, Some(143));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_gone_ends_it_though_nothing_happens() -> Outcome {
    let path = unused_path();
    let args = ["queue", "--watch", "--json", "--interval", "1h", &path];
    let mut child = program(&address().await, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    tokio::task::block_in_place(|| lines.read_line(&mut String::new()))?;
    drop(lines);
    let until = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            child.kill()?;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let output = child.wait_with_output()?;
    assert_eq!((output.status.code(), String::from_utf8(output.stderr)?), (Some(0), String::new()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_starts_it_with_nohup_means_it_to_go_on() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    crate::dispositions::ignore_none();
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap "" HUP; exec "$@""#, "sh", PROGRAM, "queue", "--watch", &path]);
    let _guard = one.mutex(&path)?.acquire().await?;
    let watching = Watching::run(command.env("FAIRLOCK_SERVERS", address().await).env("HOME", "/nonexistent"))?;
    watching.line()?;
    watching.signal(Signal::HUP)?;
    let _other = one.semaphore(&path, 2)?.acquire().await?;
    assert!(watching.line()?.contains(" holds it "));
    assert_eq!(watching.end(Signal::TERM)?, Some(143));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_servers_is_told_on_standard_error_and_so_is_its_end() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let proxy = Proxy::start(address().await).await?;
    let watching =
        Watching::run(program(&proxy.address(), &["queue", "--watch", "--json", "--interval", "50ms", &path]).args([
            "--session-timeout",
            "1s",
            "--connect-timeout",
            "1s",
        ]))?;
    assert!(watching.line()?.contains(r#""event":"look""#));
    proxy.refuse(true);
    proxy.cut(Close::Fin);
    let error = watching.errors.next()?;
    assert!(error.starts_with("fairlock: ") && error.ends_with("; looking again"), "{error}");
    proxy.refuse(false);
    while watching.errors.next()? != "fairlock: the servers can be seen again" {}
    let _guard = one.mutex(&path)?.acquire().await?;
    assert!(watching.line()?.contains(r#""event":"granted""#));
    assert_eq!(watching.end(Signal::TERM)?, Some(143));
    Ok(())
}
