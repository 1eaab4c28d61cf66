//! The command as given: a shell's string or words, checked before anybody queues for it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fairlock::Identity;
use rustix::fs::{Access, access};

use crate::exit::{Exit, Failure};

/// The words to execute. One that cannot be found or executed is told here, not after an hour in the queue.
pub(super) fn of(shell: Option<OsString>, words: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let words = match shell {
        Some(string) => {
            let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
            vec![shell.unwrap_or_else(|| "/bin/sh".into()), "-c".into(), string]
        }
        None => words,
    };
    match words.first() {
        None => {
            return Err(Failure::usage("which command? Give it behind the path, or a string for the shell with -c"));
        }
        Some(program) if program.as_encoded_bytes().starts_with(b"-") && check(program).is_err() => {
            let option = program.to_string_lossy();
            return Err(Failure::usage(format!("{option} is no option; if it is the command, put -- before it")));
        }
        Some(program) if program.is_empty() => return Err(Failure::usage("the command is empty")),
        Some(program) => check(program)?,
    }
    Ok(words)
}

/// Who the command is to others in the queue: what it is called.
pub(super) fn owner(words: &[OsString]) -> String {
    let name = words.first().and_then(|word| Path::new(word).file_name()).unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    if Identity::new(name.as_str()).is_ok() { name } else { "fairlock".to_owned() }
}

fn check(program: &OsStr) -> Result<(), Failure> {
    let candidates: Vec<PathBuf> = if Path::new(program).components().count() > 1 || program == "/" {
        vec![PathBuf::from(program)]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        std::env::split_paths(&path).map(|folder| folder.join(program)).collect()
    };
    let mut is_there = false;
    for candidate in candidates {
        if let Ok(metadata) = fs::metadata(&candidate) {
            // By whoever this is, not by anybody.
            if metadata.is_file() && access(&candidate, Access::EXEC_OK).is_ok() {
                return Ok(());
            }
            is_there = true;
        }
    }
    let (exit, kind) = match is_there {
        true => (Exit::CannotExecute, io::ErrorKind::PermissionDenied),
        false => (Exit::NotFound, io::ErrorKind::NotFound),
    };
    let why = if is_there { "it is no file that may be executed" } else { "no such program" };
    Err(Failure::new(exit, io::Error::new(kind, format!("cannot run {}: {why}", program.to_string_lossy()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn what_cannot_be_run_is_told_before_anybody_queues() {
        for (program, exit) in [
            ("no-such-program-at-all", Exit::NotFound),
            ("/no/such/program", Exit::NotFound),
            ("/etc/passwd", Exit::CannotExecute),
            ("/", Exit::CannotExecute),
            ("", Exit::Usage),
        ] {
            assert_eq!(of(None, words(&[program])).map_err(|failure| failure.exit), Err(exit), "{program:?}");
        }
        assert_eq!(of(None, words(&["sh", "-x"])).ok(), Some(words(&["sh", "-x"])));
    }

    #[test]
    fn a_string_is_for_the_shell() {
        let words = of(Some("echo a  b".into()), vec![]).expect("a shell");
        assert_eq!(words[1..], ["-c", "echo a  b"]);
    }

    #[test]
    fn the_owner_is_called_like_the_command() {
        assert_eq!(owner(&words(&["/opt/jobs/backup.sh", "x"])), "backup.sh");
        assert_eq!(owner(&words(&["a\nb"])), "fairlock");
        assert_eq!(owner(&words(&[&"x".repeat(1_000)])), "fairlock");
    }
}
