//! Each situation that a session can find, and what is to be thought of it.

use fairlock::LossReason;
use fairlock::store::zookeeper::probe::{ClockDifference, Configuration, SessionBounds};

use super::super::finding::{Verdict, worst};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn wanted() -> Wanted<'static> {
    Wanted { root: "/jobs", session_timeout: 10 * SECOND, schemes: vec![] }
}

fn good() -> EnsembleReport {
    let mut report = EnsembleReport::new(10 * SECOND, "/jobs");
    report.acl = Some(vec!["world:anyone:cdrwa".into()]);
    report.users = Some(vec!["ip:127.0.0.1".into()]);
    report.steps = [Step::ReadPlace, Step::Create, Step::Read, Step::List, Step::Write, Step::Delete]
        .map(|step| (step, Ok(())))
        .to_vec();
    report.containers = Some(true);
    report.writes = vec![Duration::from_millis(2); 5];
    report.clock = Some(ClockDifference { ahead_millis: 3, uncertainty: Duration::from_millis(2) });
    report
}

fn servers(tick: Option<Duration>) -> Vec<ServerReport> {
    let mut server = ServerReport::new("a");
    server.configuration = tick.map(|tick_time| Configuration { tick_time });
    server.session = Ok(SessionBounds { shortest: Some(4 * SECOND), longest: 40 * SECOND });
    vec![server]
}

fn judged(report: EnsembleReport) -> Vec<Finding> {
    judge(&Ok(report), &servers(Some(2 * SECOND)), &wanted())
}

#[track_caller]
fn expect(findings: &[Finding], check: &str, verdict: Verdict, told: &str) {
    let found = findings.iter().find(|finding| finding.check == check).expect(check);
    assert_eq!(found.verdict, verdict, "{found:?}");
    assert!(found.found.contains(told), "{found:?}");
    assert!(found.advice.is_some() || verdict < Verdict::Warning, "what to do is missing: {found:?}");
}

fn refused(step: Step, kind: StoreErrorKind) -> Vec<Finding> {
    let mut report = good();
    for (each, outcome) in &mut report.steps {
        if *each == step {
            *outcome = Err(StoreError::new(kind));
        }
    }
    judged(report)
}

#[test]
fn a_good_ensemble_is_good_throughout() {
    let findings = judged(good());
    assert_eq!(worst(&findings), Verdict::Ok, "{findings:?}");
}

#[test]
fn without_a_session_only_that_is_told() {
    let error = Error::MissingChroot { chroot: "/app".into(), source: StoreError::new(StoreErrorKind::NoNode) };
    let findings = judge(&Err(error), &servers(None), &wanted());
    assert_eq!(findings.len(), 1);
    expect(&findings, "session.open", Verdict::Problem, "/app");
    assert!(findings[0].advice.as_ref().is_some_and(|advice| advice.contains("create /app")), "{findings:?}");
}

#[test]
fn a_session_that_is_not_as_asked_for_is_a_warning() {
    let mut report = good();
    report.session_timeout = 8 * SECOND;
    expect(&judged(report), "session.timeout", Verdict::Warning, "asked for 10 s, granted 8 s");
}

#[test]
fn a_session_of_few_ticks_is_a_warning() {
    let of = |tick| judge(&Ok(good()), &servers(tick), &wanted());
    expect(&of(Some(4 * SECOND)), "session.tick", Verdict::Warning, "2.5 ticks");
    expect(&of(Some(3 * SECOND)), "session.tick", Verdict::Ok, "3.3 ticks");
    expect(&of(None), "session.tick", Verdict::Unknown, "do not tell");
    let mut short = good();
    short.session_timeout = 5 * SECOND;
    let findings = judge(&Ok(short), &servers(None), &wanted());
    expect(&findings, "session.tick", Verdict::Unknown, "if their shortest session, 4 s, has two ticks");
}

#[test]
fn what_is_not_permitted_is_a_problem_with_who_may() {
    for step in [Step::Create, Step::Read, Step::List, Step::Write, Step::Delete] {
        let findings = refused(step, StoreErrorKind::NoPermission);
        expect(&findings, "root.permissions", Verdict::Problem, "it grants world:anyone:cdrwa; this is ip:127.0.0.1");
    }
    let findings = refused(Step::ReadPlace, StoreErrorKind::NoPermission);
    expect(&findings, "root.readable", Verdict::Warning, "cannot read /jobs");
    expect(&findings, "root.permissions", Verdict::Ok, "in /jobs");
}

