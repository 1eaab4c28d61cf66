//! What a run has shown: the figures, and whether it passed, failed or is void.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use crate::checks::traffic::Traffic;
use crate::checks::{increments, inversion, leftovers, overlap, stall, traffic};
use crate::config::Config;
use crate::desk::Desk;
use crate::faults::Kind;

/// How many examples of one kind are shown.
const EXAMPLES: usize = 3;

/// What only the runner knows.
pub(crate) struct Circumstances {
    pub(crate) seed: u64,
    pub(crate) runtime: String,
    /// How long there were clients and faults.
    pub(crate) duration: Duration,
    /// The same, on the clock that clients read.
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) faults: BTreeMap<Kind, u64>,
    /// After the end; none if a queue never was empty.
    pub(crate) emptied: Option<Duration>,
}

#[derive(Debug, Default)]
struct Figures {
    grants: u64,
    grants_by_client: Vec<u64>,
    increments: u64,
    told: u64,
    lost: u64,
    refused_reads: u64,
    refused_writes: u64,
    grant_inversions: usize,
    write_inversions: usize,
    overlaps: usize,
    careless_overlaps: usize,
    longest_stall: (Duration, Duration),
    losses: BTreeMap<String, u64>,
    not_granted: BTreeMap<String, u64>,
    examples: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed(Vec<String>),
    Void(Vec<String>),
}

impl Verdict {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Passed => 0,
            Self::Failed(_) => 1,
            Self::Void(_) => 3,
        })
    }

    /// A failure is one however little happened.
    fn of(failures: Vec<String>, shortfalls: Vec<String>) -> Self {
        if !failures.is_empty() {
            Self::Failed(failures)
        } else if !shortfalls.is_empty() {
            Self::Void(shortfalls)
        } else {
            Self::Passed
        }
    }
}

pub(crate) struct Summary {
    circumstances: Circumstances,
    control: bool,
    figures: Figures,
    pub(crate) verdict: Verdict,
}

fn add(into: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (reason, count) in from {
        *into.entry(reason.clone()).or_default() += count;
    }
}

impl Figures {
    fn of(desk: &Desk, clients: usize, from: u64, until: u64) -> Self {
        let mut figures = Self { grants_by_client: vec![0; clients], ..Self::default() };
        for (lock, ledger) in desk.ledgers().enumerate() {
            let register = &ledger.register;
            figures.grants += ledger.grant_count() as u64;
            for (client, count) in figures.grants_by_client.iter_mut().enumerate() {
                *count += ledger.grants_of(client);
            }
            figures.increments += register.accepted().len() as u64;
            figures.told += ledger.told;
            figures.lost += increments::lost(register);
            figures.refused_reads += register.refused_reads();
            figures.refused_writes += register.refused_writes();
            let grant_inversions = inversion::among_grants(ledger.tokens_in_order());
            let write_inversions = inversion::among_writes(register.accepted().iter().map(|write| write.token));
            let overlaps = overlap::among(ledger.valid());
            figures.careless_overlaps += overlap::among(ledger.used()).len();
            figures.grant_inversions += grant_inversions.len();
            figures.write_inversions += write_inversions.len();
            figures.overlaps += overlaps.len();
            let grants = ledger.grants().map(|(_, span)| span.granted);
            figures.longest_stall = figures.longest_stall.max(stall::longest(from, until, grants));
            add(&mut figures.losses, &ledger.losses);
            add(&mut figures.not_granted, &ledger.not_granted);
            let mut show = |what: String| figures.examples.push(format!("lock {lock}: {what}"));
            increments::culprits(register).take(EXAMPLES).for_each(|write| show(format!("lost by {write:?}")));
            grant_inversions.iter().take(EXAMPLES).for_each(|pair| show(format!("grants out of order {pair:?}")));
            overlaps.iter().take(EXAMPLES).for_each(|pair| show(format!("overlap {pair:?}")));
        }
        figures
    }

