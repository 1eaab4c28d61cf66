//! The record of a leader: one line of JSON that says who leads, then the payload as it is.

use serde::{Deserialize, Serialize};

use super::watching::Names;
use crate::error::Error;
use crate::name::Sequence;
use crate::store::OwnNode;
use crate::ticket::Identity;
use crate::token::FencingToken;

/// What fits one request besides the line and the transaction's other parts.
const PAYLOAD_BYTES_MAX: usize = 990_000;

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    pub(super) sequence: Sequence,
    /// The token of the node, which is another than that of the leadership if that was resumed.
    node_token: FencingToken,
    token: FencingToken,
    identity: Identity,
    payload: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    node: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node_token: Option<i64>,
    token: i64,
    leader: Identity,
}

impl Leader {
    /// The fencing token of the leadership.
    pub fn fencing_token(&self) -> FencingToken {
        self.token
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it has proclaimed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn new(node: OwnNode, token: FencingToken, identity: Identity, payload: Vec<u8>) -> Self {
        Self { sequence: node.sequence, node_token: node.token, token, identity, payload }
    }

    /// What a record says; `None` if it says nothing that this library wrote.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let end = data.iter().position(|&byte| byte == b'\n')?;
        let (line, payload) = (&data[..end], data.get(end + 1..)?);
        let line: Line = serde_json::from_slice(line).ok()?;
        // It comes from outside: anybody who may write to the store may have written it.
        if !line.leader.is_presentable() {
            return None;
        }
        let sequence = Sequence::of_node(&line.node)?;
        let node = OwnNode { sequence, token: FencingToken::from(line.node_token.unwrap_or(line.token)) };
        Some(Self::new(node, FencingToken::from(line.token), line.leader, payload.to_vec()))
    }

    /// Whether it leads by the node with this token.
    pub(crate) fn leads_by(&self, node_token: FencingToken) -> bool {
        self.node_token == node_token
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let line = Line {
            node: self.sequence.node_name(),
            node_token: (self.node_token != self.token).then_some(self.node_token.as_i64()),
            token: self.token.as_i64(),
            leader: self.identity.clone(),
        };
        let mut bytes = serde_json::to_vec(&line).expect("text and numbers can be written as JSON");
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

impl Names for Leader {
    type Token = FencingToken;

    fn node_token(&self) -> FencingToken {
        self.node_token
    }
}

pub(super) fn check_size(payload: &[u8]) -> Result<(), Error> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        let (bytes, bytes_max) = (payload.len(), PAYLOAD_BYTES_MAX);
        return Err(Error::TooLarge { what: "the payload", bytes, bytes_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(payload: &[u8]) -> Leader {
        let identity = Identity::new("billing").expect("a name");
        let node = OwnNode { sequence: 7.into(), token: FencingToken::from(99) };
        Leader::new(node, node.token, identity, payload.to_vec())
    }

    #[test]
    fn a_record_is_read_as_it_was_written_whatever_the_payload() {
        for payload in [&b""[..], b"http://here\n\nand more", &[0, 255, 10, 10]] {
            assert_eq!(Leader::parse(&leader(payload).to_bytes()), Some(leader(payload)));
        }
    }

    #[test]
    fn a_leadership_that_was_resumed_has_another_node_and_the_same_token() {
        let node = OwnNode { sequence: 7.into(), token: FencingToken::from(120) };
        let resumed = Leader::new(node, FencingToken::from(99), leader(b"").identity, b"p".to_vec());
        let read = Leader::parse(&resumed.to_bytes()).expect("a record");
        assert_eq!((read.fencing_token(), read.node_token()), (FencingToken::from(99), node.token));
        assert_eq!(read, resumed);
    }

    #[test]
    fn what_is_no_record_names_no_leader() {
        let good = leader(b"p").to_bytes();
        let text = String::from_utf8(good.clone()).expect("text");
        let bad = [
            String::new(),
            "\n".into(),
            "{}\n".into(),
            text.replace("lock-0000000007", "config"),
            text.replace("99", "\"99\""),
            text.replace("billing", "bill\\u001bing"),
            text.lines().next().expect("a line").to_owned(),
        ];
        for data in bad {
            assert_eq!(Leader::parse(data.as_bytes()), None, "{data:?}");
        }
    }
}
