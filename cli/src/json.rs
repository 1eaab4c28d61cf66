//! What is printed with `--json`. docs/CLI.md describes it; what is there is neither renamed nor removed.

use fairlock::Identity;
use fairlock::recipes::Leader;
use serde_json::{Value, json};

/// Who a process is.
pub(crate) fn identity(identity: &Identity) -> Value {
    json!({ "owner": identity.owner(), "host": identity.host(), "pid": identity.pid() })
}

/// Who leads.
pub(crate) fn leader(leader: Option<&Leader>) -> Value {
    match leader {
        None => json!({ "leader": null }),
        Some(leader) => json!({ "leader": {
            "identity": identity(leader.identity()),
            "token": leader.fencing_token().as_i64(),
            "payload": std::str::from_utf8(leader.payload()).ok(),
            "payload_bytes": leader.payload().len(),
        } }),
    }
}
