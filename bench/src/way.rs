//! The way from a contender to its server: something that counts and delays what passes.

use std::time::Duration;

use fairlock_testcontainers::{Counts, Operation, Proxy};

use crate::cost::Cost;
use crate::error::Result;
use crate::relay::Relay;

pub(crate) enum Way {
    /// To ZooKeeper, whose frames are understood.
    Proxy(Proxy),
    /// To something else, of which only bytes are known.
    Relay(Relay),
}

/// What has passed until a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Passed {
    Frames(Counts),
    Bytes(u64),
}

impl Way {
    pub(crate) async fn to_zookeeper(server: String) -> Result<Self> {
        Ok(Self::Proxy(Proxy::start(server).await?))
    }

    pub(crate) async fn to_another(server: String) -> Result<Self> {
        Ok(Self::Relay(Relay::start(server).await?))
    }

    /// Where the contender connects.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Proxy(proxy) => proxy.address(),
            Self::Relay(relay) => relay.address(),
        }
    }

    pub(crate) fn set_delay(&self, delay: Duration) {
        match self {
            Self::Proxy(proxy) => proxy.set_delay(delay),
            Self::Relay(relay) => relay.set_delay(delay),
        }
    }

    pub(crate) fn passed(&self) -> Passed {
        match self {
            Self::Proxy(proxy) => Passed::Frames(proxy.counts()),
            Self::Relay(relay) => Passed::Bytes(relay.bytes()),
        }
    }

    /// How many there are, where that can be seen.
    pub(crate) fn connections(&self) -> usize {
        match self {
            Self::Proxy(proxy) => proxy.connections(),
            Self::Relay(_) => 0,
        }
    }

    /// Waits until no more than these are left, where that can be seen.
    pub(crate) async fn wait_for_connections(&self, left: usize) {
        if let Self::Proxy(proxy) = self {
            proxy.wait_for_connections(|open| open <= left).await;
        }
    }

    /// Whether nothing is on its way or waits for an answer, as far as can be seen.
    pub(crate) fn is_idle(&self) -> bool {
        match self {
            Self::Proxy(proxy) => {
                let counts = proxy.counts();
                counts.requests() == counts.replies()
            }
            Self::Relay(relay) => relay.is_idle(),
        }
    }
}

impl Passed {
    pub(crate) fn since(self, earlier: Self) -> Cost {
        match (self, earlier) {
            (Self::Frames(later), Self::Frames(earlier)) => (later - earlier).into(),
            (Self::Bytes(later), Self::Bytes(earlier)) => {
                Cost { reads: 0, writes: 0, events: 0, bytes: later.saturating_sub(earlier) }
            }
            _ => unreachable!("a way is of one kind"),
        }
    }

    /// How often a client looked at a single node, as whoever waits does last.
    pub(crate) fn looks(&self) -> u64 {
        match self {
            Self::Frames(counts) => counts.reply(Operation::GetData) + counts.reply(Operation::Exists),
            Self::Bytes(_) => 0,
        }
    }
}
