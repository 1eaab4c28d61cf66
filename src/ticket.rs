//! The data of a contender's znode: who waits, since when, and the id by which a lost reply is recovered.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::store::Node;
use crate::token::FencingToken;

/// The longest owner name, in bytes.
pub(crate) const OWNER_BYTES_MAX: usize = 256;

/// The longest host name and id that are believed, in bytes.
const HOST_BYTES_MAX: usize = 256;
const ID_BYTES_MAX: usize = 64;

/// Who a process is, as other contenders and operators see it.
///
/// Any client that may read the lock's znodes sees it; put no secret into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    owner: String,
    host: String,
    pid: u32,
}

impl Identity {
    /// An identity with this owner name, on this host and process.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the name is longer than 256 bytes, [`Error::InvalidConfig`] if it is empty or has
    /// control characters.
    pub fn new(owner: impl Into<String>) -> Result<Self, Error> {
        let owner = owner.into();
        if owner.len() > OWNER_BYTES_MAX {
            return Err(Error::TooLarge { what: "the owner name", bytes: owner.len(), bytes_max: OWNER_BYTES_MAX });
        }
        if !is_one_line(&owner, OWNER_BYTES_MAX) {
            return Err(Error::InvalidConfig {
                reason: "the owner name is empty or has control characters; give a short name such as billing-7".into(),
            });
        }
        Ok(Self { owner, host: host_name(), pid: std::process::id() })
    }

    /// Whether it is fit to be shown, wherever it comes from: its texts are short and have no control characters.
    pub(crate) fn is_presentable(&self) -> bool {
        is_one_line(&self.owner, OWNER_BYTES_MAX) && is_one_line(&self.host, HOST_BYTES_MAX)
    }

    /// The name given by the application, by default the name of the program.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The process id on that host.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl Default for Identity {
    fn default() -> Self {
        let program = std::env::current_exe()
            .ok()
            .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
            .map(|name| name.chars().filter(|c| !c.is_control()).take(OWNER_BYTES_MAX / 4).collect::<String>())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "unnamed".to_owned());
        Self { owner: program, host: host_name(), pid: std::process::id() }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.owner, self.host, self.pid)
    }
}

/// Fit to be shown to people: neither empty nor endless, and nothing that a terminal obeys.
fn is_one_line(text: &str, bytes_max: usize) -> bool {
    !text.is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
}

fn host_name() -> String {
    const CHARS_MAX: usize = 64;
    let system = rustix::system::uname();
    let name: String =
        system.nodename().to_string_lossy().chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// What a contender writes into its znode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The attempt's id, unique over all processes: after a lost reply it says which node is one's own.
    id: String,
    #[serde(flatten)]
    identity: Identity,
    /// When the contender entered, in milliseconds since 1970 by its own wall clock.
    since_unix_ms: u64,
    /// The fencing token that it goes on with, where it has taken over the place of an earlier node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<i64>,
}

impl Ticket {
    pub(crate) fn new(identity: Identity, since_unix_ms: u64) -> Self {
        let mut bits = fastrand::Rng::new();
        Self { id: hexadecimal(bits.u128(..)), identity, since_unix_ms, token: None }
    }

    /// One that goes on with this fencing token.
    pub(crate) fn with_token(self, token: FencingToken) -> Self {
        Self { token: Some(token.as_i64()), ..self }
    }

    /// The fencing token of a contender's node.
    pub(crate) fn fencing_token_of(node: &Node) -> FencingToken {
        Self::parse(&node.data).and_then(|ticket| ticket.token).map_or(node.token, FencingToken::from)
    }

    /// Parses the data of a contender's znode. `None`: it is not a ticket (another version, or somebody wrote there).
    ///
    /// Whatever parses is fit to be shown: its texts are short and have no control characters.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let ticket: Self = serde_json::from_slice(data).ok()?;
        let is_fit = is_one_line(&ticket.id, ID_BYTES_MAX) && ticket.identity.is_presentable();
        is_fit.then_some(ticket)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialize")
    }

    /// The attempt's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who waits or holds.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// When the contender entered, in milliseconds since 1970 by its own wall clock.
    pub fn since_unix_ms(&self) -> u64 {
        self.since_unix_ms
    }
}

/// All 32 digits. Not formatted, which takes several times as many instructions at each acquisition.
fn hexadecimal(number: u128) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
    }
    str::from_utf8(&digits).expect("digits are ASCII").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_all_its_digits() {
        for number in [0, 1, 0xf0, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677] {
            assert_eq!(hexadecimal(number), format!("{number:032x}"));
        }
    }

    #[test]
    fn tickets_round_trip_and_differ() {
        let identity = Identity::new("billing-7").expect("a good name");
        let (one, two) = (Ticket::new(identity.clone(), 5), Ticket::new(identity, 5));
        assert_ne!(one.id(), two.id());
        assert_eq!(Ticket::parse(&one.to_bytes()), Some(one.clone()));
        assert!(one.to_bytes().len() < 512, "a waiter's node stays small");
    }

    #[test]
    fn foreign_data_is_no_ticket() {
        for data in [&b""[..], b"10.0.0.1", b"__REVOKE__", b"{}", b"\xff\xfe", b"[1,2]", b"{\"id\":1}"] {
            assert_eq!(Ticket::parse(data), None, "{data:?}");
        }
    }

    #[test]
    fn what_would_disturb_a_reader_is_no_ticket() {
        let with = |id: &str, owner: &str, host: &str| {
            let identity = Identity { owner: owner.to_owned(), host: host.to_owned(), pid: 1 };
            Ticket::parse(&Ticket { id: id.to_owned(), identity, since_unix_ms: 5, token: None }.to_bytes())
        };
        assert!(with("0", "a", "b").is_some());
        let long = "x".repeat(257);
        for (id, owner, host) in [
            ("0", "\u{1b}[2J", "b"),
            ("0", "a", "b\n"),
            ("0\0", "a", "b"),
            ("", "a", "b"),
            ("0", "", "b"),
            ("0", &long, "b"),
            ("0", "a", &long),
            (&long, "a", "b"),
        ] {
            assert_eq!(with(id, owner, host), None, "{id:?} {owner:?} {host:?}");
        }
    }

    #[test]
    fn owner_names_are_bounded() {
        assert!(matches!(Identity::new("x".repeat(257)), Err(Error::TooLarge { bytes: 257, .. })));
        assert!(matches!(Identity::new(""), Err(Error::InvalidConfig { .. })));
        assert!(matches!(Identity::new("a\nb"), Err(Error::InvalidConfig { .. })));
        assert!(Identity::default().to_bytes_len() < 512);
    }

    impl Identity {
        fn to_bytes_len(&self) -> usize {
            Ticket::new(self.clone(), u64::MAX).to_bytes().len()
        }
    }
}
