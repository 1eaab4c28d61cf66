//! What fairlock is meant to reach, and whether it did. The bars are set in advance; nothing here is tuned to a run.

use std::fmt::Write as _;

use crate::contenders::Name;
use crate::cost::Cost;
use crate::footprint;
use crate::results::{Directory, LOOPBACK, Link, Results, Row, Work};

/// Acquire and release to creating and deleting a node, where the link takes the time.
const UNCONTENDED_TO_FLOOR: f64 = 1.05;
/// The same to the quickest other lock.
const UNCONTENDED_TO_PEER: f64 = 0.70;
/// The same where there is no delay.
const UNCONTENDED_TO_PEER_ON_LOOPBACK: f64 = 1.00;
/// A hand-over to hearing of a deletion.
const HAND_OVER_TO_FLOOR: f64 = 1.10;
/// The same to the quickest other lock, where the link takes the time.
const HAND_OVER_TO_PEER: f64 = 0.55;
/// A hand-over of a long queue to one of the shortest that is drained.
const DRAIN_TO_SHORTEST: f64 = 1.10;
/// The longest queue that this is to hold for.
const LONGEST_DRAIN: usize = 10_000;
/// Throughput of independent locks to that of creating and deleting nodes.
const INDEPENDENT_TO_FLOOR: f64 = 0.90;
/// Readers and writers to those of the quickest other lock.
const MIX_TO_PEER: f64 = 1.00;
/// From connecting to the first grant to connecting and creating a node, where the link takes the time.
const COLD_START_TO_FLOOR: f64 = 1.05;
/// Time without a grant when a leader is killed to that without a node that could be created and deleted.
const FAIL_OVER_TO_FLOOR: f64 = 1.10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Met,
    NotMet,
    NotMeasured,
}

impl Outcome {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Met => "MET",
            Self::NotMet => "NOT MET",
            Self::NotMeasured => "NOT MEASURED",
        }
    }
}

/// One bar, the figure, and whether it reached the bar.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) bar: String,
    pub(crate) figure: String,
    pub(crate) outcome: Outcome,
}

pub(crate) fn verdicts(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (work, link) in results.headings() {
        match work {
            Work::Uncontended => {
                if link.is_slow() {
                    verdicts.push(at_most(results, work, link, Beside::Floor, UNCONTENDED_TO_FLOOR));
                    verdicts.push(at_most(results, work, link, Beside::BestPeer, UNCONTENDED_TO_PEER));
                } else {
                    verdicts.push(at_most(results, work, link, Beside::BestPeer, UNCONTENDED_TO_PEER_ON_LOOPBACK));
                }
            }
            Work::HandOver { .. } => {
                verdicts.push(at_most(results, work, link, Beside::Floor, HAND_OVER_TO_FLOOR));
                if link.is_slow() {
                    verdicts.push(at_most(results, work, link, Beside::BestPeer, HAND_OVER_TO_PEER));
                }
            }
            Work::Independent(_) => verdicts.push(throughput(results, work, link)),
            Work::Mix { .. } => verdicts.push(at_most(results, work, link, Beside::BestPeer, MIX_TO_PEER)),
            Work::Attempt => verdicts.push(attempt(results)),
            Work::ColdStart(directory) => {
                if link == LOOPBACK {
                    verdicts.push(cold_requests(results, directory));
                } else {
                    verdicts.push(at_most(results, work, link, Beside::Floor, COLD_START_TO_FLOOR));
                }
            }
            Work::FailOver => verdicts.push(at_most(results, work, link, Beside::Floor, FAIL_OVER_TO_FLOOR)),
            // How a drain grows is judged below; the others are parts of something.
            Work::Drain { .. }
            | Work::Connecting
            | Work::FirstGrant(_)
            | Work::Doubt
            | Work::Server(_)
            | Work::Own(_) => {}
        }
    }
    verdicts.extend(drains(results));
    verdicts.push(equal_counts(results));
    verdicts.extend(footprint::verdicts(results));
    verdicts
}

#[derive(Debug, Clone, Copy)]
enum Beside {
    Floor,
    BestPeer,
}

