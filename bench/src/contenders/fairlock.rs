//! The library of this workspace.

use super::local::Session;
use super::{PATIENCE, SESSION_TIMEOUT};
use crate::error::Result;

pub(super) struct Fairlock(::fairlock::Fairlock);

impl Session for Fairlock {
    type Held = ::fairlock::Guard;

    async fn connect(address: &str) -> Result<Self> {
        // Ten thousand who come at once wait for the sessions that are opened for them.
        let builder = ::fairlock::Fairlock::builder().session_timeout(SESSION_TIMEOUT).connect_timeout(PATIENCE);
        Ok(Self(builder.connect(address).await?))
    }

    async fn acquire(&self, lock: &str) -> Result<::fairlock::Guard> {
        Ok(self.0.mutex(lock)?.acquire().await?)
    }

    async fn release(&self, guard: ::fairlock::Guard) -> Result<()> {
        Ok(guard.release().await?)
    }

    async fn attempt(&self, lock: &str) -> Result<Option<bool>> {
        Ok(Some(self.0.mutex(lock)?.try_acquire().await?.is_some()))
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