    /// What must hold in every run.
    fn failures(&self, config: &Config, circumstances: &Circumstances) -> Vec<String> {
        let mut failures = Vec::new();
        let mut none = |count: usize, what: &str| {
            if count > 0 {
                failures.push(format!("{count} {what}"));
            }
        };
        none(self.grant_inversions, "tokens out of the order of the grants");
        none(self.overlaps, "overlapping valid guards");
        if config.control {
            // The point of a control: the same faults do harm where nothing protects, and the checks see it.
            let mut some = |count: usize, what: &str| {
                if count == 0 {
                    failures.push(format!("the control shows no {what}, so the run without it proves nothing"));
                }
            };
            some(usize::try_from(self.lost).unwrap_or(usize::MAX), "lost increment");
            some(self.write_inversions, "write by an older holder after a newer one's");
            some(self.careless_overlaps, "overlapping use by holders who do not ask their guards");
        } else {
            none(usize::try_from(self.lost).unwrap_or(usize::MAX), "lost increments");
            none(self.write_inversions, "accepted writes with tokens out of order");
        }
        if self.told > self.increments {
            failures.push(format!("clients were told of {} increments, of {} there were", self.told, self.increments));
        }
        failures.extend(leftovers::complaint(circumstances.emptied, config.session_timeout()));
        if self.longest_stall.0.as_secs() >= config.stall {
            failures.push(format!("a lock was granted to nobody for {:.1?}", self.longest_stall.0));
        }
        failures
    }
}

