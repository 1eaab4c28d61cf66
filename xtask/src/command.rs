//! Runs programs in the root of the workspace, and tells which and how long.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The root of the workspace. Asked for at run time, so that a checkout can be moved without a rebuild.
pub(crate) fn root() -> Result<PathBuf> {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .and_then(|xtask| xtask.parent().map(Path::to_owned))
        .ok_or_else(|| Error::new("CARGO_MANIFEST_DIR is not set: start this program as `cargo xtask`"))
}

/// The folder that holds this program, and beside it what else cargo has built.
pub(crate) fn profile_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(Error::io("find the path of this program"))?;
    program.parent().map(Path::to_owned).ok_or_else(|| Error::new("this program lies in no folder"))
}

/// The cargo that started this program.
pub(crate) fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))?;
    command.args(arguments);
    Ok(command)
}

/// Nothing that is started here may wait for a person.
pub(crate) fn program(path: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
    let mut command = Command::new(path);
    command.current_dir(root()?).stdin(Stdio::null());
    Ok(command)
}

/// Announces and runs a command; true if it succeeded.
pub(crate) fn run(name: &str, mut command: Command) -> Result<bool> {
    announce(name, &command);
    let status = command.status().map_err(Error::io(start(&command)))?;
    Ok(status.success())
}

/// Like `run`, but hands every line of both outputs, in their order, to `look` after printing it.
pub(crate) fn run_and_read(name: &str, mut command: Command, mut look: impl FnMut(&str)) -> Result<bool> {
    announce(name, &command);
    // One pipe for both: cargo names the suites on one and the suites report on the other.
    let (reader, writer) = std::io::pipe().map_err(Error::io("make a pipe"))?;
    let copy = writer.try_clone().map_err(Error::io("copy a pipe"))?;
    command.stdout(writer).stderr(copy);
    let mut child = command.spawn().map_err(Error::io(start(&command)))?;
    // The command holds ends of the pipe, without which reading would never end.
    drop(command);
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    let mut out = std::io::stdout().lock();
    while reader.read_until(b'\n', &mut line).map_err(Error::io("read a command's output"))? > 0 {
        // A reader of ours that has gone must not end the tests.
        let _ = out.write_all(&line).and_then(|()| out.flush());
        look(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(child.wait().map_err(Error::io("wait for a command"))?.success())
}

/// Runs a command whose output is of no interest unless it fails within the patience; then the error has its last line.
pub(crate) fn run_quietly(command: Command, patience: Duration) -> Result<()> {
    let words = written(&command);
    let (status, output) = finish(command, patience)?;
    if status.success() {
        return Ok(());
    }
    let last = output.trim().lines().next_back().unwrap_or_default();
    Err(Error::new(format!("`{words}` ended with {status}: {last}")))
}

/// Runs a command whose output is of no interest, and tells what it exits with.
pub(crate) fn exit_code(command: Command, patience: Duration) -> Result<i32> {
    let words = written(&command);
    let (status, _) = finish(command, patience)?;
    status.code().ok_or_else(|| Error::new(format!("`{words}` ended with {status}")))
}

/// Runs a command to its end; how it ended and what it printed.
fn finish(mut command: Command, patience: Duration) -> Result<(ExitStatus, String)> {
    let words = written(&command);
    let (mut reader, writer) = std::io::pipe().map_err(Error::io("make a pipe"))?;
    let copy = writer.try_clone().map_err(Error::io("copy a pipe"))?;
    let mut child = command.stdout(writer).stderr(copy).spawn().map_err(Error::io(start(&command)))?;
    drop(command);
    let output = std::thread::spawn(move || std::io::read_to_string(&mut reader).unwrap_or_default());
    let started = Instant::now();
    loop {
        match child.try_wait().map_err(Error::io("wait for a command"))? {
            Some(status) => return Ok((status, output.join().unwrap_or_default())),
            None if started.elapsed() < patience => std::thread::sleep(Duration::from_millis(50)),
            None => {
                // It may have ended in this moment, which is as well.
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::new(format!("`{words}` took longer than {patience:?}")));
            }
        }
    }
}

fn announce(name: &str, command: &Command) {
    println!("\n==> {name}: {}", written(command));
}

fn start(command: &Command) -> String {
    format!("run `{}`", written(command))
}

/// The command as a person would type it.
fn written(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
