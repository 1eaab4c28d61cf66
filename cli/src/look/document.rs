//! What was seen, as JSON. docs/CLI.md describes it; what is there is neither renamed nor removed.

use serde_json::{Value, json};

use super::{Look, Member, Mode, Seen, Subject};
use crate::json;

/// All of it.
pub(super) fn look(look: &Look, subject: &Subject, now_unix_ms: u64) -> Value {
    let is_queue = matches!(subject, Subject::Queue { .. });
    let locks: Vec<_> = look.locks.iter().map(|seen| lock(seen, is_queue, now_unix_ms)).collect();
    let mut document = json!({ "path": subject.path(), "at_unix_ms": now_unix_ms, "locks": locks });
    if !is_queue {
        let unreadable = look.unreadable.iter().map(|(path, error)| json!({ "path": path, "error": error }));
        document["unreadable"] = unreadable.collect();
        document["cut"] = json!(look.is_cut);
    }
    document
}

fn lock(seen: &Seen, with_all: bool, now_unix_ms: u64) -> Value {
    let members: Vec<_> = seen.members.iter().map(|each| member(each, now_unix_ms)).collect();
    let mut document = json!({
        "path": seen.path,
        "kind": seen.kind.name(),
        (if with_all { "contenders" } else { "holders" }): members,
        "waiting": seen.waiting,
        "foreign": seen.foreign,
    });
    seen.kind.describe(&mut document);
    document
}

pub(super) fn member(member: &Member, now_unix_ms: u64) -> Value {
    let permits = match member.mode {
        Mode::Permits(count) => json!(count),
        Mode::Exclusive | Mode::Shared => Value::Null,
    };
    json!({
        "position": member.place,
        "role": member.role(),
        "mode": member.mode.name(),
        "permits": permits,
        "identity": member.identity.as_ref().map(json::identity),
        "age_ms": member.age_ms(now_unix_ms),
        "since_unix_ms": member.since_unix_ms,
        "session": member.session.map(|session| session.to_string()),
        "token": member.token.as_i64(),
        "node": member.node,
    })
}
