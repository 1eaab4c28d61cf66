//! Without servers.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::Value;

use super::{Outcome, program, run_expecting};

/// A file that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(extension: &str) -> Self {
        Self(std::env::temp_dir().join(format!("fairlock-{}-{}.{extension}", std::process::id(), fastrand::u64(..))))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path of a test is text")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_report_has_latencies_and_claims() -> Outcome {
    let (text, errors) = run_expecting(0, &["--embedded", "--duration", "300ms"])?;
    assert!(text.starts_with("embedded store: 1 lock, 4 contenders each, 4 sessions"), "{text}");
    for part in ["p99.9", "\nread ", "\nwrite ", "\nacquire alone ", "\nwait ", "\nhand-over ", " per second\n"] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    for claim in ["\nout of order     0\n", "\nheld twice       0\n", "\nfailures         0\n"] {
        assert!(text.contains(claim), "{claim:?} is missing:\n{text}");
    }
    assert!(!text.contains('\u{1b}') && errors.is_empty(), "{errors}");
    Ok(())
}

#[test]
fn what_a_lock_asks_of_its_store_does_not_depend_on_the_machine() -> Outcome {
    let args = ["--embedded", "--duration", "300ms", "--json", "--locks", "3", "--contenders", "5", "--clients", "2"];
    let (text, _) = run_expecting(0, &args)?;
    let report: Value = serde_json::from_str(&text)?;
    assert_eq!(report["store_calls_per_acquisition"]["alone"], 2.0, "{report}");
    let contended = report["store_calls_per_acquisition"]["contended"].as_f64().ok_or("a number")?;
    assert!((2.0..6.0).contains(&contended), "{report}");
    let (grants, waits) = (&report["grants"], &report["latencies_micros"]["wait"]["count"]);
    assert!(grants == waits && grants.as_u64() > Some(0), "{report}");
    assert!(report["latencies_micros"]["hand_over"]["p50"].as_f64() > Some(0.0), "{report}");
    // Everybody wants the lock at all times, and gets it in turn; at the end a round is cut off.
    let (least, most) = (&report["grants_per_contender"]["min"], &report["grants_per_contender"]["max"]);
    assert!(least.as_u64() > Some(0) && most.as_u64() >= least.as_u64(), "{report}");
    for (field, value) in [("order_violations", 0), ("overlaps", 0)] {
        assert_eq!(report[field], value, "{report}");
    }
    assert_eq!(report["failures"]["count"], 0);
    // Everybody but the one that holds each lock; at the end some are just on their way.
    assert!(report["still_waiting"].as_u64().is_some_and(|waiting| (1..=15).contains(&waiting)), "{report}");
    let parameters = &report["parameters"];
    assert_eq!((&parameters["place"], &parameters["clients"]), (&"embedded".into(), &2.into()));
    Ok(())
}

#[test]
fn who_is_alone_hands_over_to_nobody() -> Outcome {
    let (text, _) = run_expecting(0, &["--embedded", "--duration", "200ms", "--json", "--contenders", "1"])?;
    let report: Value = serde_json::from_str(&text)?;
    assert_eq!(report["latencies_micros"]["hand_over"]["count"], 0, "{report}");
    assert_eq!(report["latencies_micros"]["hand_over"]["max"], Value::Null);
    assert!(report["grants"].as_u64() > Some(0), "{report}");
    Ok(())
}

#[test]
fn a_chart_is_a_picture_or_a_page() -> Outcome {
    for (extension, start) in [("svg", "<svg "), ("html", "<!DOCTYPE html>")] {
        let file = Scratch::new(extension);
        run_expecting(0, &["--embedded", "--duration", "200ms", "--chart", file.path()])?;
        let picture = fs::read_to_string(file.path())?;
        assert!(picture.starts_with(start) && picture.contains("</svg>"), "{picture}");
        assert!(picture.contains("hand-over") && picture.contains("percentile"), "{picture}");
        assert!(!picture.contains("<script"), "{picture}");
    }
    Ok(())
}

#[test]
fn an_earlier_chart_stays_until_there_is_a_better_one() -> Outcome {
    let file = Scratch::new("svg");
    let earlier = "earlier ".repeat(100_000);
    fs::write(file.path(), &earlier)?;
    let nobody = ["-S", "127.0.0.1:1", "--connect-timeout", "0.2", "--chart", file.path()];
    run_expecting(69, &nobody)?;
    assert!(fs::read_to_string(file.path())? == earlier, "it is as it was");
    run_expecting(0, &["--embedded", "--duration", "200ms", "--chart", file.path()])?;
    let picture = fs::read_to_string(file.path())?;
    assert!(picture.starts_with("<svg ") && !picture.contains("earlier"), "{picture}");
    Ok(())
}

#[test]
fn who_closes_the_pipe_has_seen_enough() -> Outcome {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let output = program(&["--embedded", "--duration", "200ms"]).stdout(writer).output()?;
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    Ok(())
}

#[test]
fn absurd_arguments_are_refused() -> Outcome {
    for (args, told) in [
        (&["--embedded", "--clients", "0"][..], "1..=500"),
        (&["--embedded", "--contenders", "5000"], "1..=1000"),
        (&["--embedded", "--locks", "0"], "1..=1000"),
        (&["--embedded", "--contenders", "1000", "--locks", "1000"], "10000 altogether"),
        (&["--embedded", "--contenders", "2", "--clients", "3"], "fewer --clients"),
        (&["--embedded", "--duration", "2h"], "100ms to 1h"),
        (&["--embedded", "--duration", "soon"], "give seconds"),
        (&["--embedded", "--duration", "1s", "--hold", "1s"], "shorter --hold"),
        (&["--embedded", "--root", "jobs"], "start it with /"),
        (&["--embedded", "--chart", "a.png"], "neither .svg nor .html"),
        (&["--embedded", "--chart", "/nonexistent/a.svg"], "cannot write /nonexistent/a.svg"),
        (&["--embedded", "-S", "a:1"], "cannot be used with"),
        (&[], "which servers?"),
    ] {
        let (stdout, stderr) = run_expecting(64, args)?;
        assert!(stdout.is_empty() && stderr.contains(told), "{args:?}: {stderr}");
    }
    Ok(())
}

#[test]
fn progress_is_shown_on_a_terminal() -> Outcome {
    let pty = native_pty_system().openpty(PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 })?;
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_fairlock"));
    command.args(["bench", "--embedded", "--duration", "1s"]);
    command.env("TERM", "xterm-256color");
    let mut child = pty.slave.spawn_command(command)?;
    // The program's own copy of the slave is then the last: its end is the end of the output.
    drop(pty.slave);
    let (mut reader, mut screen) = (pty.master.try_clone_reader()?, vt100::Parser::new(40, 120, 0));
    let (mut bytes, mut was_seen) = ([0; 4096], false);
    loop {
        // Linux reports the end as an error.
        let length = reader.read(&mut bytes).unwrap_or(0);
        if length == 0 {
            break;
        }
        screen.process(&bytes[..length]);
        was_seen |= screen.screen().contents().contains("contended  [");
    }
    assert_eq!(child.wait()?.exit_code(), 0);
    let end = screen.screen().contents();
    assert!(was_seen && !end.contains("contended  ["), "the bar is there, and goes:\n{end}");
    assert!(end.starts_with("embedded store: "), "{end}");
    Ok(())
}
