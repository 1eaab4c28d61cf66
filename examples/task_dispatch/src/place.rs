//! Where the locks are: in this process or on a server; and how a session ends without its owner.

use fairlock::Fairlock;
use fairlock::store::{SessionId, memory::Memory};

use crate::Error;

/// Where the locks are.
pub enum Place {
    /// In this process.
    Memory(Memory),
    /// On servers, as a connect string.
    Servers(String),
}

/// A process of its own, as far as the store can tell.
pub(crate) struct Process {
    pub(crate) locks: Fairlock,
    session: Option<(Memory, SessionId)>,
}

impl Place {
    pub(crate) async fn open(&self) -> Result<Process, Error> {
        match self {
            Place::Memory(memory) => {
                let locks = Fairlock::builder().open(memory.clone()).await?;
                let session = memory.sessions().last().map(|session| (memory.clone(), *session));
                Ok(Process { locks, session })
            }
            Place::Servers(servers) => Ok(Process { locks: Fairlock::connect(servers).await?, session: None }),
        }
    }
}

impl Process {
    /// What the servers do some time after the process has ended.
    pub(crate) async fn end_session(&self) {
        match &self.session {
            Some((memory, session)) => memory.expire(*session),
            // A server cannot be told to expire a session at once; to close it from aside has the same effect there.
            None => self.locks.close().await,
        }
    }
}
