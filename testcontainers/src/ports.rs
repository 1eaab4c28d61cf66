//! Ports that stay one server's own for its whole life, over restarts and against other test processes.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{FlockOperation, flock};

use crate::error::Error;

/// Below the usual range of ephemeral ports (32768 and up on Linux): a port from that range could become the local end
/// of anybody's outgoing connection while the server is down, and the server could not come back.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A reserved port of 127.0.0.1. The reservation is a lock on a file, so it ends with the process at the latest.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// The port itself.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Reserves a port that nobody listens on.
    ///
    /// # Errors
    ///
    /// When all are taken, or lock files cannot be made.
    pub fn reserve() -> Result<Self, Error> {
        static TURN: AtomicU32 = AtomicU32::new(0);
        let size = u32::from(RANGE.end - RANGE.start);
        let directory = directory()?;
        // Processes begin at different places, so that they seldom meet; correctness does not depend on it.
        let first = std::process::id().wrapping_mul(2_654_435_761) % size;
        for _ in 0..size {
            let turn = TURN.fetch_add(1, Ordering::Relaxed);
            let offset = (first + turn % size) % size;
            let number = RANGE.start + u16::try_from(offset).unwrap_or_default();
            let lock =
                File::create(directory.join(number.to_string())).map_err(Error::io("create a port's lock file"))?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            // Both are tried, since a listener on one address does not always keep the other from being bound.
            if free("127.0.0.1", number) && free("0.0.0.0", number) {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(Error::NoPort { from: RANGE.start, to: RANGE.end - 1 })
    }
}

fn free(host: &str, port: u16) -> bool {
    TcpListener::bind((host, port)).is_ok()
}

/// A directory for lock files, one per user so that permissions never clash.
pub(crate) fn directory() -> Result<PathBuf, Error> {
    let user = rustix::process::getuid().as_raw();
    let path = std::env::temp_dir().join(format!("fairlock-testcontainers-{user}"));
    std::fs::create_dir_all(&path).map_err(Error::io("create the directory of lock files"))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_differ() {
        let ports: Vec<_> = (0..50).map(|_| Port::reserve().expect("a port")).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
    }
}
