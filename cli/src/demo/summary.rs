//! The claims, checked against what was observed.

use std::io::{self, Write};

use crossterm::style::Stylize;

use super::news::{How, Who};
use super::plan::Plan;
use super::story::Story;

/// Longer lists of tokens are shortened.
const TOKENS_SHOWN_MAX: usize = 6;

pub(super) struct Summary {
    claims: Vec<Claim>,
    counts: String,
}

struct Claim {
    holds: bool,
    what: &'static str,
    evidence: String,
}

impl Summary {
    pub(super) fn check(story: &Story) -> Self {
        Self { claims: vec![order(story), tokens(story), notifications(story), rest(story)], counts: counts(story) }
    }

    /// Whether every claim held.
    pub(super) fn holds(&self) -> bool {
        self.claims.iter().all(|claim| claim.holds)
    }

    pub(super) fn print(&self, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
        writeln!(out)?;
        for claim in &self.claims {
            let (mark, pad) = if claim.holds { ("ok", "    ") } else { ("FAILED", "") };
            let mark = match (plan.color, claim.holds) {
                (false, _) => mark.stylize(),
                (true, true) => mark.green().bold(),
                (true, false) => mark.red().bold(),
            };
            writeln!(out, "{mark}{pad}  {}: {}", claim.what, claim.evidence)?;
        }
        writeln!(out, "{}", self.counts)?;
        out.flush()
    }
}

/// Who entered earlier is granted earlier, and nobody is left out.
fn order(story: &Story) -> Claim {
    let gave_up = departed(story, How::GaveUp);
    let mut entries = story.entries.clone();
    entries.sort_by_key(|(_, sequence)| *sequence);
    let entered: Vec<_> = entries.into_iter().map(|(who, _)| who).filter(|who| !gave_up.contains(who)).collect();
    let granted: Vec<_> = story.grants.iter().map(|(who, _)| *who).collect();
    let without = if gave_up.is_empty() { String::new() } else { format!(" ({} gave up)", list(&gave_up)) };
    let evidence = if entered == granted {
        format!("{}{without}", list(&granted))
    } else {
        format!("in {}, out {}{without}", list(&entered), list(&granted))
    };
    Claim { holds: entered == granted && !granted.is_empty(), what: "order in = order out", evidence }
}

fn tokens(story: &Story) -> Claim {
    let mut shown: Vec<_> = story.grants.iter().map(|(_, token)| token.to_string()).collect();
    if shown.len() > TOKENS_SHOWN_MAX {
        shown.splice(TOKENS_SHOWN_MAX / 2..shown.len() - TOKENS_SHOWN_MAX / 2, ["…".to_owned()]);
    }
    let holds = story.grants.is_sorted_by(|(_, earlier), (_, later)| earlier < later);
    let evidence = shown.join(if holds { " < " } else { ", " });
    Claim { holds, what: "fencing tokens strictly rise", evidence }
}

/// Each departure notifies who is right behind, once, and nobody else.
fn notifications(story: &Story) -> Claim {
    let wrong: Vec<_> = story
        .departures
        .iter()
        .filter(|departure| story.notified(departure.who) != departure.next.as_slice())
        .map(|departure| format!("{} notified [{}]", departure.who, list(&story.notified(departure.who))))
        .collect();
    let with_next = story.departures.iter().filter(|departure| departure.next.is_some()).count();
    let evidence = if wrong.is_empty() { format!("{} for {with_next}", total(story)) } else { wrong.join("; ") };
    Claim { holds: wrong.is_empty(), what: "one notification per departure, to the next in line", evidence }
}

fn rest(story: &Story) -> Claim {
    let evidence = match story.left_behind {
        0 => "the queue is empty".to_owned(),
        n => format!("{n} nodes are left in the queue"),
    };
    Claim { holds: story.left_behind == 0, what: "nothing left behind", evidence }
}

fn counts(story: &Story) -> String {
    let releases = departed(story, How::Released).len();
    let crashes = departed(story, How::Crashed).len();
    let gave_up = departed(story, How::GaveUp).len();
    let waiters: usize = story.departures.iter().map(|departure| departure.waiters).sum();
    // The first was granted an empty queue.
    let hand_overs = story.grants.len().saturating_sub(1);
    format!(
        "{} grants, {hand_overs} hand-overs; {releases} released, {crashes} crashed, {gave_up} gave up; {:.1} s\n\
         {} notifications in all; had each departure woken all who waited: {waiters}",
        story.grants.len(),
        story.took.as_secs_f64(),
        total(story),
    )
}

fn total(story: &Story) -> usize {
    story.departures.iter().map(|departure| story.notified(departure.who).len()).sum()
}

fn departed(story: &Story, how: How) -> Vec<Who> {
    story.departures.iter().filter(|departure| departure.how == how).map(|departure| departure.who).collect()
}

pub(super) fn list(whos: &[Who]) -> String {
    whos.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use fairlock::FencingToken;
    use fairlock::queue::Sequence;

    use super::super::story::{Departure, Notification};
    use super::*;

    const A: Who = Who(0);
    const B: Who = Who(1);
    const C: Who = Who(2);

    /// Three enter; the first releases, the second crashes, the third releases.
    fn good() -> Story {
        let entries = vec![(A, Sequence::from(0)), (B, Sequence::from(1)), (C, Sequence::from(2))];
        let grants = vec![(A, FencingToken::from(5)), (B, FencingToken::from(6)), (C, FencingToken::from(7))];
        let departures = vec![
            Departure { who: A, how: How::Released, waiters: 2, next: Some(B) },
            Departure { who: B, how: How::Crashed, waiters: 1, next: Some(C) },
            Departure { who: C, how: How::Released, waiters: 0, next: None },
        ];
        let notifications = vec![
            Notification { to: B, about: Sequence::from(0) },
            Notification { to: A, about: Sequence::from(0) },
            Notification { to: C, about: Sequence::from(1) },
        ];
        Story { entries, grants, departures, notifications, ..Story::default() }
    }

    fn failed(story: &Story) -> Vec<&'static str> {
        Summary::check(story).claims.iter().filter(|claim| !claim.holds).map(|claim| claim.what).collect()
    }

    #[test]
    fn a_good_story_passes() {
        assert_eq!(failed(&good()), [""; 0]);
    }

    #[test]
    fn a_waiter_that_overtakes_is_noticed() {
        let mut story = good();
        story.grants.swap(1, 2);
        assert_eq!(failed(&story), ["order in = order out", "fencing tokens strictly rise"]);
    }

    #[test]
    fn a_waiter_that_is_never_granted_is_noticed() {
        let mut story = good();
        story.grants.pop();
        assert_eq!(failed(&story), ["order in = order out"]);
    }

    #[test]
    fn a_repeated_token_is_noticed() {
        let mut story = good();
        story.grants[1].1 = story.grants[0].1;
        assert_eq!(failed(&story), ["fencing tokens strictly rise"]);
    }

    #[test]
    fn a_herd_is_noticed_and_so_is_silence() {
        let claim = ["one notification per departure, to the next in line"];
        let mut herd = good();
        herd.notifications.push(Notification { to: C, about: Sequence::from(0) });
        assert_eq!(failed(&herd), claim);
        let mut silence = good();
        silence.notifications.clear();
        assert_eq!(failed(&silence), claim);
    }

    #[test]
    fn a_forgotten_node_is_noticed() {
        assert_eq!(failed(&Story { left_behind: 1, ..good() }), ["nothing left behind"]);
    }
}
