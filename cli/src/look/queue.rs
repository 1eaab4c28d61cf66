//! `fairlock queue`: everybody at one lock, one a line.

use std::io::{self, Write as _};

use fairlock::Fairlock;

use super::text::{clean, count, span};
use super::{Member, Seen, Subject, document, now_unix_ms, table};
use crate::exit::{self, Exit, Failure};
use crate::json::Document;

/// Prints what is there now.
pub(super) async fn show(locks: &Fairlock, subject: &Subject, is_json: bool) -> Result<Exit, Failure> {
    let look = subject.look(locks).await?;
    let now = now_unix_ms();
    let mut out = io::stdout().lock();
    if is_json {
        writeln!(out, "{}", Document(document::look(&look, subject, now)))?;
    } else {
        for (at, seen) in look.locks.iter().filter(|seen| !seen.is_empty()).enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            let columns = table::columns();
            writeln!(out, "{}", super::text::cut(&title(seen), columns.unwrap_or(usize::MAX)))?;
            let rows: Vec<_> = std::iter::once(HEAD.map(str::to_owned))
                .chain(seen.members.iter().map(|member| row(member, now)))
                .collect();
            for line in table::lines(&rows, columns) {
                writeln!(out, "{line}")?;
            }
        }
    }
    out.flush()?;
    drop(out);
    for seen in look.locks.iter().filter(|seen| seen.foreign > 0) {
        let nodes = count(seen.foreign, "foreign node", "foreign nodes");
        let example = seen.foreign_example.as_deref().map(clean).unwrap_or_default();
        exit::warn(format_args!("{nodes} among them, such as {example}: whatever made that, it blocks nobody"));
    }
    if look.locks.iter().all(Seen::is_empty) {
        exit::warn(format_args!("nobody holds {} or waits for it", subject.path()));
    }
    Ok(Exit::Ok)
}

/// The lock in one line.
pub(super) fn title(seen: &Seen) -> String {
    let holding = seen.holders().count();
    let verb = if holding == 1 { "holds it" } else { "hold it" };
    let waits = if seen.waiting == 1 { "waits" } else { "wait" };
    format!("{}: {}, {holding} {verb}, {} {waits}", clean(&seen.path), seen.kind.words(), seen.waiting)
}

const HEAD: [&str; 8] = ["POS", "ROLE", "MODE", "AGE", "SESSION", "TOKEN", "NODE", "WHO"];

fn row(member: &Member, now_unix_ms: u64) -> [String; 8] {
    [
        member.place.to_string(),
        member.role().to_owned(),
        member.mode.words(),
        member.age_ms(now_unix_ms).map_or_else(|| "-".to_owned(), span),
        member.session(),
        member.token.to_string(),
        member.node.clone(),
        member.who(),
    ]
}
