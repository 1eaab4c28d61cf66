//! The library of this workspace.

use super::local::{Session, Standing};
use super::{PATIENCE, SESSION_TIMEOUT};
use crate::error::Result;

pub(super) struct Fairlock(::fairlock::Fairlock);

pub(super) enum Held {
    Alone(::fairlock::Guard),
    Shared(::fairlock::ReadGuard),
}

impl Session for Fairlock {
    type Held = Held;

    const SHARES: bool = true;

    async fn connect(address: &str) -> Result<Self> {
        // Ten thousand who come at once wait for the sessions that are opened for them.
        let builder = ::fairlock::Fairlock::builder().session_timeout(SESSION_TIMEOUT).connect_timeout(PATIENCE);
        Ok(Self(builder.connect(address).await?))
    }

    async fn acquire(&self, lock: &str) -> Result<Held> {
        Ok(Held::Alone(self.0.mutex(lock)?.acquire().await?))
    }

    async fn share(&self, lock: &str) -> Result<Held> {
        Ok(Held::Shared(self.0.rw_lock(lock)?.read().await?))
    }

    async fn release(&self, held: Held) -> Result<()> {
        match held {
            Held::Alone(guard) => guard.release().await?,
            Held::Shared(guard) => guard.release().await?,
        }
        Ok(())
    }

    /// A guard that is not valid never is again.
    fn standing(&self, held: &Held) -> Option<Standing> {
        let is_valid = match held {
            Held::Alone(guard) => guard.is_valid(),
            Held::Shared(guard) => guard.is_valid(),
        };
        Some(if is_valid { Standing::Sure } else { Standing::Lost })
    }

    async fn attempt(&self, lock: &str) -> Result<Option<bool>> {
        Ok(Some(self.0.mutex(lock)?.try_acquire().await?.is_some()))
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
