//! The view at many sizes, of little and of much.

use super::super::changes::tests::{look, member, seen, when};
use super::*;

const SIZES: [(usize, usize); 9] = [(80, 24), (40, 10), (20, 5), (200, 60), (1, 1), (3, 2), (0, 0), (60, 8), (500, 3)];

fn queue() -> Subject {
    Subject::Queue { path: "/a".into() }
}

fn tree() -> Subject {
    Subject::Tree { path: "/".into(), with_empty: false }
}

/// What is shown after these looks, a second apart.
fn shown(subject: &Subject, looks: &[Look], trouble: Option<&str>, size: (usize, usize)) -> Vec<String> {
    let (mut sight, mut log) = (Sight::default(), VecDeque::new());
    let mut now_unix_ms = 10_000;
    for look in looks {
        log.extend(sight.take(look.clone(), when(now_unix_ms), matches!(subject, Subject::Queue { .. })));
        now_unix_ms += 1_000;
    }
    let interval = Duration::from_secs(1);
    let view = View { subject, sight: &sight, log: &log, trouble: trouble.map(str::to_owned), now_unix_ms, interval };
    let lines = view.compose(size.0, size.1);
    lines.into_iter().map(|line| line.text).collect()
}

fn crowd(number: i32) -> Look {
    let members: Vec<_> = (0..number).map(|node| member(node, node == 0)).collect();
    look(&[seen(&members)])
}

#[test]
fn no_line_is_wider_and_no_view_higher_than_the_terminal() {
    for subject in [queue(), tree()] {
        for looks in [&[][..], &[look(&[])], &[crowd(1), crowd(3)], &[crowd(3), crowd(1_000)]] {
            for trouble in [None, Some("TROUBLE: no answer for 3s")] {
                for size in SIZES {
                    let lines = shown(&subject, looks, trouble, size);
                    assert!(lines.len() <= size.1, "{size:?}: {lines:#?}");
                    assert!(lines.iter().all(|line| width(line) <= size.0), "{size:?}: {lines:#?}");
                }
            }
        }
    }
}

#[test]
fn an_ordinary_terminal_shows_everybody_and_what_has_happened() {
    let lines = shown(&queue(), &[crowd(3), look(&[seen(&[member(1, true), member(2, false)])])], None, (80, 24));
    assert_eq!(lines.len(), 24);
    assert!(lines[0].starts_with("/a: lock, 1 holds it, 1 waits") && lines[0].ends_with("00:00:11"), "{lines:#?}");
    assert!(lines[1].starts_with("POS  ROLE    MODE       AGE  HELD  WHO"), "{lines:#?}");
    assert!(lines[2].starts_with("1    holder  exclusive  11s  1s    app-1@"), "{lines:#?}");
    assert!(lines[3].starts_with("2    waiter  exclusive  11s        app-2@"), "{lines:#?}");
    let events = lines.iter().position(|line| line == "EVENTS").expect("a log");
    assert!(lines[events + 1].contains("app-0@") && lines[events + 1].contains("left, was seen to hold it for 1.0s"));
    assert!(lines[events + 2].contains("app-1@") && lines[events + 2].contains("handed over within 1.0s"));
    assert!(lines[23].starts_with("q ends it; looks at least every 1s"));
}

#[test]
fn a_small_terminal_shows_the_holder_first_and_how_many_there_are() {
    let lines = shown(&queue(), &[crowd(30)], None, (20, 5));
    assert_eq!(lines[0], "/a 1+29");
    assert!(lines[1].starts_with("*app-0@"), "{lines:#?}");
    assert_eq!(lines[4], "... and 27 more");
    let lines = shown(&queue(), &[crowd(30)], None, (40, 10));
    assert!(lines[1].starts_with("POS  AGE  WHO") && lines[2].starts_with("*0   10s  app-0@"), "{lines:#?}");
    assert_eq!((&*lines[8], lines.len()), ("... and 24 more", 10));
}

#[test]
fn a_large_terminal_shows_bars_and_sessions() {
    let lines = shown(&queue(), &[crowd(3)], None, (200, 60));
    assert!(lines[1].contains("TOKEN  SESSION  WHO"), "{lines:#?}");
    assert!(lines[2].contains(&"#".repeat(20)) && lines[2].contains("0x0"), "{lines:#?}");
    assert!(lines[3].contains(&"=".repeat(20)), "{lines:#?}");
}

#[test]
fn trouble_is_told_and_what_was_seen_last_stays() {
    let lines = shown(&queue(), &[crowd(2)], Some("TROUBLE (as of 00:00:10): no answer for 3s"), (80, 24));
    assert_eq!(lines[1], "TROUBLE (as of 00:00:10): no answer for 3s");
    assert!(lines[3].contains("app-0@"), "{lines:#?}");
    let silent = Some(Duration::from_secs(3));
    assert_eq!(trouble(None, None, None, None), None);
    assert_eq!(trouble(None, silent, None, None).as_deref(), Some("TROUBLE: no answer for 3s"));
    let told = trouble(Some("the session ended"), silent, Some(&crowd(1)), Some(61_000));
    assert_eq!(told.as_deref(), Some("TROUBLE (as of 00:01:01): the session ended"));
}

#[test]
fn what_is_not_seen_is_told() {
    let unreadable = vec![("/b".to_owned(), "no permission".to_owned())];
    let lines = shown(&tree(), &[Look { unreadable, is_cut: true, ..crowd(1) }], None, (120, 24));
    assert_eq!(
        lines[1],
        "NOT ALL IS SEEN: 1 path may not be read, such as /b; there are more nodes than can be listed at once"
    );
    let lines = shown(&tree(), &[Look { is_cut: true, ..look(&[]) }], None, (80, 24));
    assert!(lines[2].starts_with("nobody that can be seen"), "{lines:#?}");
}

#[test]
fn where_there_is_no_room_for_all_locks_those_come_first_at_which_most_wait() {
    let lock = |path: &str, waiting| Seen { path: path.to_owned(), waiting, ..seen(&[member(1, true)]) };
    let locks = look(&[lock("/a", 1), lock("/b", 0), lock("/c", 9), lock("/d", 2)]);
    let lines = shown(&tree(), std::slice::from_ref(&locks), None, (80, 24));
    assert!(lines[0].starts_with("/: 4 locks, 4 hold one, 12 wait"), "{lines:#?}");
    assert!(lines[2].starts_with("/a ") && lines[5].starts_with("/d "), "{lines:#?}");
    let lines = shown(&tree(), &[locks], None, (80, 4));
    assert!(lines[1].starts_with("/c ") && lines[2].starts_with("/d "), "{lines:#?}");
    assert_eq!(lines[3], "... and 2 more");
}

#[test]
fn nobody_there_is_said() {
    assert!(shown(&queue(), &[look(&[])], None, (80, 24))[1].starts_with("nobody"));
    assert!(shown(&queue(), &[], None, (80, 24))[1].starts_with("looking"));
}

#[test]
fn bars_compare_ages() {
    assert_eq!((bar(5, 10, false), bar(10, 10, true).len(), bar(0, 0, true)), ("=".repeat(10), 20, String::new()));
    assert_eq!(bar(u64::MAX, 1, false).len(), 20);
}
