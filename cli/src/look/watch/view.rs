//! The full-screen view as lines, for any size: what is seen now, and below it what has happened.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::text::{clean, clock, count, cut, span, width};
use super::super::{Look, Member, Seen, Subject, queue, table, tree};
use super::changes::{Event, Sight, What};
use super::words;

/// How a line looks. Colours say nothing that the text does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Title,
    Head,
    Holder,
    Waiter,
    Plain,
    Faint,
    Good,
    Alert,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) tone: Tone,
    pub(super) text: String,
}

/// What is to be shown.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) subject: &'a Subject,
    pub(super) sight: &'a Sight,
    pub(super) log: &'a VecDeque<Event>,
    /// What keeps the servers from being seen.
    pub(super) trouble: Option<String>,
    pub(super) now_unix_ms: u64,
    pub(super) interval: Duration,
}

/// From so many rows on, there are a heading and a last line with the keys; and from so many, what has happened.
const ROWS_FOR_FRAME: usize = 8;
const ROWS_FOR_LOG: usize = 10;
const LOG_ROWS_MAX: usize = 15;

/// From so many columns on, there is more to be told of each.
const COLUMNS_FOR_SOME: usize = 30;
const COLUMNS_FOR_MORE: usize = 60;
const COLUMNS_FOR_ALL: usize = 110;

const BAR_COLUMNS: u64 = 20;

