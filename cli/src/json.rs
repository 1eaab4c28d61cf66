//! What is printed with `--json`. docs/CLI.md describes it; what is there is neither renamed nor removed.

use std::fmt::{self, Write as _};

use fairlock::Identity;
use fairlock::recipes::Leader;
use serde_json::{Value, json};

/// A document as it is printed: on one line, and with no control characters. JSON allows those from 0x7f on.
#[derive(Debug)]
pub(crate) struct Document(pub(crate) Value);

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            // Outside of texts there is none, and in them this means the same.
            if c.is_control() { write!(f, "\\u{:04x}", u32::from(c))? } else { f.write_char(c)? }
        }
        Ok(())
    }
}

/// Who a process is.
pub(crate) fn identity(identity: &Identity) -> Value {
    json!({ "owner": identity.owner(), "host": identity.host(), "pid": identity.pid() })
}

/// Who leads.
pub(crate) fn leader(leader: Option<&Leader>) -> Document {
    Document(match leader {
        None => json!({ "leader": null }),
        Some(leader) => json!({ "leader": {
            "identity": identity(leader.identity()),
            "token": leader.fencing_token().as_i64(),
            "payload": std::str::from_utf8(leader.payload()).ok(),
            "payload_bytes": leader.payload().len(),
        } }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_no_control_characters_and_means_the_same() {
        let value = json!({ "payload": "a\u{9b}31m\u{7f}\u{85}\u{1b}\n\u{a0}é" });
        let printed = Document(value.clone()).to_string();
        assert!(!printed.chars().any(char::is_control), "{printed:?}");
        assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), value);
    }
}
