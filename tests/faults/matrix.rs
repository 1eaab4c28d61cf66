//! The table of cases, and a test for each; a combination without a test has its reason here.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt;

use crate::fault::{FAULTS, Fault};
use crate::requests;
use crate::stage::Stage;

/// A line of the table: a request, the faults that strike it, and why others do not.
struct Line {
    request: &'static str,
    faults: &'static [&'static str],
    reasons: &'static [(&'static str, &'static str)],
}

/// Runs one case. Where the machine is so slow that the session lapses before the fault has struck, the case is set up
/// once more, with a longer session; what goes wrong after the fault has struck, or without one a second time, is a
/// failure.
async fn run(request: &str, fault: &str, case: impl AsyncFn(&Stage)) {
    let fault_of_the_case = Fault::named(fault);
    let mut session_timeout = fault_of_the_case.session_timeout();
    let mut is_last = false;
    loop {
        let (stage, started) = Stage::set_for(fault_of_the_case, session_timeout).await;
        let outcome = AssertUnwindSafe(case(&stage)).catch_unwind().await;
        eprintln!("case {request} x {fault}: {} ms", started.elapsed().as_millis());
        let Err(panic) = outcome else { return };
        tell(&stage, &format!("{request} x {fault}"), started);
        if is_last || stage.has_struck() {
            std::panic::resume_unwind(panic);
        }
        eprintln!("The fault had not struck yet: once more, with a session three times as long.");
        session_timeout *= 3;
        is_last = true;
    }
}

/// Its name is in what a failure says, with what passed through the proxy.
fn tell(stage: &Stage, case: &str, started: Instant) {
    let log = stage.proxy.log();
    eprintln!("FAILED: {case}, after this on the disturbed link:");
    for entry in &log[log.len().saturating_sub(80)..] {
        let at = entry.at.saturating_duration_since(started);
        eprintln!("{:>6} ms  connection {}  {:?}", at.as_millis(), entry.connection, entry.what);
    }
}

macro_rules! matrix {
    ($($request:ident: [$($fault:ident)*] $(except [$($missing:ident: $reason:literal)*])?;)*) => {
        const MATRIX: &[Line] = &[$(Line {
            request: stringify!($request),
            faults: &[$(stringify!($fault)),*],
            reasons: &[$($((stringify!($missing), $reason)),*)?],
        }),*];

        $(mod $request {
            $(
                #[tokio::test]
                async fn $fault() {
                    super::run(stringify!($request), stringify!($fault), super::requests::$request).await;
                }
            )*
        })*
    };
}

matrix! {
    connecting: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed blackhole_one_way
        blackhole_both_ways
    ] except [
        session_expired: "there is no session yet that could expire"
        zombie_link: "there is no session yet whose pings could be answered"
    ];
    coming_back: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    restoring_watches: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    making_the_directories: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    making_the_queue: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    entering_behind_a_holder: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    entering_alone: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    barrier_of_a_recovery: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    finding_the_own_node: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    reading_the_found_node: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    watching_the_own_node: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    watching_the_predecessor: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    watching_the_predecessor_as_a_reader: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    surveying: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    probing: [] except [
        request_lost: "sent every 22 to 30 s, longer than a case may take; the request is that of confirming"
        reply_lost: "sent every 22 to 30 s, longer than a case may take; the request is that of confirming"
        reply_delayed: "sent every 22 to 30 s, longer than a case may take; the request is that of confirming"
        closed_with_fin: "sent every 22 to 30 s, longer than a case may take; the request is that of confirming"
        closed_with_rst: "sent every 22 to 30 s, longer than a case may take; the request is that of confirming"
        server_killed: "sent every 22 to 30 s, longer than a case may take; the request is that of confirming"
        session_expired: "sent every 22 to 30 s, longer than a case may take; the request is that of confirming"
        blackhole_one_way: "sent every 22 to 30 s, longer than a case may take; the request is that of confirming"
        blackhole_both_ways: "sent every 22 to 30 s, longer than a case may take; the request is that of confirming"
        zombie_link: "sent every 22 to 30 s, longer than a case may take; the request is that of confirming"
    ];
    confirming: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    watching_the_held_node: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    restoring_a_holders_watch: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    touching: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    renewing: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    releasing: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    barrier_of_a_verification: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    verifying: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    writing: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    withdrawing: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    trying: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    listing: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
    closing: [
        request_lost reply_lost reply_delayed closed_with_fin closed_with_rst server_killed session_expired
        blackhole_one_way blackhole_both_ways zombie_link
    ];
}

/// The table as it stands in docs/TESTING.md: `x` for a test, a letter for a reason.
fn table() -> String {
    let mut lines = vec![format!("| request | {} |", FAULTS.map(|(name, _)| name.replace('_', " ")).join(" | "))];
    lines.push(format!("|---|{}", "---|".repeat(FAULTS.len())));
    let mut reasons = Vec::new();
    for line in MATRIX {
        let cells = FAULTS.map(|(fault, _)| match line.reasons.iter().find(|(missing, _)| *missing == fault) {
            Some((_, reason)) => {
                let at = reasons.iter().position(|known| known == reason).unwrap_or_else(|| {
                    reasons.push(*reason);
                    reasons.len() - 1
                });
                format!("({})", at + 1)
            }
            None => "x".to_owned(),
        });
        lines.push(format!("| {} | {} |", line.request.replace('_', " "), cells.join(" | ")));
    }
    lines.push(String::new());
    lines.extend(reasons.iter().zip(1..).map(|(reason, number)| format!("({number}) {reason}")));
    lines.join("\n")
}

#[test]
fn every_combination_has_a_test_or_a_reason() {
    println!("{}", table());
    let mut cases = 0;
    for line in MATRIX {
        for (fault, _) in FAULTS {
            let tested = line.faults.contains(&fault);
            let excused = line.reasons.iter().any(|(missing, reason)| *missing == fault && reason.len() > 10);
            assert!(tested != excused, "{} x {fault} has no test and no reason, or both", line.request);
            cases += usize::from(tested);
        }
        assert_eq!(line.faults.len() + line.reasons.len(), FAULTS.len(), "{} names an unknown fault", line.request);
    }
    assert!(cases >= 60, "only {cases} cases");
}
