//! `--watch` on a terminal: the view on its other screen.

use std::time::{Duration, Instant};

use fairlock_testcontainers::{Close, Direction, Proxy};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::bed::{Outcome, PATIENCE, address, client, create, run, unused_path, wait_for_contenders};
use crate::terminal::Terminal;

const QUICK: [&str; 3] = ["--watch", "--interval", "50ms"];

fn args<'a>(command: &'a str, path: &'a str) -> Vec<&'a str> {
    let mut args = vec![command];
    args.extend(QUICK);
    args.push(path);
    args
}

/// The first screen is back, with its cursor.
#[track_caller]
fn assert_restored(terminal: &Terminal) {
    let screen = terminal.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{}", terminal.contents());
    assert!(terminal.contents().trim().is_empty(), "nothing is left on the first screen: {}", terminal.contents());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_seen_to_move() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let guard = one.mutex(&path)?.acquire().await?;
    let mut terminal = Terminal::run(120, 24, &[], &args("queue", &path)).await?;
    terminal.until_shown(&format!("{path}: lock, 1 holds it, 0 wait"))?;
    assert!(terminal.screen().alternate_screen() && terminal.screen().hide_cursor());
    let lock = two.mutex(&path)?;
    let waiting = tokio::spawn(async move { lock.acquire().await });
    terminal.until_shown("waits, as the next")?;
    terminal.until_shown("1 holds it, 1 waits")?;
    guard.release().await?;
    terminal.until_shown("handed over within")?;
    let shown = terminal.contents();
    assert!(shown.contains(&format!("{} left, was seen to hold it for", one.identity())), "{shown}");
    let holder = shown.lines().find(|line| line.starts_with("0    holder")).unwrap_or_default();
    assert!(holder.ends_with(&two.identity().to_string()), "{shown}");
    terminal.press("q")?;
    assert_eq!(terminal.finish()?, 0);
    assert_restored(&terminal);
    waiting.await??.release().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_size_is_good_enough() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let _guard = one.mutex(&path)?.acquire().await?;
    let lock = two.mutex(&path)?;
    let waiting = tokio::spawn(async move { lock.acquire().await });
    wait_for_contenders(&one, &path, 2).await;
    for (columns, rows) in [(80, 24), (40, 10), (20, 5), (200, 60), (2, 1)] {
        for command in ["ls", "queue"] {
            let mut terminal = Terminal::run(columns, rows, &[], &args(command, &path)).await?;
            let seen = match (columns, command) {
                (..3, _) => " ",
                (..30, "ls") => "1+1",
                _ => "one@",
            };
            terminal.read_until(|screen| screen.alternate_screen() && screen.contents().contains(seen))?;
            let screen = terminal.screen();
            assert!((0..rows).all(|row| !screen.row_wrapped(row)), "nothing wraps:\n{}", screen.contents());
            terminal.press("q")?;
            assert_eq!(terminal.finish()?, 0, "{command} {columns}x{rows}");
            assert_restored(&terminal);
        }
    }
    waiting.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_size_is_used_at_once() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let _guard = one.mutex(&path)?.acquire().await?;
    let mut terminal = Terminal::run(40, 10, &[], &args("queue", &path)).await?;
    terminal.until_shown("*0 ")?;
    assert!(!terminal.contents().contains("SESSION"), "{}", terminal.contents());
    terminal.resize(200, 30)?;
    terminal.until_shown("SESSION")?;
    terminal.resize(20, 5)?;
    terminal.until_shown("*one@")?;
    terminal.press("q")?;
    assert_eq!(terminal.finish()?, 0);
    assert_restored(&terminal);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_signals_end_it_and_restore_the_terminal() -> Outcome {
    let path = unused_path();
    for (keys, signal, code) in [
        ("q", None, 0),
        ("\u{3}", None, 130),
        ("", Some(Signal::INT), 130),
        ("", Some(Signal::TERM), 143),
        ("", Some(Signal::HUP), 129),
        ("", Some(Signal::QUIT), 131),
    ] {
        let mut terminal = Terminal::run(80, 24, &[], &args("queue", &path)).await?;
        terminal.until_shown("nobody holds or waits")?;
        terminal.press(keys)?;
        if let Some(signal) = signal {
            let process = i32::try_from(terminal.child.process_id().ok_or("no process")?)?;
            kill_process(Pid::from_raw(process).ok_or("no process")?, signal)?;
        }
        assert_eq!(terminal.finish()?, code, "{keys:?} {signal:?}");
        assert_restored(&terminal);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_it_has_the_terminal_meanwhile() -> Outcome {
    let path = unused_path();
    let mut terminal = Terminal::run(80, 24, &[], &args("queue", &path)).await?;
    terminal.until_shown("nobody holds or waits")?;
    let process = i32::try_from(terminal.child.process_id().ok_or("no process")?)?;
    let process = Pid::from_raw(process).ok_or("no process")?;
    kill_process(process, Signal::TSTP)?;
    terminal.read_until(|screen| !screen.alternate_screen() && !screen.hide_cursor())?;
    let until = Instant::now() + PATIENCE;
    let options = WaitOptions::UNTRACED | WaitOptions::NOHANG;
    while !waitpid(Some(process), options)?.is_some_and(|(_, status)| status.stopped()) {
        assert!(Instant::now() < until, "it does not stop");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(process, Signal::CONT)?;
    terminal.read_until(vt100::Screen::alternate_screen)?;
    terminal.until_shown("nobody holds or waits")?;
    terminal.press("q")?;
    assert_eq!(terminal.finish()?, 0);
    assert_restored(&terminal);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_left_out_on_request() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let _guard = one.mutex(&path)?.acquire().await?;
    for (no_color, is_colorful) in [("1", false), ("", true)] {
        let mut terminal = Terminal::run(80, 24, &[("NO_COLOR", no_color)], &args("queue", &path)).await?;
        terminal.until_shown("one@")?;
        let screen = terminal.screen();
        let cells = (0..24).flat_map(|row| (0..80).map(move |column| (row, column)));
        let colored = cells
            .filter_map(|(row, column)| screen.cell(row, column))
            .any(|cell| cell.fgcolor() != vt100::Color::Default || cell.bold() || cell.inverse());
        assert_eq!(colored, is_colorful, "NO_COLOR={no_color:?}");
        terminal.press("q")?;
        assert_eq!(terminal.finish()?, 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_written_is_not_obeyed() -> Outcome {
    let (path, one) = (unused_path(), client("a\u{202e}b").await);
    let _guard = one.mutex(&path)?.acquire().await?;
    let ticket = r#"{"id":"1","owner":"x\u001b]0;title\u0007","host":"h","pid":1,"since_unix_ms":1}"#;
    create(&one, &[(&*format!("{path}/_fairlock/lock-0000000009"), ticket)]).await;
    let mut terminal = Terminal::run(120, 24, &[], &args("queue", &path)).await?;
    terminal.until_shown("unknown, no session")?;
    // The emulated terminal does not show the character that stands for the other one.
    assert!(terminal.contents().contains("ab@"), "{}", terminal.contents());
    let bytes = String::from_utf8_lossy(&terminal.bytes);
    assert!(bytes.contains("a\u{fffd}b@") && !bytes.contains('\u{202e}'), "{bytes}");
    assert!(!terminal.bytes.windows(4).any(|bytes| bytes == b"\x1b]0;"), "no title is set");
    terminal.press("q")?;
    assert_eq!(terminal.finish()?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_servers_is_shown_and_passes() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let guard = one.mutex(&path)?.acquire().await?;
    let proxy = Proxy::start(address().await).await?;
    let mut args = args("queue", &path);
    args.extend(["--session-timeout", "2s", "--connect-timeout", "1s"]);
    let mut terminal = Terminal::run_at(&proxy.address(), (100, 24), &[], &args)?;
    terminal.until_shown("one@")?;
    proxy.swallow(Direction::Both);
    tokio::task::block_in_place(|| terminal.until_shown("TROUBLE (as of "))?;
    assert!(terminal.contents().contains("one@"), "what was seen last stays: {}", terminal.contents());
    proxy.pass();
    tokio::task::block_in_place(|| terminal.read_until(|screen| !screen.contents().contains("TROUBLE")))?;
    guard.release().await?;
    terminal.until_shown("nobody holds or waits")?;
    terminal.press("q")?;
    assert_eq!(terminal.finish()?, 0);
    assert_restored(&terminal);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_gone_for_longer_than_the_session_are_seen_again() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let guard = one.mutex(&path)?.acquire().await?;
    let proxy = Proxy::start(address().await).await?;
    let mut args = args("queue", &path);
    args.extend(["--session-timeout", "1s", "--connect-timeout", "1s"]);
    let mut terminal = Terminal::run_at(&proxy.address(), (100, 24), &[], &args)?;
    terminal.until_shown("one@")?;
    proxy.refuse(true);
    proxy.cut(Close::Fin);
    // The session has ended, and another one cannot be opened.
    tokio::task::block_in_place(|| terminal.until_shown("no session with 127.0.0.1"))?;
    assert!(terminal.contents().contains("one@"), "what was seen last stays: {}", terminal.contents());
    proxy.refuse(false);
    tokio::task::block_in_place(|| terminal.read_until(|screen| !screen.contents().contains("TROUBLE")))?;
    guard.release().await?;
    terminal.until_shown("nobody holds or waits")?;
    terminal.press("q")?;
    assert_eq!(terminal.finish()?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_long_queue_the_first_are_shown() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let lock = one.mutex(&path)?;
    let _guard = lock.acquire().await?;
    let waiting: Vec<_> = (0..300)
        .map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move { lock.acquire().await })
        })
        .collect();
    wait_for_contenders(&one, &path, 301).await;
    let (table, _) = run(0, &["queue", &path]).await?;
    assert_eq!(table.lines().count(), 303);
    let mut terminal = Terminal::run(40, 10, &[], &args("queue", &path)).await?;
    terminal.until_shown("... and ")?;
    assert!(terminal.contents().contains(" 1+300"), "{}", terminal.contents());
    terminal.press("q")?;
    assert_eq!(terminal.finish()?, 0);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_on_the_wall_shows_all_locks() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let mut held = vec![];
    for number in 0..50 {
        held.push(one.mutex(&format!("{path}/{number}"))?.acquire().await?);
    }
    let mut terminal = Terminal::run(80, 24, &[], &args("ls", &path)).await?;
    terminal.until_shown("50 locks, 50 hold one, 0 wait")?;
    terminal.until_shown("... and ")?;
    held.truncate(1);
    terminal.until_shown("1 lock, 1 hold one")?;
    // Until the screen is that of the last state.
    terminal.read_until(|screen| !screen.contents().contains("... and "))?;
    terminal.press("q")?;
    assert_eq!(terminal.finish()?, 0);
    Ok(())
}
