//! `fairlock demo`, as it is run by people, pipes and terminals.

#[path = "support/signals.rs"]
mod dispositions;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use fairlock_testcontainers::Server;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

type Outcome = Result<(), Box<dyn Error>>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fairlock");

const CLAIMS: [&str; 4] = [
    "ok      order in = order out: ",
    "ok      fencing tokens strictly rise: ",
    "ok      one notification per departure, to the next in line: ",
    "ok      nothing left behind: the queue is empty",
];

fn run(args: &[&str]) -> Result<Output, Box<dyn Error>> {
    Ok(Command::new(PROGRAM).args(args).stdin(Stdio::null()).output()?)
}

/// Runs the program and expects it to end with this code; gives what it printed on standard output and error.
#[track_caller]
fn run_expecting(code: i32, args: &[&str]) -> Result<(String, String), Box<dyn Error>> {
    let output = run(args)?;
    let (stdout, stderr) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    Ok((stdout, stderr))
}

#[test]
fn a_log_tells_the_whole_story() -> Outcome {
    let (log, _) = run_expecting(0, &["demo", "--speed", "20"])?;
    for claim in CLAIMS {
        assert!(log.contains(claim), "{claim:?} is missing:\n{log}");
    }
    assert!(log.contains("order in = order out: A B C D F (E gave up)"), "{log}");
    assert!(log.contains("to the next in line: 5 for 5"), "{log}");
    let mut rest = log.as_str();
    for event in [
        "A enters the queue",
        "A holds the lock, fencing token ",
        "queue: A B C D E F",
        "A releases the lock",
        "B is notified: A has left",
        "of 5 who waited, 1 notified of A's leaving: B",
        "B crashes: the store ends its session",
        "C is notified: B has left",
        "of 4 who waited, 1 notified of B's leaving: C",
        "E gives up",
        "F is notified: E has left",
        "queue: C D F",
        "of 2 who waited, 1 notified of E's leaving: F",
        "F releases the lock",
        "queue: nobody",
        "5 grants, 4 hand-overs; 4 released, 1 crashed, 1 gave up",
    ] {
        let at = rest.find(event).ok_or_else(|| format!("{event:?} is missing, or out of order:\n{log}"))?;
        rest = &rest[at + event.len()..];
    }
    Ok(())
}

#[test]
fn a_log_has_no_escape_codes() -> Outcome {
    let (log, errors) = run_expecting(0, &["demo", "--speed", "100"])?;
    assert!(!log.contains('\u{1b}') && !log.contains('\r'), "{log:?}");
    assert_eq!(errors, "");
    Ok(())
}

#[test]
fn every_number_of_contenders_is_served_in_order() -> Outcome {
    for contenders in ["2", "3", "4", "5", "26"] {
        let (log, _) = run_expecting(0, &["demo", "--speed", "200", "--contenders", contenders])?;
        assert!(CLAIMS.iter().all(|claim| log.contains(claim)), "{contenders}:\n{log}");
    }
    Ok(())
}

#[test]
fn wrong_arguments_have_a_code_of_their_own() -> Outcome {
    for (args, told) in [
        (&["demo", "--contenders", "1"][..], "2..=26"),
        (&["demo", "--contenders", "27"], "2..=26"),
        (&["demo", "--speed", "0"], "between 0.1 and 1000"),
        (&["demo", "--connect-timeout", "1"], "--connect"),
        (&["demo", "--lock", "demo"], "start it with /"),
        (&["demo", "--connect", "not an address"], "not an address"),
        (&["demon"], "demon"),
        (&[], "Usage"),
    ] {
        let (stdout, stderr) = run_expecting(64, args)?;
        assert_eq!(stdout, "", "{args:?}");
        assert!(stderr.contains(told), "{args:?}: {stderr}");
    }
    Ok(())
}

