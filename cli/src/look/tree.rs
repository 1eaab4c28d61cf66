//! `fairlock ls`: the locks below a path, one a line.

use std::io::{self, Write as _};

use fairlock::Fairlock;

use super::text::{clean, cut, span};
use super::{Look, Seen, Subject, document, now_unix_ms, table};
use crate::exit::{self, Exit, Failure};
use crate::json::Document;

/// How many holders of one lock are named.
const NAMED_MAX: usize = 3;
/// How much is shown of what a leader has told.
const PAYLOAD_COLUMNS_MAX: usize = 60;

/// Prints what is there now.
pub(super) async fn show(locks: &Fairlock, subject: &Subject, is_json: bool) -> Result<Exit, Failure> {
    let look = subject.look(locks).await?;
    let now = now_unix_ms();
    let mut out = io::stdout().lock();
    if is_json {
        writeln!(out, "{}", Document(document::look(&look, subject, now)))?;
    } else if !look.locks.is_empty() {
        let columns = table::columns();
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(look.locks.iter().map(|seen| row(seen, now)));
        for row in &mut rows {
            // One long path must not hide all that is to be known.
            row[0] = cut(&row[0], columns.map_or(usize::MAX, |columns| columns / 2));
        }
        for line in table::lines(&rows, columns) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    drop(out);
    tell_what_is_missing(&look);
    if look.is_denied(subject) {
        return Ok(Exit::NoPermission);
    }
    if look.locks.is_empty() {
        let more = if matches!(subject, Subject::Tree { with_empty: false, .. }) {
            " (--all lists those as well)"
        } else {
            ""
        };
        let path = subject.path();
        if look.is_whole() {
            exit::warn(format_args!("nobody holds a lock below {path} or waits for one{more}"));
        } else {
            exit::warn(format_args!("nobody that can be seen holds a lock below {path} or waits for one{more}"));
        }
    }
    Ok(Exit::Ok)
}

pub(super) const HEAD: [&str; 5] = ["LOCK", "KIND", "WAITING", "AGE", "HELD BY"];

pub(super) fn row(seen: &Seen, now_unix_ms: u64) -> [String; 5] {
    let age = seen.holders().next().and_then(|holder| holder.age_ms(now_unix_ms));
    [
        clean(&seen.path),
        seen.kind.words(),
        seen.waiting.to_string(),
        age.map_or_else(|| "-".to_owned(), span),
        held_by(seen),
    ]
}

fn held_by(seen: &Seen) -> String {
    let all: Vec<_> = seen.holders().map(super::Member::who).collect();
    let told = seen.kind.leaders_words().map(|words| format!(" ({})", cut(&clean(words), PAYLOAD_COLUMNS_MAX)));
    match all.len() {
        0 => "-".to_owned(),
        1 if told.is_some() => all[0].clone() + &told.unwrap_or_default(),
        1..=NAMED_MAX => all.join(", "),
        number => format!("{}, and {} more", all[..NAMED_MAX].join(", "), number - NAMED_MAX),
    }
}

/// Tells on standard error what is not in the list.
pub(super) fn tell_what_is_missing(look: &Look) {
    for (path, error) in &look.unreadable {
        exit::warn(format_args!("{}: {}", clean(path), clean(error)));
    }
    if look.is_cut {
        tell_that_it_is_cut();
    }
}

pub(super) fn tell_that_it_is_cut() {
    exit::warn(format_args!("there are more nodes than can be listed at once; give a path further down"));
}
