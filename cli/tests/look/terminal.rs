//! The program on a pseudo-terminal, and what is seen there.

use std::io::{Read, Write as _};
use std::sync::mpsc;
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::bed::{Outcome, PATIENCE, PROGRAM, address};

pub(crate) struct Terminal {
    pub(crate) child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn std::io::Write + Send>,
    /// From a thread that reads, so that waiting has an end.
    output: mpsc::Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// All that was written, as it is.
    pub(crate) bytes: Vec<u8>,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Terminal {
    pub(crate) async fn run(columns: u16, rows: u16, env: &[(&str, &str)], args: &[&str]) -> Result<Self> {
        Self::run_at(&address().await, (columns, rows), env, args)
    }

    pub(crate) fn run_at(
        address: &str,
        (columns, rows): (u16, u16),
        env: &[(&str, &str)],
        args: &[&str],
    ) -> Result<Self> {
        let pty = native_pty_system().openpty(size(columns, rows))?;
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(args);
        command.env_remove("NO_COLOR");
        for (name, value) in [("TERM", "xterm-256color"), ("FAIRLOCK_SERVERS", address)].iter().chain(env) {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command)?;
        // The program's own copy of the slave is then the last: its end is the end of the output.
        drop(pty.slave);
        let (mut reader, writer) = (pty.master.try_clone_reader()?, pty.master.take_writer()?);
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Linux reports the end as an error.
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(rows, columns, 0);
        Ok(Self { child, master: pty.master, writer, output, screen, bytes: vec![] })
    }

    /// Reads on; `false` at the end.
    fn read(&mut self, until: Instant) -> Result<bool> {
        match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(bytes) => {
                self.screen.process(&bytes);
                self.bytes.extend(bytes);
                Ok(true)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(false),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(format!("not in time; on the screen:\n{}", self.contents()).into())
            }
        }
    }

    pub(crate) fn read_until(&mut self, is_seen: impl Fn(&vt100::Screen) -> bool) -> Outcome {
        let until = Instant::now() + PATIENCE;
        while !is_seen(self.screen.screen()) {
            if !self.read(until)? {
                return Err(format!("the program ended first; on the screen:\n{}", self.contents()).into());
            }
        }
        Ok(())
    }

    pub(crate) fn until_shown(&mut self, text: &str) -> Outcome {
        self.read_until(|screen| screen.contents().contains(text))
    }

    /// Reads to the end; the exit code.
    pub(crate) fn finish(&mut self) -> Result<u32> {
        let until = Instant::now() + PATIENCE;
        while self.read(until)? {}
        Ok(self.child.wait()?.exit_code())
    }

    pub(crate) fn press(&mut self, keys: &str) -> Outcome {
        self.writer.write_all(keys.as_bytes())?;
        Ok(self.writer.flush()?)
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) -> Outcome {
        self.screen.screen_mut().set_size(rows, columns);
        Ok(self.master.resize(size(columns, rows))?)
    }

    pub(crate) fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }
}