#[test]
fn help_and_version_are_no_errors() -> Outcome {
    let (short, _) = run_expecting(0, &["demo", "-h"])?;
    let (long, _) = run_expecting(0, &["demo", "--help"])?;
    assert!(short.contains("Examples:") && !short.contains("Exit codes:"), "{short}");
    assert!(long.contains("Examples:") && long.contains("Exit codes:"), "{long}");
    assert!(long.len() > short.len());
    let (version, _) = run_expecting(0, &["--version"])?;
    assert_eq!(version, format!("fairlock {}\n", env!("CARGO_PKG_VERSION")));
    Ok(())
}

#[test]
fn nobody_at_the_address_is_told_soon() -> Outcome {
    let started = Instant::now();
    let (_, told) = run_expecting(69, &["demo", "--connect", "127.0.0.1:1", "--connect-timeout", "0.5"])?;
    assert!(told.starts_with("fairlock: no session with 127.0.0.1:1"), "{told}");
    assert!(told.contains("refused"), "{told}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() -> Outcome {
    dispositions::ignore_none();
    let mut demo = Command::new(PROGRAM)
        .args(["demo", "--speed", "20"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut reader = BufReader::new(demo.stdout.take().ok_or("no pipe")?);
    reader.read_line(&mut String::new())?;
    drop(reader);
    let output = demo.wait_with_output()?;
    assert_eq!((output.status.code(), String::from_utf8(output.stderr)?), (Some(0), String::new()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_serves_in_order_too_and_is_left_clean() -> Outcome {
    let server = Server::start().await?;
    let address = server.address();
    let args = ["demo", "--speed", "20", "--connect", &address];
    let (log, _) = run_expecting(0, &args)?;
    for claim in CLAIMS {
        assert!(log.contains(claim), "{claim:?} is missing:\n{log}");
    }
    assert!(log.contains(&format!("ZooKeeper at {address}")), "{log}");
    assert!(log.contains("B crashes: its session is closed, nothing is released"), "{log}");
    let sessions = server.four_letter("dump").await?;
    assert!(sessions.contains("Sessions with Ephemerals (0)"), "{sessions}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_is_told() -> Outcome {
    let server = Server::start().await?;
    dispositions::ignore_none();
    let mut demo = Command::new(PROGRAM)
        .args(["demo", "--connect", &server.address()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut log = BufReader::new(demo.stdout.take().ok_or("no pipe")?);
    let mut line = String::new();
    while !line.contains("C enters") {
        line.clear();
        assert!(log.read_line(&mut line)? > 0, "the demo ended too soon");
    }
    server.kill().await?;
    std::io::copy(&mut log, &mut std::io::sink())?;
    let output = demo.wait_with_output()?;
    let told = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(75), "{told}");
    assert!(told.starts_with("fairlock: the lock /fairlock-demo/") && told.contains("was lost"), "{told}");
    Ok(())
}

/// The program on a pseudo-terminal, and what is seen there.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    output: Box<dyn Read + Send>,
    screen: vt100::Parser,
}

impl Terminal {
    fn run(columns: u16, rows: u16, env: &[(&str, &str)], args: &[&str]) -> Result<Self, Box<dyn Error>> {
        let pty = native_pty_system().openpty(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 })?;
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(args);
        command.env_remove("NO_COLOR");
        for (name, value) in [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")].iter().chain(env) {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command)?;
        // The program's own copy of the slave is then the last: its end is the end of the output.
        drop(pty.slave);
        let output = pty.master.try_clone_reader()?;
        Ok(Self { child, master: pty.master, output, screen: vt100::Parser::new(rows, columns, 200) })
    }

    /// Reads on; `false` at the end.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        // Linux reports the end as an error.
        let length = self.output.read(&mut bytes).unwrap_or(0);
        self.screen.process(&bytes[..length]);
        length > 0
    }

    fn read_until(&mut self, is_seen: impl Fn(&vt100::Screen) -> bool) -> Outcome {
        while !is_seen(self.screen.screen()) {
            if !self.read() {
                return Err(format!("the program ended first; on the screen:\n{}", self.contents()).into());
            }
        }
        Ok(())
    }

    /// Reads to the end; the exit code.
    fn finish(&mut self) -> Result<u32, Box<dyn Error>> {
        while self.read() {}
        Ok(self.child.wait()?.exit_code())
    }

    fn contents(&self) -> String {
        self.screen.screen().contents()
    }
}

#[test]
fn on_a_terminal_it_is_a_picture() -> Outcome {
    let mut terminal = Terminal::run(80, 30, &[], &["demo", "--speed", "4"])?;
    terminal.read_until(|screen| screen.contents().contains("│    A    │ ◂─ B ◂─ C ◂─ D ◂─ E ◂─ F"))?;
    assert!(terminal.screen.screen().hide_cursor(), "the cursor is hidden while the picture moves");
    assert!(terminal.contents().contains("5 wait, first come first served"), "{}", terminal.contents());
    terminal.read_until(|screen| screen.contents().contains("1 of 4 waiters notified: C"))?;
    assert_eq!(terminal.finish()?, 0);
    assert!(!terminal.screen.screen().hide_cursor(), "the cursor is back");
    let end = terminal.contents();
    for claim in CLAIMS {
        assert!(end.contains(claim), "{claim:?} is missing:\n{end}");
    }
    assert_eq!(end.matches("fairlock demo:").count(), 1, "each frame is drawn over the last:\n{end}");
    assert!(end.contains("crashed, token ") && end.contains("gave up"), "{end}");
    Ok(())
}

#[test]
fn a_small_terminal_shows_a_small_picture() -> Outcome {
    let mut terminal = Terminal::run(40, 15, &[], &["demo", "--speed", "4"])?;
    terminal.read_until(|screen| screen.contents().contains("[C] ◂─ D ◂─ F"))?;
    let screen = terminal.screen.screen();
    assert!((0..15).all(|row| !screen.row_wrapped(row)), "nothing wraps:\n{}", screen.contents());
    assert!(screen.contents().starts_with("fairlock demo: 6 contenders"), "nothing scrolls:\n{}", screen.contents());
    assert_eq!(terminal.finish()?, 0);
    Ok(())
}

#[test]
fn a_tiny_terminal_is_survived() -> Outcome {
    assert_eq!(Terminal::run(5, 2, &[], &["demo", "--speed", "50"])?.finish()?, 0);
    Ok(())
}

#[test]
fn colours_are_left_out_on_request() -> Outcome {
    for (no_color, is_colorful) in [("1", false), ("", true)] {
        let mut terminal = Terminal::run(80, 30, &[("NO_COLOR", no_color)], &["demo", "--speed", "20"])?;
        terminal.read_until(|screen| screen.contents().contains("holds, token"))?;
        let screen = terminal.screen.screen();
        let cells = (0..30).flat_map(|row| (0..80).map(move |column| (row, column)));
        let colored = cells
            .filter_map(|(row, column)| screen.cell(row, column))
            .any(|cell| cell.fgcolor() != vt100::Color::Default || cell.bold());
        assert_eq!(colored, is_colorful, "NO_COLOR={no_color:?}");
        assert_eq!(terminal.finish()?, 0);
    }
    Ok(())
}

#[test]
fn without_utf8_the_picture_is_ascii() -> Outcome {
    let mut terminal = Terminal::run(80, 30, &[("LC_ALL", "C")], &["demo", "--speed", "20"])?;
    assert_eq!(terminal.finish()?, 0);
    let end = terminal.contents();
    assert!(end.is_ascii(), "{end}");
    Ok(())
}

#[test]
fn ctrl_c_leaves_the_terminal_as_it_was() -> Outcome {
    let mut terminal = Terminal::run(80, 30, &[], &["demo"])?;
    terminal.read_until(|screen| screen.hide_cursor() && screen.contents().contains("holds, token"))?;
    terminal.master.take_writer()?.write_all(b"\x03")?;
    assert_eq!(terminal.finish()?, 130);
    assert!(!terminal.screen.screen().hide_cursor(), "the cursor is back");
    Ok(())
}
