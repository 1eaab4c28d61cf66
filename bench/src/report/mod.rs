//! What was seen, as a page: tables in Markdown, which a terminal shows as well.

mod picture;

use std::fmt::Write as _;
use std::path::Path;

use crate::contenders::Name;
use crate::error::{Error, Result};
use crate::footprint;
use crate::results::{LOOPBACK, Link, Results, Row, Servers, Work};
use crate::verdict::{self, span};

/// The tables.
pub(crate) fn tables(results: &Results) -> String {
    let sections = [
        ("Verdict", verdict_table(results)),
        ("Times", time_table(results, |work| !work.is_processor_time())),
        ("Counts", count_table(results)),
        ("Processor time", time_table(results, Work::is_processor_time)),
        ("Memory", footprint::memory_tables(&results.memory)),
        ("Instructions", footprint::instructions_tables(&results.instructions)),
        ("Missing", missing(results)),
        ("Remarks", remarks(results)),
    ];
    let mut text = String::new();
    for (heading, body) in sections {
        // Writing to a string does not fail.
        let _ = write!(text, "## {heading}\n\n{body}\n");
    }
    text
}

/// Writes the page and its pictures below the folder of documents.
pub(crate) fn write(results: &Results, circumstances: &str, docs: &Path) -> Result<()> {
    let pictures = docs.join("benchmarks");
    std::fs::create_dir_all(&pictures).map_err(Error::io(format!("make {}", pictures.display())))?;
    let mut shown = String::new();
    for (name, title, svg) in picture::draw(results)? {
        write_file(&pictures.join(&name), &svg)?;
        let _ = writeln!(shown, "![{title}](benchmarks/{name})\n");
    }
    let page = format!("{}\n{circumstances}\n{shown}{}", include_str!("head.md"), tables(results));
    write_file(&docs.join("BENCHMARKS.md"), &format!("{}\n", page.trim_end()))
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(Error::io(format!("write {}", path.display())))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// Markdown with columns of even width.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(text, "| {} ", "-".repeat(*width));
            }
            text.push_str("|\n");
        }
    }
    text
}

fn cells<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn verdict_table(results: &Results) -> String {
    let mut rows = vec![cells(["bar", "seen", "verdict"])];
    for verdict in verdict::verdicts(results) {
        rows.push(vec![verdict.bar, verdict.figure, verdict.outcome.text().to_owned()]);
    }
    table(&rows)
}

fn time_table(results: &Results, is_shown: impl Fn(Work) -> bool) -> String {
    let heading = ["work", "link", "who", "median", "least..most of the rounds", "x floor", "fairlock / this"];
    let mut rows = vec![cells(heading)];
    for (work, link) in results.headings().into_iter().filter(|(work, _)| is_shown(*work)) {
        let of_work = results.rows.iter().filter(|row| (row.work, row.link) == (work, link));
        for row in of_work {
            let ratio = |to: Option<&Row>, from: Option<&Row>| {
                to.zip(from)
                    .and_then(|(to, from)| from.times.ratio_to(&to.times))
                    .map_or("".to_owned(), |ratio| format!("{ratio:.2}"))
            };
            let floor = results.row(work, link, Name::Floor);
            let fairlock = results.row(work, link, Name::Fairlock);
            let spread = row.times.least().zip(row.times.most());
            rows.push(vec![
                work.text(),
                link.text(),
                row.name.text().to_owned(),
                row.times.median().map(time).unwrap_or_default(),
                spread.map(|(least, most)| format!("{} .. {}", time(least), time(most))).unwrap_or_default(),
                ratio(floor, Some(row)),
                if row.name == Name::Fairlock { String::new() } else { ratio(Some(row), fairlock) },
            ]);
        }
    }
    table(&rows)
}