/// fairlock's time must be at most so many times that of somebody else.
fn at_most(results: &Results, work: Work, link: Link, beside: Beside, most: f64) -> Verdict {
    let other = match beside {
        Beside::Floor => results.row(work, link, Name::Floor),
        Beside::BestPeer => results.best_peer(work, link),
    };
    let whom = match beside {
        Beside::Floor => "the floor".to_owned(),
        Beside::BestPeer => best_peer(results, work, link),
    };
    let bar = format!("{}, {}: at most {most:.2} x {whom}", work.text(), link.text());
    let ratio = other.and_then(|other| results.row(work, link, Name::Fairlock)?.times.ratio_to(&other.times));
    match ratio {
        Some(ratio) => Verdict { bar, figure: figure(ratio), outcome: met(ratio <= most) },
        None => not_measured(bar),
    }
}

/// With whoever could not be asked: it might have been better.
fn best_peer(results: &Results, work: Work, link: Link) -> String {
    let Some(best) = results.best_peer(work, link) else { return "the best peer".to_owned() };
    let is_missing = |name: &Name| {
        let is_told = results.missing.iter().any(|(missing, _)| missing == name);
        name.is_peer() && is_told && results.row(work, link, *name).is_none()
    };
    let missing: Vec<_> = Name::ALL.iter().filter(|name| is_missing(name)).map(|name| name.text()).collect();
    let without = if missing.is_empty() { String::new() } else { format!(", without {}", missing.join(" and ")) };
    format!("the best peer ({}{without})", best.name.text())
}

fn throughput(results: &Results, work: Work, link: Link) -> Verdict {
    let least = INDEPENDENT_TO_FLOOR;
    let bar = format!("{}, {}: at least {least:.2} x the floor's throughput", work.text(), link.text());
    let fairlock = results.row(work, link, Name::Fairlock);
    // So much less time is so much more throughput.
    let ratio = fairlock.and_then(|row| results.row(work, link, Name::Floor)?.times.ratio_to(&row.times));
    match ratio {
        Some(ratio) => Verdict { bar, figure: figure(ratio), outcome: met(ratio >= least) },
        None => not_measured(bar),
    }
}

fn attempt(results: &Results) -> Verdict {
    let bar = format!("{}: 1 read, no write", Work::Attempt.text());
    let row = results.row(Work::Attempt, LOOPBACK, Name::Fairlock);
    let Some(costs) = row.and_then(|row| row.costs.get("try")) else { return not_measured(bar) };
    let spans = (costs.span(|cost| cost.reads), costs.span(|cost| cost.writes));
    let (Some(reads), Some(writes)) = spans else { return not_measured(bar) };
    let figure = format!("{} read, {} written", span(reads), span(writes));
    Verdict { bar, figure, outcome: met(reads == (1, 1) && writes == (0, 0)) }
}

/// A client connects, and asks once; where there is no directory, it does what the floor has to.
fn cold_requests(results: &Results, directory: Directory) -> Verdict {
    let work = Work::ColdStart(directory);
    let bar = match directory {
        Directory::Exists => format!("{}: 1 request", work.text()),
        Directory::IsNew => format!("{}: as many requests as the floor at most", work.text()),
    };
    let requests = |name| {
        let most = |work, what| {
            let rows = results.rows.iter().filter(|row| (row.work, row.name) == (work, name));
            rows.filter_map(|row| Some(row.costs.get(what)?.span(Cost::requests)?.1)).max()
        };
        Some(most(Work::Connecting, "connecting")? + most(Work::FirstGrant(directory), "grant")?)
    };
    let allowed = match directory {
        Directory::Exists => Some(1),
        Directory::IsNew => requests(Name::Floor),
    };
    match requests(Name::Fairlock).zip(allowed) {
        Some((requests, most)) => {
            Verdict { bar, figure: format!("{requests} of {most}"), outcome: met(requests <= most) }
        }
        None => not_measured(bar),
    }
}