#[test]
fn every_refusal_says_what_to_do() {
    for kind in [
        StoreErrorKind::QuotaExceeded,
        StoreErrorKind::EphemeralParent,
        StoreErrorKind::ReadOnly,
        StoreErrorKind::Unknown,
        StoreErrorKind::Overloaded,
        StoreErrorKind::Ended(LossReason::SessionExpired),
        StoreErrorKind::BadRequest,
    ] {
        expect(&refused(Step::Create, kind), "root.permissions", Verdict::Problem, "cannot create nodes in /jobs");
    }
}

#[test]
fn credentials_that_make_nobody_are_a_warning() {
    let of = |users: Option<&str>| {
        let mut report = good();
        report.users = users.map(|user| vec![user.to_owned()]);
        judge(&Ok(report), &servers(None), &Wanted { schemes: vec!["digest"], ..wanted() })
    };
    expect(&of(Some("digest:alice")), "session.credentials", Verdict::Ok, "digest:alice");
    expect(&of(None), "session.credentials", Verdict::Ok, "do not tell");
    expect(&of(Some("ip:1.2.3.4")), "session.credentials", Verdict::Warning, "digest makes nobody");
}

#[test]
fn a_quota_is_told_before_it_is_full() {
    let quota = |used, soft, hard| Quota {
        path: "/jobs".into(),
        nodes_used: Some(used),
        nodes_max: soft,
        nodes_max_enforced: hard,
        bytes_used: Some(0),
        bytes_max: None,
        bytes_max_enforced: None,
    };
    for (used, soft, hard, verdict, told) in [
        (3, Some(10), None, Verdict::Ok, "quota on /jobs: 3 of 10 nodes"),
        (8, Some(10), None, Verdict::Warning, "8 of 10"),
        (20, Some(10), None, Verdict::Warning, "20 of 10"),
        (8, None, Some(10), Verdict::Warning, "8 of 10 nodes (hard limit)"),
        (10, None, Some(10), Verdict::Problem, "refuse"),
        (u64::MAX, Some(u64::MAX), None, Verdict::Warning, "of"),
        (3, None, None, Verdict::Ok, "limits nothing"),
    ] {
        let mut report = good();
        report.quotas = Ok(vec![quota(used, soft, hard)]);
        expect(&judged(report), "root.quota", verdict, told);
    }
    let mut report = good();
    report.quotas = Err(StoreError::new(StoreErrorKind::NoPermission));
    expect(&judged(report), "root.quota", Verdict::Unknown, "cannot be read");
}

#[test]
fn clocks_are_compared_within_what_is_certain() {
    for (ahead_millis, uncertain, verdict, told) in [
        (3, 5, Verdict::Ok, "agree"),
        (900, 5, Verdict::Ok, "900 ms ahead of"),
        (-900, 5, Verdict::Ok, "900 ms behind"),
        (3_000, 5, Verdict::Warning, "3 s ahead of"),
        (-3_000, 5, Verdict::Warning, "3 s behind"),
        (3_000, 2_500, Verdict::Ok, "give or take"),
        (i64::MIN, 0, Verdict::Warning, "behind"),
    ] {
        let mut report = good();
        report.clock = Some(ClockDifference { ahead_millis, uncertainty: Duration::from_millis(uncertain) });
        expect(&judged(report), "clock", verdict, told);
    }
}

#[test]
fn slow_writes_old_servers_and_remains_are_told() {
    let mut report = good();
    report.writes = vec![SECOND; 5];
    report.containers = Some(false);
    report.left_behind = Some("/jobs/x".into());
    report.exists = false;
    report.place = "/".into();
    let findings = judged(report);
    expect(&findings, "session.write-latency", Verdict::Warning, "a write takes 1 s");
    expect(&findings, "root.containers", Verdict::Warning, "not supported");
    expect(&findings, "root.clean", Verdict::Warning, "/jobs/x");
    expect(&findings, "root.exists", Verdict::Ok, "the first lock makes it in /");
}