/// Counts do not depend on the link; those of the first link that was measured are shown.
fn count_table(results: &Results) -> String {
    let mut rows = vec![cells(["operation", "who", "reads", "writes", "events", "bytes", "in every round"])];
    let mut seen: Vec<(Work, Name)> = Vec::new();
    for row in &results.rows {
        if seen.contains(&(row.work, row.name)) {
            continue;
        }
        seen.push((row.work, row.name));
        for (what, costs) in &row.costs {
            let operations = row.work.operations() as u64;
            // Of other protocols only bytes are known.
            let known = |count: String| if row.name.is_on_zookeeper() { count } else { "–".to_owned() };
            let in_every_round = if costs.equal() { "the same" } else { "NOT the same" };
            let each = |of: fn(crate::cost::Cost) -> u64| match costs.span(of) {
                None => String::new(),
                Some((least, most)) if operations == 1 => span((least, most)),
                // As many as there are hand-overs, and one more for the last release.
                Some((least, most)) => {
                    let [least, most] = [least, most].map(|count| format!("{:.1}", count as f64 / operations as f64));
                    if least == most { least } else { format!("{least}..{most}") }
                }
            };
            rows.push(vec![
                match row.work {
                    Work::Uncontended => (*what).to_owned(),
                    _ if row.costs.len() > 1 => format!("{}, {what}", row.work.text()),
                    _ => row.work.text(),
                },
                row.name.text().to_owned(),
                known(each(|cost| cost.reads)),
                known(each(|cost| cost.writes)),
                known(each(|cost| cost.events)),
                each(|cost| cost.bytes),
                known(in_every_round.to_owned()),
            ]);
        }
    }
    table(&rows)
}

fn missing(results: &Results) -> String {
    let mut text = String::new();
    for (name, why) in &results.missing {
        let _ = writeln!(text, "* {} is MISSING: {}", name.text(), why.replace('\n', " "));
    }
    if text.is_empty() { "Nobody who was asked for.\n".to_owned() } else { text }
}

fn remarks(results: &Results) -> String {
    let lines: Vec<_> = results.remarks.iter().map(|remark| format!("* {}\n", remark.replace('\n', " "))).collect();
    if lines.is_empty() { "None.\n".to_owned() } else { lines.concat() }
}

/// Three digits and a unit.
fn time(seconds: f64) -> String {
    let (figure, unit) = match seconds {
        seconds if seconds < 0.9995e-3 => (seconds * 1e6, "µs"),
        seconds if seconds < 0.9995 => (seconds * 1e3, "ms"),
        seconds => (seconds, "s"),
    };
    // As they are once they are rounded.
    let decimals = if figure < 9.995 { 2 } else { usize::from(figure < 99.95) };
    format!("{figure:.decimals$} {unit}")
}

/// Only what a picture shows.
fn medians(results: &Results, name: Name, of: impl Fn(&Row) -> Option<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut points: Vec<_> = results.rows.iter().filter(|row| row.name == name).filter_map(of).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// The slowest link to one server that there was.
fn slowest(results: &Results) -> Link {
    let links = results.rows.iter().map(|row| row.link).filter(|link| link.servers == Servers::One);
    links.max_by_key(|link| link.delay_millis).unwrap_or(LOOPBACK)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cost::Cost;
    use crate::results::Shot;

    #[test]
    fn times_have_three_digits() {
        let shown = [0.000_000_5, 0.000_123_4, 0.001_234, 0.012_34, 0.123_4, 1.234].map(time);
        assert_eq!(shown, ["0.50 µs", "123 µs", "1.23 ms", "12.3 ms", "123 ms", "1.23 s"]);
        let rounded = [0.000_099_999_9, 0.000_999_999, 0.009_999, 0.999_9].map(time);
        assert_eq!(rounded, ["100 µs", "1.00 ms", "10.0 ms", "1.00 s"]);
    }

    #[test]
    fn a_drain_is_shown_by_the_hand_over() {
        let mut results = Results::default();
        let cost = Cost { reads: 0, writes: 101, events: 100, bytes: 12_345 };
        let shot = Shot::new(Duration::from_millis(1), vec![("hand-over", cost)]);
        results.add(Work::Drain { waiters: 100 }, LOOPBACK, Name::Fairlock, shot);
        let counts = count_table(&results);
        assert!(counts.contains("| 0.0   | 1.0    | 1.0    | 123.5 |"), "{counts}");
    }

    #[test]
    fn of_other_protocols_only_bytes_are_shown() {
        let mut results = Results::default();
        let cost = Cost { reads: 0, writes: 0, events: 0, bytes: 77 };
        let shot = Shot::new(Duration::from_millis(1), vec![("acquire", cost)]);
        results.add(Work::Uncontended, LOOPBACK, Name::Redis, shot);
        let counts = count_table(&results);
        assert!(counts.contains("| –     | –      | –      | 77    | –  "), "{counts}");
    }

    #[test]
    fn who_is_missing_is_told_with_the_reason() {
        let mut results = Results::default();
        results.missing.push((Name::Curator, "no jars".to_owned()));
        assert!(tables(&results).contains("* Curator is MISSING: no jars"));
    }
}
