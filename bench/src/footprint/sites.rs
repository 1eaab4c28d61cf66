//! Who has allocated what: the difference of two profiles that dhat has written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::error::{Error, Result};

/// So few bytes of each are not worth a line.
const LEAST: f64 = 16.0;

/// Beginnings of paths, as dhat shortens them, of what stands between the allocator and who wanted the memory.
const IN_BETWEEN: [&str; 21] = [
    "alloc/src/",
    "bin/heap/main.rs:",
    "core/src/",
    "dhat-",
    "hashbrown-",
    "runtime/task/",
    "scheduler/",
    "src/boxed.rs",
    "src/convert/",
    "src/fmt/",
    "src/iter/",
    "src/macros/",
    "src/ops/",
    "src/option.rs",
    "src/raw/",
    "src/raw_vec/",
    "src/string.rs",
    "src/sync.rs",
    "src/vec/",
    "src/runtime/",
    "std/src/",
];

#[derive(Debug, Deserialize)]
struct Profile {
    #[serde(rename = "pps")]
    points: Vec<Point>,
    #[serde(rename = "ftbl")]
    frames: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Point {
    #[serde(rename = "eb")]
    bytes: u64,
    #[serde(rename = "ebk")]
    blocks: u64,
    #[serde(rename = "fs")]
    stack: Vec<usize>,
}

/// What is allocated in one place.
#[derive(Debug, PartialEq)]
pub(crate) struct Site {
    /// Of each waiter, or of each lock.
    pub(crate) bytes: f64,
    pub(crate) blocks: f64,
    /// The type, as far as it is known.
    pub(crate) what: String,
    /// The function, and the line in it.
    pub(crate) whence: String,
}

/// The largest sites, of each one that the second profile has more.
pub(crate) fn each(few: &(u64, PathBuf), many: &(u64, PathBuf)) -> Result<Vec<Site>> {
    let more = many.0.saturating_sub(few.0).max(1) as f64;
    Ok(difference(&read(&few.1)?, &read(&many.1)?, more))
}

fn read(path: &PathBuf) -> Result<Profile> {
    let text = std::fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| Error::Peer(format!("{}: {error}", path.display())))
}

fn difference(few: &Profile, many: &Profile, more: f64) -> Vec<Site> {
    // Bytes and blocks, by what and whence.
    let mut sums: BTreeMap<(String, String), (f64, f64)> = BTreeMap::new();
    for (profile, sign) in [(many, 1.0), (few, -1.0)] {
        for point in &profile.points {
            let frames = point.stack.iter().filter_map(|at| profile.frames.get(*at));
            let sum = sums.entry(label(frames.map(String::as_str))).or_default();
            sum.0 += sign * point.bytes as f64 / more;
            sum.1 += sign * point.blocks as f64 / more;
        }
    }
    let mut sites: Vec<_> = sums
        .into_iter()
        .filter(|(_, (bytes, _))| *bytes >= LEAST)
        .map(|((what, whence), (bytes, blocks))| Site { bytes, blocks, what, whence })
        .collect();
    sites.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
    sites
}

/// The type that was allocated, and who wanted it.
fn label<'a>(frames: impl Iterator<Item = &'a str>) -> (String, String) {
    let mut what = String::new();
    let mut whence = String::new();
    for frame in frames {
        // `0x1234: function<type> (file.rs:1:2)`
        let frame = frame.split_once(": ").map_or(frame, |(_, rest)| rest);
        let Some((function, place)) = frame.rsplit_once(" (") else { continue };
        let place = place.trim_end_matches(')');
        if IN_BETWEEN.iter().any(|beginning| place.starts_with(beginning)) {
            // The last one before the call knows the most of the type.
            if let Some(kind) = first_argument(function) {
                what = kind;
            }
            continue;
        }
        let name = function.split('<').next().unwrap_or(function);
        let line = place.rsplit_once(':').map_or(place, |(line, _column)| line);
        whence = format!("{name} ({line})");
        break;
    }
    (what, whence)
}

/// `core::Cell<A, B>` of `new<tokio::core::Cell<A, B>>`, cut where it is long.
fn first_argument(function: &str) -> Option<String> {
    const LONGEST: usize = 90;
    let (_, arguments) = function.split_once('<')?;
    let mut depth = 0;
    let end = arguments.char_indices().find(|(_, letter)| {
        depth += match letter {
            '<' | '(' | '{' | '[' => 1,
            '>' | ')' | '}' | ']' => -1,
            _ => 0,
        };
        depth < 0 || depth == 0 && *letter == ','
    });
    let argument = &arguments[..end.map_or(arguments.len(), |(at, _)| at)];
    let short = argument.replace("alloc::", "").replace("core::result::", "").replace("core::option::", "");
    let cut: String = short.chars().take(LONGEST).collect();
    Some(if cut.len() < short.len() { format!("{cut}…") } else { cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(bytes: u64, blocks: u64, address: &str) -> Profile {
        let frames = [
            "alloc (dhat-0.3.3/src/lib.rs:1176:9)",
            "new<alloc::sync::ArcInner<fairlock::driver::requests::Requests>> (alloc/src/boxed.rs:286:19)",
            "start<a::B> (src/driver/mod.rs:71:19)",
            "main (src/main.rs:1:1)",
        ];
        let frames = frames.iter().map(|frame| format!("{address}: {frame}")).collect();
        Profile { points: vec![Point { bytes, blocks, stack: vec![0, 1, 2, 3] }], frames }
    }

    #[test]
    fn a_site_is_the_type_and_who_wanted_it() {
        let sites = difference(&profile(1_000, 10, "0x1"), &profile(3_000, 30, "0x2"), 20.0);
        let site = Site {
            bytes: 100.0,
            blocks: 1.0,
            what: "sync::ArcInner<fairlock::driver::requests::Requests>".to_owned(),
            whence: "start (src/driver/mod.rs:71)".to_owned(),
        };
        assert_eq!(sites, [site]);
    }

    #[test]
    fn what_does_not_grow_is_no_site() {
        assert!(difference(&profile(1_000, 10, "0x1"), &profile(1_000, 10, "0x1"), 20.0).is_empty());
    }

    #[test]
    fn a_type_ends_where_its_own_brackets_do() {
        assert_eq!(first_argument("new<Cell<A, B>, C>").as_deref(), Some("Cell<A, B>"));
        assert_eq!(first_argument("with<(A, B)>").as_deref(), Some("(A, B)"));
        assert_eq!(first_argument("plain"), None);
    }
}
