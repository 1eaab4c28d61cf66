//! What has happened, in words and as JSON.

use serde_json::{Value, json};

use super::super::document;
use super::super::text::{clean, count, span};
use super::changes::{Event, What};

/// In words, without the time and the lock.
pub(super) fn words(what: &What, now_unix_ms: u64) -> String {
    match what {
        What::Entered { who, ahead: 0 } => format!("{} waits, as the next", who.who()),
        What::Entered { who, ahead } => format!("{} waits, {ahead} ahead of it", who.who()),
        What::Granted { who, within_ms } => {
            let waited =
                who.age_ms(now_unix_ms).map(|age| format!(" {} after it came", brief(age))).unwrap_or_default();
            let within = within_ms.map(|within| format!(", handed over within {}", brief(within))).unwrap_or_default();
            format!("{} holds it{waited}{within}", who.who())
        }
        What::Downgraded { who } => format!("{} shares it from now on", who.who()),
        What::Left { who, held_ms: Some(held) } => {
            format!("{} left, was seen to hold it for {}", who.who(), brief(*held))
        }
        What::Left { who, held_ms: None } => format!("{} left without holding it", who.who()),
        What::SessionLeft { session, nodes } => {
            format!("session {session} is gone with all that it had: {}", count(*nodes, "node", "nodes"))
        }
        What::Waiting { from, to } => format!("{to} wait, were {from}"),
        What::Permits { from, to } => format!("{} permits, were {}", number(*to), number(*from)),
    }
}

/// One line, for pipes.
pub(super) fn line(event: &Event) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(event.at_unix_ms);
    let at = humantime::format_rfc3339_millis(at);
    format!("{at} {} {}", clean(&event.path), words(&event.what, event.at_unix_ms))
}

/// As JSON.
pub(super) fn document(event: &Event) -> Value {
    let now = event.at_unix_ms;
    let mut document = json!({ "event": name(&event.what), "at_unix_ms": now, "path": event.path, "kind": event.kind });
    match &event.what {
        What::Entered { who, ahead } => {
            document["contender"] = document::member(who, now);
            document["ahead"] = json!(ahead);
        }
        What::Granted { who, within_ms } => {
            document["contender"] = document::member(who, now);
            document["handed_over_within_ms"] = json!(within_ms);
        }
        What::Downgraded { who } => document["contender"] = document::member(who, now),
        What::Left { who, held_ms } => {
            document["contender"] = document::member(who, now);
            document["held_ms"] = json!(held_ms);
        }
        What::SessionLeft { session, nodes } => {
            document["session"] = json!(session.to_string());
            document["nodes"] = json!(nodes);
        }
        What::Waiting { from, to } => (document["from"], document["to"]) = (json!(from), json!(to)),
        What::Permits { from, to } => (document["from"], document["to"]) = (json!(from), json!(to)),
    }
    document
}

fn name(what: &What) -> &'static str {
    match what {
        What::Entered { .. } => "entered",
        What::Granted { .. } => "granted",
        What::Downgraded { .. } => "downgraded",
        What::Left { .. } => "left",
        What::SessionLeft { .. } => "session-left",
        What::Waiting { .. } => "waiting",
        What::Permits { .. } => "permits",
    }
}

/// A time that may be short.
fn brief(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..10_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        10_000.. => span(millis),
    }
}

fn number(permits: Option<u32>) -> String {
    permits.map_or_else(|| "?".to_owned(), |permits| permits.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::changes::tests::member;
    use super::*;

    #[test]
    fn each_event_is_one_line_with_what_matters() {
        let at_unix_ms = 61_000;
        let of = |what| line(&Event { at_unix_ms, path: "/a\u{1b}".into(), kind: "lock", what });
        let granted = of(What::Granted { who: member(1, true), within_ms: Some(1_250) });
        assert!(granted.starts_with("1970-01-01T00:01:01.000Z /a\u{fffd} app-1@"), "{granted}");
        assert!(granted.ends_with("holds it 1m00s after it came, handed over within 1.2s"), "{granted}");
        assert!(
            of(What::Left { who: member(1, true), held_ms: Some(2_000) })
                .ends_with("left, was seen to hold it for 2.0s")
        );
        assert!(of(What::Permits { from: None, to: Some(3) }).ends_with("3 permits, were ?"));
    }
}
