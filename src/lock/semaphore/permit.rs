//! Permits that were granted.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, LossReason};
use crate::lock::distributed::HeldLock;
use crate::lock::guard::Guard;
use crate::lock::share::tells_like_a_guard;
use crate::token::FencingToken;

/// One or several permits of a [`Semaphore`](crate::Semaphore). Dropping it gives them all back.
///
/// It tells of its loss like a [`Guard`].
#[must_use = "if unused, the permits are given back immediately"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct Permit {
    guard: Guard,
    count: u32,
}

impl Permit {
    pub(super) fn new(guard: Guard, count: u32) -> Self {
        Self { guard, count }
    }

    /// How many permits it is.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The token of this grant, higher than those of all contenders ahead of it. Others that have permits at the same time may have
    /// higher ones.
    pub fn fencing_token(&self) -> FencingToken {
        self.guard.fencing_token()
    }
}

tells_like_a_guard!(Permit);

#[async_trait]
impl HeldLock for Permit {
    fn fencing_token(&self) -> Option<FencingToken> {
        Some(Permit::fencing_token(self))
    }

    fn is_valid(&self) -> bool {
        Permit::is_valid(self)
    }

    fn valid_for(&self) -> Duration {
        Permit::valid_for(self)
    }

    async fn lost(&self) -> LossReason {
        Permit::lost(self).await
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        Permit::release(*self).await
    }
}