impl Summary {
    pub(crate) fn new(config: &Config, desk: &Desk, circumstances: Circumstances) -> Self {
        let figures = Figures::of(desk, config.clients(), circumstances.from, circumstances.until);
        let mut failures = figures.failures(config, &circumstances);
        failures.extend(desk.complaints());
        let shortfalls = traffic::shortfalls(&Traffic {
            duration: circumstances.duration,
            grants_per_minute: config.grants_per_minute,
            grants: &figures.grants_by_client,
            faults: &circumstances.faults,
            refused: (!config.control).then_some(figures.refused_reads + figures.refused_writes),
        });
        let verdict = Verdict::of(failures, shortfalls);
        Self { circumstances, control: config.control, figures, verdict }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { circumstances, figures, .. } = self;
        let mut row = |name: &str, value: &dyn fmt::Display| writeln!(f, "  {name:34} {value}");
        row("seed", &circumstances.seed)?;
        row("servers", &circumstances.runtime)?;
        row("register", &if self.control { "control: accepts every write" } else { "fenced" })?;
        row("duration", &format_args!("{:.1} s", circumstances.duration.as_secs_f64()))?;
        row("faults", &circumstances.faults.values().sum::<u64>())?;
        for kind in Kind::ALL {
            row(&format!("  {kind}"), &circumstances.faults.get(&kind).copied().unwrap_or_default())?;
        }
        row("grants", &figures.grants)?;
        row("  by client", &format_args!("{:?}", figures.grants_by_client))?;
        row("increments accepted", &figures.increments)?;
        row("  that clients know of", &figures.told)?;
        row("reads refused", &figures.refused_reads)?;
        row("writes refused", &figures.refused_writes)?;
        row("losses told at release", &figures.losses.values().sum::<u64>())?;
        for (reason, count) in &figures.losses {
            row(&format!("  {reason}"), count)?;
        }
        row("acquisitions not granted", &figures.not_granted.values().sum::<u64>())?;
        for (reason, count) in &figures.not_granted {
            row(&format!("  {reason}"), count)?;
        }
        let (stall, after) = figures.longest_stall;
        row("longest time without a grant", &format_args!("{stall:.1?} of one lock, after {after:.1?}"))?;
        let emptied = circumstances.emptied.map_or("never".to_owned(), |emptied| format!("{emptied:.1?}"));
        row("queues empty after the end", &emptied)?;
        row("lost increments", &figures.lost)?;
        row("accepted writes out of order", &figures.write_inversions)?;
        row("grants out of order", &figures.grant_inversions)?;
        row("overlapping valid guards", &figures.overlaps)?;
        row("overlapping careless use", &figures.careless_overlaps)?;
        for example in &figures.examples {
            writeln!(f, "  {example}")?;
        }
        let (word, reasons) = match &self.verdict {
            Verdict::Passed if self.control => ("PASSED: without the fence, increments are lost", &[][..]),
            Verdict::Passed => ("PASSED", &[][..]),
            Verdict::Failed(reasons) => ("FAILED", &reasons[..]),
            Verdict::Void(reasons) => ("VOID: too little happened", &reasons[..]),
        };
        reasons.iter().try_for_each(|reason| writeln!(f, "  {reason}"))?;
        write!(f, "{word}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use clap::Parser;

    use crate::config::Arguments;
    use crate::ledger::Holder;
    use crate::wire::Span;

    const SECOND: u64 = 1_000_000_000;

    fn config(more: &[&str]) -> Config {
        let arguments = ["chaos", "--minutes", "1", "--locks", "1", "--clients", "2", "--grants-per-minute", "2"];
        Arguments::try_parse_from(arguments.iter().chain(more)).expect("good arguments").config
    }

    fn circumstances() -> Circumstances {
        Circumstances {
            seed: 1,
            runtime: "none".to_owned(),
            duration: Duration::from_secs(60),
            from: 0,
            until: 60 * SECOND,
            faults: Kind::ALL.into_iter().map(|kind| (kind, 1)).collect(),
            emptied: Some(Duration::from_secs(1)),
        }
    }

    /// Grants of (token, client, begin in s, end of validity in s).
    fn grant(desk: &Desk, token: i64, client: usize, from: u64, valid: u64) {
        let (from, valid) = (from * SECOND, valid * SECOND);
        let span = Span { granted: from, valid: Some(valid), used: valid };
        desk.ledgers().for_each(|mut ledger| ledger.saw(Holder { token, client, incarnation: 1 }, span));
    }

    fn write(desk: &Desk, token: i64, value: u64) {
        desk.ledgers().for_each(|mut ledger| ledger.register.write(token, value).expect("accepted"));
    }

    fn good(fenced: bool) -> Desk {
        let desk = Desk::new(1, fenced);
        grant(&desk, 1, 0, 20, 21);
        write(&desk, 1, 1);
        grant(&desk, 2, 1, 40, 41);
        write(&desk, 2, 2);
        desk
    }

    fn verdict(config: &Config, desk: &Desk, circumstances: Circumstances) -> Verdict {
        Summary::new(config, desk, circumstances).verdict
    }

    #[track_caller]
    fn fails(config: &Config, desk: &Desk, circumstances: Circumstances, with: &str) {
        match verdict(config, desk, circumstances) {
            Verdict::Failed(reasons) => {
                assert!(reasons.iter().any(|reason| reason.contains(with)), "{reasons:?}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_good_run_passes() {
        assert_eq!(verdict(&config(&[]), &good(true), circumstances()), Verdict::Passed);
    }

    #[test]
    fn a_lost_increment_fails_the_run() {
        let desk = good(true);
        write(&desk, 3, 2);
        fails(&config(&[]), &desk, circumstances(), "1 lost increments");
    }

    #[test]
    fn overlapping_guards_and_tokens_out_of_order_fail_the_run_and_the_control() {
        for control in [&[][..], &["--control"]] {
            let desk = good(control.is_empty());
            grant(&desk, 3, 0, 50, 52);
            grant(&desk, 4, 1, 51, 53);
            fails(&config(control), &desk, circumstances(), "1 overlapping valid guards");
            grant(&desk, 5, 0, 10, 11);
            fails(&config(control), &desk, circumstances(), "tokens out of the order");
        }
    }

    #[test]
    fn a_control_that_loses_nothing_fails_and_one_that_does_passes() {
        let config = config(&["--control"]);
        let desk = good(false);
        fails(&config, &desk, circumstances(), "no lost increment");
        write(&desk, 1, 2);
        let careless = Span { granted: 20 * SECOND, valid: None, used: 45 * SECOND };
        let holder = Holder { token: 1, client: 0, incarnation: 1 };
        desk.ledgers().for_each(|mut ledger| ledger.saw(holder, careless));
        assert_eq!(verdict(&config, &desk, circumstances()), Verdict::Passed);
    }

    #[test]
    fn what_is_left_behind_a_long_stall_and_a_complaint_fail_the_run() {
        let config = config(&[]);
        fails(&config, &good(true), Circumstances { emptied: None, ..circumstances() }, "never became empty");
        fails(&config, &good(true), Circumstances { until: 200 * SECOND, ..circumstances() }, "granted to nobody");
        let desk = good(true);
        desk.complain("client 0 ended by itself".to_owned());
        fails(&config, &desk, circumstances(), "by itself");
    }

    #[test]
    fn more_increments_told_than_made_fail_the_run() {
        let desk = good(true);
        desk.ledgers().for_each(|mut ledger| ledger.told = 3);
        fails(&config(&[]), &desk, circumstances(), "told of 3");
    }

    #[test]
    fn too_little_traffic_is_void_unless_something_failed() {
        let config = Config { grants_per_minute: 100, ..config(&[]) };
        assert!(matches!(verdict(&config, &good(true), circumstances()), Verdict::Void(_)));
        let desk = good(true);
        write(&desk, 3, 2);
        fails(&config, &desk, circumstances(), "lost");
    }
}
