//! The kinds of faults, and the order in which they come: a deck that is shuffled anew when it has been dealt.
//!
//! So every kind happens about equally often, and once within the time that a deck takes, whatever the seed.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    KillLeader,
    KillFollower,
    PauseLeader,
    PauseFollower,
    IsolateLeader,
    IsolateFollower,
    CutLinks,
    StallLinks,
    /// For less than the session timeout.
    StopShortly,
    /// For longer than the session timeout.
    StopLong,
    /// As `StopLong`, between a holder's read of the register and its write.
    StopHolder,
    KillClient,
    /// Between the read and the write, or between the write and its acknowledgement.
    KillHolder,
}

impl Kind {
    pub(crate) const SERVERS_AND_LINKS: [Self; 8] = [
        Self::KillLeader,
        Self::KillFollower,
        Self::PauseLeader,
        Self::PauseFollower,
        Self::IsolateLeader,
        Self::IsolateFollower,
        Self::CutLinks,
        Self::StallLinks,
    ];

    pub(crate) const CLIENTS: [Self; 5] =
        [Self::StopShortly, Self::StopLong, Self::StopHolder, Self::KillClient, Self::KillHolder];

    pub(crate) const ALL: [Self; 13] = {
        let mut all = [Self::KillLeader; 13];
        let mut index = 0;
        while index < all.len() {
            all[index] = if index < 8 { Self::SERVERS_AND_LINKS[index] } else { Self::CLIENTS[index - 8] };
            index += 1;
        }
        all
    };

    /// Whether it is about the server that leads; the others choose any that follows.
    pub(crate) fn is_of_leader(self) -> bool {
        matches!(self, Self::KillLeader | Self::PauseLeader | Self::IsolateLeader)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::KillLeader => "kill the leader",
            Self::KillFollower => "kill a follower",
            Self::PauseLeader => "pause the leader",
            Self::PauseFollower => "pause a follower",
            Self::IsolateLeader => "isolate the leader",
            Self::IsolateFollower => "isolate a follower",
            Self::CutLinks => "cut clients' links",
            Self::StallLinks => "stall clients' links",
            Self::StopShortly => "stop a client shortly",
            Self::StopLong => "stop a client for long",
            Self::StopHolder => "stop a holder for long",
            Self::KillClient => "kill a client",
            Self::KillHolder => "kill a holder",
        })
    }
}

#[derive(Debug)]
pub(crate) struct Deck {
    kinds: Vec<Kind>,
    left: Vec<Kind>,
}

impl Deck {
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        Self { kinds: kinds.to_vec(), left: Vec::new() }
    }

    pub(crate) fn deal(&mut self, random: &mut fastrand::Rng) -> Kind {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
            random.shuffle(&mut self.left);
        }
        self.left.pop().expect("just filled with at least one kind")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;

    #[test]
    fn every_kind_comes_once_in_each_deck() {
        let mut deck = Deck::new(&Kind::ALL);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..3 {
            let dealt: BTreeSet<_> = (0..Kind::ALL.len()).map(|_| deck.deal(&mut random)).collect();
            assert_eq!(dealt.len(), Kind::ALL.len());
        }
    }

    #[test]
    fn a_seed_decides_the_order() {
        let deal = |seed| {
            let (mut deck, mut random) = (Deck::new(&Kind::ALL), fastrand::Rng::with_seed(seed));
            (0..50).map(|_| deck.deal(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(deal(3), deal(3));
        assert_ne!(deal(3), deal(4));
    }
}
