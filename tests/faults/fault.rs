//! The faults of the matrix: how each strikes while a request is under way, and how the link heals.

use std::time::Duration;

use fairlock_testcontainers::{Close, Direction, Hold, What, Which};

use crate::stage::Stage;

/// What happens while a request is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never reaches the server, and the connection is reset.
    RequestLost,
    /// The server has done it, its reply is lost, and the connection is reset.
    ReplyLost,
    /// The server has done it, and its reply comes late.
    ReplyDelayed,
    /// The connection is closed in good order right behind the request: whether it is executed is open.
    ClosedWithFin,
    /// The connection is reset right behind the request: whether it is executed is open.
    ClosedWithRst,
    /// The server has done it, and is killed before it can say so. It comes back with its data.
    ServerKilled,
    /// The server has done it and ends the session before its reply arrives.
    SessionExpired,
    /// The server has done it, and nothing that it sends arrives any more, until the client has noticed.
    BlackholeOneWay,
    /// The server has done it, and nothing passes either way any more, until the session has expired.
    BlackholeBothWays,
    /// Nothing reaches the server any more, until the session has expired, but the client's pings are answered.
    ZombieLink,
}

pub(crate) const FAULTS: [(&str, Fault); 10] = [
    ("request_lost", Fault::RequestLost),
    ("reply_lost", Fault::ReplyLost),
    ("reply_delayed", Fault::ReplyDelayed),
    ("closed_with_fin", Fault::ClosedWithFin),
    ("closed_with_rst", Fault::ClosedWithRst),
    ("server_killed", Fault::ServerKilled),
    ("session_expired", Fault::SessionExpired),
    ("blackhole_one_way", Fault::BlackholeOneWay),
    ("blackhole_both_ways", Fault::BlackholeBothWays),
    ("zombie_link", Fault::ZombieLink),
];

impl Fault {
    pub(crate) fn named(name: &str) -> Self {
        FAULTS.iter().find(|(known, _)| *known == name).expect("a fault of the table").1
    }

    /// The disturbed session's timeout: as short as the case has to wait for it, else long.
    pub(crate) fn session_timeout(self) -> Duration {
        Duration::from_millis(match self {
            Self::BlackholeBothWays | Self::ZombieLink => 1_000,
            // The client notices the silence after two fifths of it, and the session has to survive that.
            Self::BlackholeOneWay => 2_000,
            Self::ServerKilled => 5_000,
            _ => 4_000,
        })
    }

    /// Whether the session ends by it. Otherwise it survives, and all places in the queue with it.
    pub(crate) fn ends_session(self) -> bool {
        matches!(self, Self::SessionExpired | Self::BlackholeBothWays | Self::ZombieLink)
    }

    /// Whether it lasts so long that a holder's validity may lapse, although the session survives.
    pub(crate) fn may_outlast_validity(self) -> bool {
        matches!(self, Self::BlackholeOneWay | Self::ServerKilled)
    }

    /// Whether the server has executed the request for certain.
    pub(crate) fn is_executed(self) -> Option<bool> {
        match self {
            Self::RequestLost | Self::ZombieLink => Some(false),
            Self::ClosedWithFin | Self::ClosedWithRst => None,
            _ => Some(true),
        }
    }

    fn holds_request(self) -> bool {
        self.is_executed() != Some(true)
    }
}

/// A fault that has struck, and has not healed.
#[must_use = "it has to heal"]
pub(crate) struct Struck {
    hold: Option<Hold>,
    opened: usize,
}

impl Stage {
    /// Sets the trap that the fault springs from.
    pub(crate) fn trap(&self, which: impl Into<Which>) -> Hold {
        if self.fault.holds_request() { self.proxy.hold_request(which) } else { self.proxy.hold_reply(which) }
    }

    /// Waits until the trap has sprung, and lets the fault strike.
    pub(crate) async fn strike(&self, hold: Hold) -> Struck {
        self.soon("the trap to spring", hold.held()).await;
        self.has_struck_now();
        let opened = self.opened();
        let mut kept = None;
        match self.fault {
            Fault::RequestLost | Fault::ReplyLost => hold.lose(Close::Rst),
            Fault::ClosedWithFin => hold.let_go_and_close(Close::Fin),
            Fault::ClosedWithRst => hold.let_go_and_close(Close::Rst),
            Fault::ReplyDelayed => kept = Some(hold),
            Fault::ServerKilled => {
                // Nobody pauses between attempts to connect: all come back when the server does.
                self.proxy.hold_connections();
                self.theirs.hold_connections();
                self.server.kill().await.expect("killed");
                hold.lose(Close::Rst);
                self.theirs.cut(Close::Rst);
                self.server.start_again().await.expect("started again");
                self.proxy.release_connections();
                self.theirs.release_connections();
            }
            Fault::SessionExpired => {
                self.proxy.end_session().await.expect("ended");
                self.until_session_is_over().await;
                hold.lose(Close::Fin);
            }
            Fault::BlackholeOneWay => {
                self.proxy.hold_connections();
                self.proxy.swallow(Direction::ToClient);
                kept = Some(hold);
            }
            Fault::BlackholeBothWays => {
                self.proxy.swallow(Direction::Both);
                kept = Some(hold);
            }
            Fault::ZombieLink => {
                self.proxy.swallow_replies_except_pings();
                kept = Some(hold);
            }
        }
        Struck { hold: kept, opened }
    }

    /// Waits until the fault has had its whole effect, and ends it.
    pub(crate) async fn heal(&self, struck: Struck) {
        let Struck { hold, opened } = struck;
        let Some(hold) = hold else { return };
        match self.fault {
            Fault::ReplyDelayed => hold.let_go(),
            Fault::BlackholeOneWay => self.heal_once_noticed(Struck { hold: Some(hold), opened }).await,
            _ => {
                self.until_session_is_over().await;
                self.proxy.pass();
                hold.lose(Close::Fin);
                self.proxy.cut(Close::Fin);
            }
        }
    }

    /// Waits until the client has given the silent connection up and wants another, and ends the fault.
    pub(crate) async fn heal_once_noticed(&self, struck: Struck) {
        self.until("the client to notice the silence", async || self.opened() > struck.opened).await;
        self.proxy.pass();
        if let Some(hold) = struck.hold {
            hold.lose(Close::Fin);
        }
        self.proxy.release_connections();
    }

    /// How many connections the disturbed client has opened.
    fn opened(&self) -> usize {
        self.proxy.log().iter().filter(|entry| entry.what == What::Opened).count()
    }
}