/// Each longer queue beside the shortest.
fn drains(results: &Results) -> Vec<Verdict> {
    let rows = results.rows.iter().filter(|row| row.name == Name::Fairlock && row.link == LOOPBACK);
    let mut drains: Vec<_> = rows
        .filter_map(|row| match row.work {
            Work::Drain { waiters } => Some((waiters, row)),
            _ => None,
        })
        .collect();
    drains.sort_by_key(|(waiters, _)| *waiters);
    let Some(((shortest, short), longer)) = drains.split_first() else { return vec![] };
    let bar = |what, waiters: usize| {
        format!("{what} a hand-over of a drain of {waiters}: at most {DRAIN_TO_SHORTEST:.2} x of {shortest}")
    };
    let mut verdicts = Vec::new();
    for (waiters, long) in longer {
        let most = DRAIN_TO_SHORTEST;
        let bar = |what| bar(what, *waiters);
        let ratio = long.times.ratio_to(&short.times);
        verdicts.push(match ratio {
            Some(ratio) => Verdict { bar: bar("time of"), figure: figure(ratio), outcome: met(ratio <= most) },
            None => not_measured(bar("time of")),
        });
        let bytes = |row: &Row| {
            let bytes = row.costs.get("hand-over")?.first()?.bytes;
            Some(bytes as f64 / row.work.operations() as f64)
        };
        verdicts.push(match (bytes(long), bytes(short)) {
            (Some(long), Some(short)) if short > 0.0 => {
                let ratio = long / short;
                Verdict { bar: bar("bytes of"), figure: figure(ratio), outcome: met(ratio <= most) }
            }
            _ => not_measured(bar("bytes of")),
        });
    }
    // It takes minutes and is not always asked for, which must not look as if there were no such bar.
    if drains.last().is_some_and(|(longest, _)| *longest < LONGEST_DRAIN) {
        verdicts.extend(["time of", "bytes of"].map(|what| not_measured(bar(what, LONGEST_DRAIN))));
    }
    verdicts
}

/// What is counted is no measurement: it must be the same each time. Not so the events of a whole drain: where its
/// waiters need several sessions, it depends on who came into which how many nodes are watched by two of them. And where
/// some read and some write, it depends on who comes when.
fn equal_counts(results: &Results) -> Verdict {
    let bar = "fairlock's requests but of readers and writers, and events but of a drain, are the same in every round";
    let bar = bar.to_owned();
    let mut figure = String::new();
    let mut kinds = 0;
    let is_counted = |row: &&Row| row.name == Name::Fairlock && !matches!(row.work, Work::Mix { .. });
    for row in results.rows.iter().filter(is_counted) {
        for (what, costs) in &row.costs {
            kinds += 1;
            let is_drain = matches!(row.work, Work::Drain { .. });
            if costs.equal() || is_drain && costs.equal_requests() {
                continue;
            }
            let requests = costs.span(Cost::requests).map(span).unwrap_or_default();
            let events = costs.span(|cost| cost.events).map(span).unwrap_or_default();
            let separator = if figure.is_empty() { "" } else { "; " };
            // Writing to a string does not fail.
            let _ = write!(figure, "{separator}{}, {what}: {requests} requests, {events} events", row.work.text());
        }
    }
    match (kinds, figure.is_empty()) {
        (0, _) => not_measured(bar),
        (_, true) => Verdict { bar, figure: format!("{kinds} of {kinds} kinds"), outcome: Outcome::Met },
        (_, false) => Verdict { bar, figure, outcome: Outcome::NotMet },
    }
}

/// With a digit more than the bars have, so that one that is just missed does not look met.
pub(crate) fn figure(ratio: f64) -> String {
    format!("{ratio:.3}")
}

pub(crate) fn met(is_met: bool) -> Outcome {
    if is_met { Outcome::Met } else { Outcome::NotMet }
}

pub(crate) fn not_measured(bar: String) -> Verdict {
    Verdict { bar, figure: "–".to_owned(), outcome: Outcome::NotMeasured }
}

