//! What is told on standard error, without ever keeping the command from being watched.
//!
//! Standard error may be a full pipe, or a terminal that was told to wait. Whoever writes to it stands still then, and must not be
//! who ends the command in time. So a thread of its own writes, and at the end it is waited for, but not for ever.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// How long the last words may take.
const LAST_WORDS_PATIENCE: Duration = Duration::from_millis(500);

enum Word {
    Line(String),
    /// Everything before is written: tell so.
    Done(Sender<()>),
}

/// What is told on standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    pub(super) is_verbose: bool,
}

impl Voice {
    /// For who wants to know everything.
    pub(super) fn say(self, what: fmt::Arguments<'_>) {
        if self.is_verbose {
            self.warn(what);
        }
    }

    /// For everybody.
    pub(super) fn warn(self, what: fmt::Arguments<'_>) {
        send(Word::Line(format!("fairlock: {what}\n")));
    }

    /// Waits until everything is written, if that does not take too long.
    pub(super) fn finish(self) {
        let (done, written) = channel();
        send(Word::Done(done));
        let _ = written.recv_timeout(LAST_WORDS_PATIENCE);
    }
}

fn send(word: Word) {
    static WRITER: OnceLock<Mutex<Sender<Word>>> = OnceLock::new();
    let writer = WRITER.get_or_init(|| {
        let (sender, words) = channel();
        thread::spawn(move || write(&words));
        Mutex::new(sender)
    });
    // The writer never ends before this program does.
    let _ = writer.lock().unwrap_or_else(PoisonError::into_inner).send(word);
}

fn write(words: &Receiver<Word>) {
    for word in words {
        match word {
            // In one piece, since the command may write as well. If nobody can read it, there is nobody to be told of that.
            Word::Line(line) => _ = io::stderr().lock().write_all(line.as_bytes()),
            Word::Done(done) => _ = done.send(()),
        }
    }
}
