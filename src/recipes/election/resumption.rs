//! What a process that is started again needs to go on leading: one line of text.
//!
//! # The argument
//!
//! The earlier run's node is there as long as its session lives. The next run puts a node of its own in its place, with the same
//! number, in one transaction, and goes on from there like any contender: it makes sure that nobody is ahead. So nobody else
//! leads in between, and whoever waits behind goes on waiting.
//!
//! The leadership keeps its token, for the reason that docs/PROTOCOL.md gives. So a resource cannot tell the two runs apart: the
//! earlier one must have ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::driver::{Claim, Earlier};
use crate::error::Error;
use crate::name::Sequence;
use crate::path::LockPath;
use crate::store::{OwnNode, SessionId};
use crate::token::FencingToken;

/// Much longer than any that this library writes.
const BYTES_MAX: usize = 8_192;

/// What the next run of a leader needs to go on leading, made by [`Leadership::resumption`](super::Leadership::resumption).
///
/// It is written and read as one line of text, to be kept in a file of that host, say. It has no secret in it: whoever may write
/// to the store may end the leadership anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    path: LockPath,
    earlier: Earlier,
}

#[derive(Serialize, Deserialize)]
struct Line {
    path: String,
    node: String,
    node_token: i64,
    session: i64,
    token: i64,
}

impl Resumption {
    pub(super) fn new(path: &LockPath, claim: Claim, token: FencingToken) -> Self {
        Self { path: path.clone(), earlier: Earlier { claim, token } }
    }

    /// The path of the election.
    pub fn path(&self) -> &LockPath {
        &self.path
    }

    /// The fencing token of the leadership.
    pub fn fencing_token(&self) -> FencingToken {
        self.earlier.token
    }

    pub(super) fn earlier(&self) -> Earlier {
        self.earlier
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() > BYTES_MAX {
            return None;
        }
        let line: Line = serde_json::from_str(text.trim()).ok()?;
        let sequence = Sequence::of_node(&line.node).filter(|sequence| sequence.is_exclusive())?;
        let node = OwnNode { sequence, token: FencingToken::from(line.node_token) };
        let claim = Claim { node, session: SessionId(line.session) };
        Some(Self::new(&LockPath::new(&line.path).ok()?, claim, FencingToken::from(line.token)))
    }
}

impl fmt::Display for Resumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Earlier { claim: Claim { node, session }, token } = self.earlier;
        let line = Line {
            path: self.path.to_string(),
            node: node.sequence.node_name(),
            node_token: node.token.as_i64(),
            session: session.0,
            token: token.as_i64(),
        };
        f.write_str(&serde_json::to_string(&line).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Resumption {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text).ok_or_else(|| Error::InvalidConfig {
            reason: "this is no resumption of a leadership; campaign instead, and write a new one".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resumption() -> Resumption {
        let node = OwnNode { sequence: 7.into(), token: FencingToken::from(120) };
        let path = LockPath::new("/scheduler").expect("a path");
        Resumption::new(&path, Claim { node, session: SessionId(-5) }, FencingToken::from(99))
    }

    #[test]
    fn it_is_read_as_it_was_written_also_with_a_line_break() {
        let text = resumption().to_string();
        assert!(!text.contains('\n'));
        assert_eq!(text.parse::<Resumption>().expect("a resumption"), resumption());
        assert_eq!(format!("{text}\n").parse::<Resumption>().expect("a resumption"), resumption());
    }

    #[test]
    fn what_is_no_resumption_is_refused() {
        let good = resumption().to_string();
        let long = format!("{good}{}", " ".repeat(BYTES_MAX));
        let relative = good.replace("/scheduler", "scheduler");
        let shared = good.replace("lock-", "read-");
        for bad in ["", "{}", "lock-0000000007", &good[1..], &long, &relative, &shared] {
            assert!(matches!(bad.parse::<Resumption>(), Err(Error::InvalidConfig { .. })), "{bad:?}");
        }
    }
}