impl View<'_> {
    /// At most so many lines of at most so many columns.
    pub(super) fn compose(&self, columns: usize, rows: usize) -> Vec<Line> {
        let mut top = vec![Line { tone: Tone::Title, text: self.title(columns) }];
        if let Some(trouble) = &self.trouble {
            top.push(Line { tone: Tone::Alert, text: clean(trouble) });
        }
        if let Some(missing) = self.sight.look().and_then(missing) {
            top.push(Line { tone: Tone::Alert, text: missing });
        }
        let is_framed = rows >= ROWS_FOR_FRAME;
        let mut bottom =
            if rows >= ROWS_FOR_LOG && !self.log.is_empty() { self.log((rows / 3).min(LOG_ROWS_MAX)) } else { vec![] };
        if is_framed {
            let least = if matches!(self.subject, Subject::Queue { .. }) { "at least " } else { "" };
            let text = format!("q ends it; looks {least}every {:?}; times are UTC", self.interval);
            bottom.push(Line { tone: Tone::Faint, text });
        }
        let room = rows.saturating_sub(top.len() + bottom.len());
        let mut body = self.body(columns, room, is_framed);
        if is_framed {
            body.resize(room, Line { tone: Tone::Plain, text: String::new() });
        }
        let mut lines: Vec<_> = top.into_iter().chain(body).chain(bottom).take(rows).collect();
        for line in &mut lines {
            line.text = cut(&line.text, columns);
        }
        lines
    }

    fn look(&self) -> &[Seen] {
        self.sight.look().map_or(&[], |look| &look.locks)
    }

    fn title(&self, columns: usize) -> String {
        let at = self.sight.at_unix_ms().map(clock).unwrap_or_default();
        let holding: usize = self.look().iter().map(|seen| seen.holders().count()).sum();
        let waiting: usize = self.look().iter().map(|seen| seen.waiting).sum();
        if columns < COLUMNS_FOR_MORE {
            let numbers = format!(" {holding}+{waiting}");
            return cut(&clean(self.subject.path()), columns.saturating_sub(numbers.len())) + &numbers;
        }
        let text = match (self.subject, self.look()) {
            (Subject::Queue { .. }, [seen]) => queue::title(seen),
            (subject, locks) => {
                let locks = count(locks.len(), "lock", "locks");
                format!("{}: {locks}, {holding} hold one, {waiting} wait", clean(subject.path()))
            }
        };
        let text = cut(&text, columns.saturating_sub(at.len() + 1));
        let space = columns.saturating_sub(width(&text) + at.len());
        format!("{text}{}{at}", " ".repeat(space))
    }

    fn body(&self, columns: usize, room: usize, has_head: bool) -> Vec<Line> {
        let mut rows = match self.subject {
            Subject::Queue { .. } => self.members(columns),
            Subject::Tree { .. } => self.locks(columns, room.saturating_sub(1)),
        };
        if rows.len() == 1 {
            let text = match self.sight.look() {
                Some(look) if look.is_whole() => "nobody holds or waits",
                Some(_) => "nobody that can be seen holds or waits",
                None => "looking",
            };
            return vec![Line { tone: Tone::Plain, text: text.to_owned() }];
        }
        let texts: Vec<_> = rows.iter_mut().map(|(_, cells)| std::mem::take(cells)).collect();
        let tones = rows.iter().map(|(tone, _)| *tone);
        let lines = table::lines(&texts, None).into_iter().zip(tones).map(|(text, tone)| Line { tone, text });
        let mut lines: Vec<_> = lines.skip(usize::from(!has_head)).collect();
        if lines.len() > room && room > 0 {
            let hidden = lines.len() - room + 1;
            lines.truncate(room - 1);
            lines.push(Line { tone: Tone::Faint, text: format!("... and {hidden} more") });
        }
        lines
    }

    /// Everybody at the lock, below the heading.
    fn members(&self, columns: usize) -> Vec<(Tone, Vec<String>)> {
        let head: &[&str] = match columns {
            0..COLUMNS_FOR_SOME => &["WHO"],
            COLUMNS_FOR_SOME..COLUMNS_FOR_MORE => &["POS", "AGE", "WHO"],
            COLUMNS_FOR_MORE..COLUMNS_FOR_ALL => &["POS", "ROLE", "MODE", "AGE", "HELD", "WHO"],
            COLUMNS_FOR_ALL.. => &["POS", "ROLE", "MODE", "AGE", "HELD", "", "TOKEN", "SESSION", "WHO"],
        };
        let mut rows = vec![(Tone::Head, head.iter().map(|&cell| cell.to_owned()).collect())];
        let oldest =
            self.look().iter().flat_map(|seen| &seen.members).filter_map(|each| each.age_ms(self.now_unix_ms)).max();
        for seen in self.look() {
            for member in &seen.members {
                let age = member.age_ms(self.now_unix_ms);
                let mark = if member.holds { "*" } else { " " };
                let cell = |name: &str| match name {
                    "POS" if columns < COLUMNS_FOR_MORE => format!("{mark}{}", member.place),
                    "POS" => member.place.to_string(),
                    "ROLE" => member.role().to_owned(),
                    "MODE" => member.mode.words(),
                    "AGE" => age.map_or_else(|| "-".to_owned(), span),
                    "HELD" => self.held(seen, member),
                    "TOKEN" => member.token.to_string(),
                    "SESSION" => member.session(),
                    "WHO" if columns < COLUMNS_FOR_SOME => format!("{mark}{}", member.who()),
                    "WHO" => member.who(),
                    _ => bar(age.unwrap_or(0), oldest.unwrap_or(0), member.holds),
                };
                let tone = if member.holds { Tone::Holder } else { Tone::Waiter };
                rows.push((tone, head.iter().map(|name| cell(name)).collect()));
            }
        }
        rows
    }

    fn held(&self, seen: &Seen, member: &Member) -> String {
        self.sight.held(seen, member).map_or_else(String::new, |held| {
            let more = if held.at_least { ">" } else { "" };
            format!("{more}{}", span(self.now_unix_ms.saturating_sub(held.since_unix_ms)))
        })
    }

    /// The locks, below the heading; if there is no room for all, those first at which most wait.
    fn locks(&self, columns: usize, room: usize) -> Vec<(Tone, Vec<String>)> {
        let mut locks: Vec<&Seen> = self.look().iter().collect();
        if locks.len() > room {
            locks.sort_by(|one, two| two.waiting.cmp(&one.waiting).then_with(|| one.path.cmp(&two.path)));
        }
        let shown: &[usize] = match columns {
            0..COLUMNS_FOR_SOME => &[2, 0],
            COLUMNS_FOR_SOME..COLUMNS_FOR_MORE => &[0, 2, 4],
            COLUMNS_FOR_MORE.. => &[0, 1, 2, 3, 4],
        };
        let pick = |row: [String; 5]| -> Vec<String> { shown.iter().map(|&column| row[column].clone()).collect() };
        let mut rows = vec![(Tone::Head, pick(tree::HEAD.map(str::to_owned)))];
        for seen in locks {
            let mut row = tree::row(seen, self.now_unix_ms);
            row[0] = cut(&row[0], (columns / 2).max(columns.saturating_sub(60)));
            let tone = if seen.waiting > 0 { Tone::Waiter } else { Tone::Holder };
            rows.push((tone, pick(row)));
        }
        rows
    }

    fn log(&self, rows: usize) -> Vec<Line> {
        let is_tree = matches!(self.subject, Subject::Tree { .. });
        let first = self.log.len().saturating_sub(rows.saturating_sub(1));
        let lines = self.log.iter().skip(first).map(|event| {
            let path = if is_tree { format!(" {}:", clean(&event.path)) } else { String::new() };
            let text = format!("{}{path} {}", clock(event.at_unix_ms), words::words(&event.what, event.at_unix_ms));
            Line { tone: tone_of(&event.what), text }
        });
        let head = Line { tone: Tone::Head, text: "EVENTS".to_owned() };
        let mut lines: Vec<_> = std::iter::once(head).chain(lines).collect();
        lines.resize(rows, Line { tone: Tone::Plain, text: String::new() });
        lines
    }
}

