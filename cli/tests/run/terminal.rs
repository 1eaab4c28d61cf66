//! On a terminal: the command may ask questions, and the keys that interrupt and stop reach it.

use std::io::{Read as _, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::bed::{PATIENCE, PROGRAM, server, unused_path};

/// A program on a terminal of its own.
struct OnTerminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    shown: Arc<(Mutex<String>, Condvar)>,
    /// Up to where has been looked for.
    seen: usize,
    _terminal: Box<dyn MasterPty + Send>,
}

impl OnTerminal {
    fn start(words: &[&str]) -> Self {
        let pair = native_pty_system().openpty(PtySize::default()).expect("a terminal");
        let mut command = CommandBuilder::new(words[0]);
        command.args(&words[1..]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FAIRLOCK")) {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", "/nonexistent");
        command.env("FAIRLOCK_SERVERS", server().address());
        command.env("PS1", "$ ");
        let child = pair.slave.spawn_command(command).expect("the program can be run");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let shown = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let shown_by_reader = shown.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let (text, grown) = &*shown_by_reader;
                text.lock().expect("no panic").push_str(&String::from_utf8_lossy(&bytes[..count]));
                grown.notify_all();
            }
        });
        let keys = pair.master.take_writer().expect("a writer");
        Self { child, keys, shown, seen: 0, _terminal: pair.master }
    }

    /// A shell that controls jobs, as a person has it.
    fn shell() -> Self {
        let mut shell = Self::start(&["bash", "--norc", "--noprofile", "-i"]);
        shell.expect("$ ");
        shell
    }

    /// Continues the shell's stopped job, which reads a line and tells what it got, and ends the shell.
    fn bring_to_the_front_and_end(mut self) {
        self.press("fg\r");
        // What is typed before is the shell's, or nobody's.
        self.expect("fairlock: continued");
        self.press("li\"\"ne\r");
        self.expect("got li\"\"ne");
        self.press("exit\r");
        assert!(self.child.wait().expect("a child").success());
    }

    /// Waits until this is shown, behind what was waited for before.
    #[track_caller]
    fn expect(&mut self, words: &str) {
        let (text, grown) = &*self.shown;
        let mut text = text.lock().expect("no panic");
        let started = Instant::now();
        loop {
            if let Some(at) = text[self.seen..].find(words) {
                self.seen += at + words.len();
                return;
            }
            let rest = PATIENCE.checked_sub(started.elapsed());
            let rest = rest.unwrap_or_else(|| panic!("{words:?} is not shown in {:?}", &text[self.seen..]));
            text = grown.wait_timeout(text, rest).expect("no panic").0;
        }
    }

    /// Whether this was shown.
    fn shows(&self, words: &str) -> bool {
        self.shown.0.lock().expect("no panic").contains(words)
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it reads");
        self.keys.flush().expect("it reads");
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_command_may_read_from_the_terminal() {
    let path = unused_path();
    let script = "read -p 'name? ' name < /dev/tty; echo \"hello $name\"";
    let mut program = OnTerminal::start(&[PROGRAM, "run", &path, "--", "bash", "-c", script]);
    program.expect("name? ");
    program.press("ann\r");
    program.expect("hello ann");
    assert_eq!(program.child.wait().expect("a child").exit_code(), 0);
}

/// A script around a command that the terminal's key interrupts.
fn interrupted(command: &str, keys: &str, sign: &str) {
    let path = unused_path();
    let script = format!("'{PROGRAM}' run {path} -- sh -c '{command}'; echo went on");
    let mut program = OnTerminal::start(&["bash", "-c", &script]);
    program.press(keys);
    program.expect(sign);
    program.press("\u{3}");
    assert!(!program.child.wait().expect("a child").success());
    let shown = program.shown.0.lock().expect("no panic").clone();
    assert!(!shown.contains("went on"), "{shown}");
}

#[test]
fn an_interrupt_ends_the_command_and_the_script_around_it() {
    interrupted("echo runs; exec sleep 1000", "", "runs");
}

#[test]
fn an_interrupt_of_a_command_that_has_the_keyboard_ends_the_script_as_well() {
    interrupted("read line < /dev/tty; echo got $line; read line < /dev/tty", "line\r", "got line");
}

#[test]
fn others_keep_the_keyboard_while_the_command_does_not_ask_for_it() {
    let path = unused_path();
    // In a script nobody has given the job a group of its own.
    let script = format!(
        "'{PROGRAM}' run {path} -- sh -c 'echo runs; sleep 1000' & read -p 'name? ' name; echo \"hello $name\"; kill $!; wait"
    );
    let mut program = OnTerminal::start(&["bash", "-c", &script]);
    program.expect("runs");
    program.press("ann\r");
    program.expect("hello ann");
    program.child.wait().expect("a child");
}

#[test]
fn a_pager_behind_the_command_reads_the_keys() {
    let path = unused_path();
    let pager = "read runs; printf more; read key < /dev/tty; echo key $key";
    let script = format!("'{PROGRAM}' run {path} -- sh -c 'echo runs; exec sleep 1000' | bash -c '{pager}'");
    let mut program = OnTerminal::start(&["bash", "-c", &script]);
    program.expect("more");
    program.press("x\r");
    program.expect("key x");
    program.press("\u{3}");
    assert!(!program.child.wait().expect("a child").success());
}

#[test]
fn the_stop_key_stops_both_and_the_shell_continues_both() {
    let path = unused_path();
    let mut shell = OnTerminal::shell();
    shell
        .press(&format!("'{PROGRAM}' run --session-timeout 60 {path} -- sh -c 'echo ru\"\"ns; read a; echo got $a'\r"));
    shell.expect("runs\r\n");
    shell.press("\u{1a}");
    shell.expect("Stopped");
    shell.press("echo sh\"\"ell\r");
    shell.expect("shell\r\n");
    shell.bring_to_the_front_and_end();
}

#[test]
fn the_stop_key_stops_nested_locks() {
    let (outer, inner) = (unused_path(), unused_path());
    let mut shell = OnTerminal::shell();
    let run = format!("'{PROGRAM}' run --session-timeout 60");
    shell.press(&format!("{run} {outer} -- {run} {inner} -- sh -c 'read a; echo ru\"\"ns $a; read a; echo got $a'\r"));
    // The inner one was stopped for wanting the keyboard, and has been given it.
    shell.expect("fairlock: continued");
    shell.press("first\r");
    shell.expect("runs first\r\n");
    shell.press("\u{1a}");
    shell.expect("Stopped");
    shell.bring_to_the_front_and_end();
}

#[test]
fn the_stop_key_does_nothing_where_nobody_could_continue_it() {
    let path = unused_path();
    // The program leads the terminal's session: there is no shell.
    let mut program = OnTerminal::start(&[PROGRAM, "run", &path, "--", "sh", "-c", "echo runs; read a; echo got $a"]);
    program.expect("runs");
    program.press("\u{1a}");
    program.press("line\r");
    program.expect("got line");
    assert_eq!(program.child.wait().expect("a child").exit_code(), 0);
}

#[test]
fn a_command_in_the_background_that_reads_is_stopped_until_it_is_brought_to_the_front() {
    let path = unused_path();
    let mut shell = OnTerminal::shell();
    shell.press(&format!("'{PROGRAM}' run --session-timeout 60 {path} -- sh -c 'read a; echo got $a' &\r"));
    // The shell tells of stopped jobs before a prompt only.
    while !shell.shows("Stopped") {
        shell.press("\r");
        shell.expect("$ ");
    }
    shell.bring_to_the_front_and_end();
}