/// `3`, or `3..5`.
pub(crate) fn span((least, most): (u64, u64)) -> String {
    if least == most { least.to_string() } else { format!("{least}..{most}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::contenders::Independent;
    use crate::results::{Servers, Shot};

    const SLOW: Link = Link::to_one(10);

    fn add(results: &mut Results, work: Work, link: Link, name: Name, millis: &[u64]) {
        for millis in millis {
            results.add(work, link, name, Shot::new(Duration::from_millis(*millis), vec![]));
        }
    }

    fn verdict_on(results: &Results, part: &str) -> (String, Outcome) {
        let found: Vec<_> = verdicts(results).into_iter().filter(|verdict| verdict.bar.contains(part)).collect();
        assert_eq!(found.len(), 1, "{part}: {found:?}");
        (found[0].figure.clone(), found[0].outcome)
    }

    #[test]
    fn the_floor_is_a_bar_only_where_the_link_takes_the_time() {
        let mut results = Results::default();
        for link in [LOOPBACK, SLOW] {
            add(&mut results, Work::Uncontended, link, Name::Floor, &[40, 40, 40]);
            add(&mut results, Work::Uncontended, link, Name::Fairlock, &[42, 90, 41]);
        }
        assert_eq!(verdict_on(&results, "x the floor"), ("1.050".to_owned(), Outcome::Met));
    }

    #[test]
    fn the_quickest_peer_is_the_bar() {
        let mut results = Results::default();
        add(&mut results, Work::Uncontended, SLOW, Name::Fairlock, &[50]);
        assert_eq!(verdict_on(&results, "best peer").1, Outcome::NotMeasured);
        add(&mut results, Work::Uncontended, SLOW, Name::Kazoo, &[100]);
        assert_eq!(verdict_on(&results, "best peer (kazoo)"), ("0.500".to_owned(), Outcome::Met));
        add(&mut results, Work::Uncontended, SLOW, Name::Curator, &[60]);
        assert_eq!(verdict_on(&results, "best peer (Curator)"), ("0.833".to_owned(), Outcome::NotMet));
        add(&mut results, Work::Uncontended, SLOW, Name::Redis, &[10]);
        assert_eq!(verdict_on(&results, "best peer (Curator)").0, "0.833", "not on ZooKeeper");
    }

    #[test]
    fn the_best_peer_of_those_that_were_there_is_told_as_that() {
        let mut results = Results::default();
        for name in [Name::Fairlock, Name::Kazoo] {
            add(&mut results, Work::Uncontended, SLOW, name, &[100]);
        }
        for name in [Name::Curator, Name::Kazoo, Name::Redis] {
            results.missing.push((name, "gave up later, or never came".to_owned()));
        }
        assert_eq!(verdict_on(&results, "best peer (kazoo, without Curator)").1, Outcome::NotMet);
    }

    #[test]
    fn on_loopback_it_is_enough_not_to_be_slower_than_a_peer() {
        let mut results = Results::default();
        for link in [LOOPBACK, SLOW] {
            add(&mut results, Work::Uncontended, link, Name::Fairlock, &[99]);
            add(&mut results, Work::Uncontended, link, Name::Curator, &[100]);
        }
        assert_eq!(verdict_on(&results, "loopback: at most 1.00 x the best peer").1, Outcome::Met);
        assert_eq!(verdict_on(&results, "10 ms each way: at most 0.70 x the best peer").1, Outcome::NotMet);
    }

    #[test]
    fn readers_and_writers_are_compared_with_those_who_share_a_lock() {
        let work = Work::Mix { tasks: 4, cycles: 5 };
        let mut results = Results::default();
        add(&mut results, work, SLOW, Name::Fairlock, &[51]);
        assert_eq!(verdict_on(&results, "every tenth writes").1, Outcome::NotMeasured);
        add(&mut results, work, SLOW, Name::Kazoo, &[50]);
        assert_eq!(verdict_on(&results, "every tenth writes"), ("1.020".to_owned(), Outcome::NotMet));
    }

    #[test]
    fn an_outage_is_compared_with_that_of_the_floor_in_the_same_election() {
        let mut results = Results::default();
        add(&mut results, Work::FailOver, LOOPBACK, Name::Floor, &[1_000, 3_000, 500]);
        add(&mut results, Work::FailOver, LOOPBACK, Name::Fairlock, &[1_050, 3_100, 700]);
        add(&mut results, Work::Doubt, LOOPBACK, Name::Fairlock, &[9_000]);
        assert_eq!(verdict_on(&results, "the leader is killed"), ("1.050".to_owned(), Outcome::Met));
    }

    /// Connects without a request, and asks so often.
    fn cold(results: &mut Results, name: Name, directory: Directory, link: Link, requests: u64) {
        let cost = |writes| Cost { reads: 0, writes, events: 0, bytes: 1 };
        let mut shot = Shot::new(Duration::from_millis(80), vec![]);
        shot.parts = vec![
            (Work::Connecting, Shot::new(Duration::ZERO, vec![("connecting", cost(0))])),
            (Work::FirstGrant(directory), Shot::new(Duration::ZERO, vec![("grant", cost(requests))])),
        ];
        results.add(Work::ColdStart(directory), link, name, shot);
    }

    #[test]
    fn a_cold_start_costs_one_request_and_the_directory() {
        let new = Directory::IsNew;
        let mut results = Results::default();
        cold(&mut results, Name::Fairlock, Directory::Exists, LOOPBACK, 1);
        cold(&mut results, Name::Fairlock, new, LOOPBACK, 4);
        assert_eq!(verdict_on(&results, "directory exists: 1 request"), ("1 of 1".to_owned(), Outcome::Met));
        assert_eq!(verdict_on(&results, "directory is new: as many").1, Outcome::NotMeasured);
        cold(&mut results, Name::Floor, new, LOOPBACK, 4);
        assert_eq!(verdict_on(&results, "directory is new: as many"), ("4 of 4".to_owned(), Outcome::Met));
        // One more over one of the links is one too many.
        cold(&mut results, Name::Fairlock, new, SLOW, 5);
        assert_eq!(verdict_on(&results, "directory is new: as many"), ("5 of 4".to_owned(), Outcome::NotMet));
        cold(&mut results, Name::Floor, new, SLOW, 4);
        assert_eq!(
            verdict_on(&results, "10 ms each way: at most 1.05 x the floor"),
            ("1.000".to_owned(), Outcome::Met)
        );
    }

    #[test]
    fn more_throughput_than_asked_for_is_enough() {
        let work = Work::Independent(Independent { locks: 64, sessions: 8 });
        for (floor, met) in [(91, Outcome::Met), (120, Outcome::Met), (80, Outcome::NotMet)] {
            let mut results = Results::default();
            add(&mut results, work, LOOPBACK, Name::Fairlock, &[100]);
            add(&mut results, work, LOOPBACK, Name::Floor, &[floor]);
            assert_eq!(verdict_on(&results, "throughput").1, met);
        }
    }

    #[test]
    fn a_drain_is_compared_with_the_shortest() {
        let mut results = Results::default();
        add(&mut results, Work::Drain { waiters: 100 }, LOOPBACK, Name::Fairlock, &[10]);
        assert_eq!(verdict_on(&results, "time of a hand-over of a drain of 10000:").1, Outcome::NotMeasured);
        assert_eq!(verdict_on(&results, "bytes of a hand-over of a drain of 10000:").1, Outcome::NotMeasured);
        for (waiters, millis) in [(1_000, 20), (10_000, 11)] {
            add(&mut results, Work::Drain { waiters }, LOOPBACK, Name::Fairlock, &[millis]);
        }
        assert_eq!(verdict_on(&results, "time of a hand-over of a drain of 1000:").1, Outcome::NotMet);
        assert_eq!(verdict_on(&results, "time of a hand-over of a drain of 10000:").1, Outcome::Met);
        assert_eq!(verdict_on(&results, "bytes of a hand-over of a drain of 1000:").1, Outcome::NotMeasured);
        let elsewhere = Link { servers: Servers::Three, delay_millis: 0 };
        add(&mut results, Work::Drain { waiters: 1_000 }, elsewhere, Name::Fairlock, &[1]);
        assert_eq!(verdict_on(&results, "time of a hand-over of a drain of 1000:").1, Outcome::NotMet);
    }

    fn tried(costs: &[(u64, u64)]) -> Results {
        let mut results = Results::default();
        for (reads, writes) in costs {
            let cost = Cost { reads: *reads, writes: *writes, events: 0, bytes: 1 };
            results.add(Work::Attempt, LOOPBACK, Name::Fairlock, Shot::new(Duration::ZERO, vec![("try", cost)]));
        }
        results
    }

    #[test]
    fn a_try_that_writes_or_reads_twice_even_once_is_not_good_enough() {
        assert_eq!(verdict_on(&tried(&[(1, 0), (1, 0)]), "try"), ("1 read, 0 written".to_owned(), Outcome::Met));
        assert_eq!(verdict_on(&tried(&[(1, 0), (2, 0)]), "try"), ("1..2 read, 0 written".to_owned(), Outcome::NotMet));
        assert_eq!(verdict_on(&tried(&[(1, 1)]), "try").1, Outcome::NotMet);
    }

    #[test]
    fn counts_that_differ_between_rounds_are_told() {
        assert_eq!(verdict_on(&tried(&[(1, 0), (1, 0)]), "every round").1, Outcome::Met);
        let (figure, met) = verdict_on(&tried(&[(1, 0), (2, 0)]), "every round");
        assert_eq!(met, Outcome::NotMet);
        assert!(figure.contains("1..2 requests"), "{figure}");
        assert_eq!(verdict_on(&Results::default(), "every round").1, Outcome::NotMeasured);
    }
}
