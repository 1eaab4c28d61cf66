//! `fairlock bench`, on the embedded store and on a real server.

mod embedded;
mod server;

use std::error::Error;
use std::process::{Command, Stdio};

type Outcome = Result<(), Box<dyn Error>>;

/// The program, with nothing of this process's own settings.
fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairlock"));
    command.arg("bench").args(args).stdin(Stdio::null()).env("XDG_CONFIG_HOME", "/nonexistent");
    for name in ["SERVERS", "PROFILE", "CONFIG", "AUTH", "AUTH_FILE", "SESSION_TIMEOUT", "CONNECT_TIMEOUT", "CHROOT"] {
        command.env_remove(format!("FAIRLOCK_{name}"));
    }
    command
}

/// Runs the program and expects it to end with this code; gives what it printed on standard output and error.
#[track_caller]
fn run_expecting(code: i32, args: &[&str]) -> Result<(String, String), Box<dyn Error>> {
    let output = program(args).output()?;
    let (stdout, stderr) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    Ok((stdout, stderr))
}
