//! The client processes: starts, stops, kills and replaces them.

use std::fs::File;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::config::Config;

/// How long a client may take to end by itself.
const END_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Herd {
    program: PathBuf,
    arguments: Vec<String>,
    seed: u64,
    logs: Option<PathBuf>,
    slots: Mutex<Vec<Slot>>,
}

#[derive(Debug)]
struct Slot {
    /// None while it is not to run.
    child: Option<Child>,
    incarnation: u64,
}

impl Herd {
    pub(crate) fn new(config: &Config, seed: u64, servers: &str, desk: &str) -> std::io::Result<Self> {
        let arguments = [
            ("servers", servers.to_owned()),
            ("desk", desk.to_owned()),
            ("locks", config.locks.to_string()),
            ("session-timeout", config.session_timeout.to_string()),
        ];
        Ok(Self {
            program: std::env::current_exe()?,
            arguments: arguments.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]).collect(),
            seed,
            logs: config.logs.clone(),
            slots: Mutex::new((0..config.clients()).map(|_| Slot { child: None, incarnation: 0 }).collect()),
        })
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a client that is not running. To be called on the program's first thread: the system ends a client with
    /// the thread that started it.
    pub(crate) fn start(&self, client: usize) -> std::io::Result<()> {
        let slot = &mut self.slots()[client];
        slot.incarnation += 1;
        let seed =
            self.seed.wrapping_mul(31).wrapping_add(client as u64).wrapping_mul(31).wrapping_add(slot.incarnation);
        let log = match &self.logs {
            Some(folder) => File::create(folder.join(format!("client-{client}-{}", slot.incarnation)))?.into(),
            None => Stdio::inherit(),
        };
        let child = Command::new(&self.program)
            .arg("client")
            .args(&self.arguments)
            .args(["--client", &client.to_string()])
            .args(["--incarnation", &slot.incarnation.to_string()])
            .args(["--seed", &(seed << 8).to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            // A key that interrupts the runner must not interrupt clients as well.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        slot.child = Some(child);
        Ok(())
    }

    pub(crate) fn start_all(&self) -> std::io::Result<()> {
        let count = self.slots().len();
        (0..count).try_for_each(|client| self.start(client))
    }

    /// Sends a signal, if the client runs; to this incarnation only, if one is given. A process that has ended keeps its
    /// id until it is reaped, which happens under the same lock: so no other process can be meant.
    pub(crate) fn signal(&self, client: usize, incarnation: Option<u64>, signal: Signal) -> bool {
        let slots = self.slots();
        let slot = &slots[client];
        let pid = slot.child.as_ref().and_then(Child::id).and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let meant = incarnation.is_none_or(|incarnation| incarnation == slot.incarnation);
        pid.filter(|_| meant).is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// Kills a client. It is not missed until it is started again.
    pub(crate) fn kill(&self, client: usize, incarnation: Option<u64>) -> bool {
        let mut slots = self.slots();
        let slot = &mut slots[client];
        if incarnation.is_some_and(|incarnation| incarnation != slot.incarnation) {
            return false;
        }
        // Reaped in the background by the runtime.
        slot.child.take().is_some_and(|mut child| child.start_kill().is_ok())
    }

    /// Clients that have ended although nobody told them to.
    pub(crate) fn missing(&self) -> Vec<(usize, ExitStatus)> {
        let mut slots = self.slots();
        let mut missing = Vec::new();
        for (client, slot) in slots.iter_mut().enumerate() {
            if let Some(Ok(Some(status))) = slot.child.as_mut().map(Child::try_wait) {
                slot.child = None;
                missing.push((client, status));
            }
        }
        missing
    }

    /// Tells all clients to end, waits for them, and says which did not do so in good order.
    pub(crate) async fn end_all(&self) -> Vec<String> {
        let children: Vec<_> = self.slots().iter_mut().map(|slot| slot.child.take()).collect();
        let deadline = Instant::now() + END_PATIENCE;
        let mut children: Vec<_> =
            children.into_iter().enumerate().filter_map(|(client, child)| Some((client, child?))).collect();
        for (_, child) in &mut children {
            drop(child.stdin.take());
        }
        let mut complaints = Vec::new();
        for (client, mut child) in children {
            match tokio::time::timeout_at(deadline, child.wait()).await {
                Ok(Ok(status)) if status.success() => {}
                Ok(Ok(status)) => complaints.push(format!("client {client} ended with {status}")),
                Ok(Err(error)) => complaints.push(format!("client {client} cannot be waited for: {error}")),
                Err(_) => complaints.push(format!("client {client} did not end within {END_PATIENCE:?}")),
            }
        }
        complaints
    }
}