fn tone_of(what: &What) -> Tone {
    match what {
        What::Granted { .. } | What::Downgraded { .. } => Tone::Good,
        What::SessionLeft { .. } => Tone::Alert,
        What::Entered { .. } => Tone::Waiter,
        What::Left { .. } | What::Waiting { .. } | What::Permits { .. } => Tone::Plain,
    }
}

/// How long somebody has been there, beside the one that has been there longest.
fn bar(age_ms: u64, oldest_ms: u64, holds: bool) -> String {
    let length = BAR_COLUMNS.saturating_mul(age_ms).checked_div(oldest_ms).unwrap_or(0).min(BAR_COLUMNS);
    (if holds { "#" } else { "=" }).repeat(usize::try_from(length).unwrap_or(0))
}

/// What is not seen, though the servers answer.
fn missing(look: &Look) -> Option<String> {
    let unreadable = (!look.unreadable.is_empty()).then(|| {
        let paths = count(look.unreadable.len(), "path", "paths");
        format!("{paths} may not be read, such as {}", clean(&look.unreadable[0].0))
    });
    let cut = look.is_cut.then(|| "there are more nodes than can be listed at once".to_owned());
    let missing: Vec<_> = unreadable.into_iter().chain(cut).collect();
    (!missing.is_empty()).then(|| format!("NOT ALL IS SEEN: {}", missing.join("; ")))
}

/// What keeps the servers from being seen, in words.
pub(super) fn trouble(
    error: Option<&str>,
    silent: Option<Duration>,
    last: Option<&Look>,
    at_unix_ms: Option<u64>,
) -> Option<String> {
    let what = match (error, silent) {
        (Some(error), _) => error.to_owned(),
        (None, Some(silent)) => {
            format!("no answer for {}", span(u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)))
        }
        (None, None) => return None,
    };
    let seen = last.and(at_unix_ms).map(|at| format!(" (as of {})", clock(at))).unwrap_or_default();
    Some(format!("TROUBLE{seen}: {what}"))
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
