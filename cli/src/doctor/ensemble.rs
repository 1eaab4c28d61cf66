//! What is to be thought of what a lock finds through its session.

use std::time::Duration;

use fairlock::Error;
use fairlock::store::zookeeper::probe::{EnsembleReport, Quota, ServerReport, Step};
use fairlock::store::{StoreError, StoreErrorKind};

use super::finding::Finding;
use super::words::time;

/// What a session's length is compared with: a validity has to cover half a tick and the delay of a ping.
const TICKS_MIN: u32 = 3;

/// A write is quick enough as long as it takes less than this part of the session timeout.
const WRITE_PART: u32 = 20;

/// Clocks that differ by less than this do not mislead people who read times.
const CLOCK_MILLIS_MAX: i64 = 1_000;

/// Above this part of a quota, in hundredths, it is time to do something.
const QUOTA_HUNDREDTHS: u64 = 80;

/// What was configured, as far as it is compared with what was found.
pub(super) struct Wanted<'a> {
    pub(super) root: &'a str,
    pub(super) session_timeout: Duration,
    pub(super) schemes: Vec<&'a str>,
}

pub(super) fn judge(
    outcome: &Result<EnsembleReport, Error>,
    servers: &[ServerReport],
    wanted: &Wanted<'_>,
) -> Vec<Finding> {
    let report = match outcome {
        Ok(report) => report,
        Err(error) => return vec![no_session(error)],
    };
    let mut findings = vec![opened(report), session_timeout(report, wanted), tick(report, servers)];
    findings.extend(credentials(report, wanted));
    findings.push(place(report, wanted));
    findings.extend(steps(report));
    findings.extend(containers(report));
    findings.extend(quotas(report));
    findings.extend(write_latency(report));
    findings.extend(clock(report));
    findings.extend(report.left_behind.as_ref().map(|path| {
        Finding::warning("root.clean", format!("{path} may be left: it was not certainly removed again"))
            .advise("nothing, if the servers know containers: they remove it within minutes; otherwise delete it")
    }));
    findings
}

fn opened(report: &EnsembleReport) -> Finding {
    let mut found = format!("a session is opened in {}", time(report.connected_in));
    if report.chroot != "/" {
        found.push_str(&format!("; the root {} exists", report.chroot));
    }
    Finding::ok("session.open", found)
}

fn no_session(error: &Error) -> Finding {
    let mut found = error.to_string();
    // The others say all of it themselves.
    if let Error::Store { source, .. } = error {
        found.push_str(&format!(": {source}"));
    }
    let advice = match error {
        Error::MissingChroot { chroot, .. } => {
            format!(
                "create {chroot} (zkCli.sh: create {chroot}), or correct the root in the list of servers or --chroot"
            )
        }
        Error::AuthenticationFailed { .. } => {
            "correct scheme and secret; fairlock config tells where they come from".to_owned()
        }
        Error::NoPermission { .. } => "grant it in the root's ACL, or connect with other credentials".to_owned(),
        _ => "first correct what is told of the servers; then give it more time (--connect-timeout)".to_owned(),
    };
    Finding::problem("session.open", found).advise(advice)
}

fn session_timeout(report: &EnsembleReport, wanted: &Wanted<'_>) -> Finding {
    const CHECK: &str = "session.timeout";
    let (asked, granted) = (wanted.session_timeout, report.session_timeout);
    if asked == granted {
        return Finding::ok(CHECK, format!("a session timeout of {} is granted as asked for", time(granted)));
    }
    let setting = if granted < asked { "maxSessionTimeout" } else { "minSessionTimeout" };
    Finding::warning(CHECK, format!("asked for {}, granted {}", time(asked), time(granted)))
        .advise(format!("ask for what the servers grant (--session-timeout), or change their {setting}"))
}

fn tick(report: &EnsembleReport, servers: &[ServerReport]) -> Finding {
    const CHECK: &str = "session.tick";
    let granted = report.session_timeout;
    if let Some(tick) = servers.iter().filter_map(|server| server.configuration).map(|conf| conf.tick_time).max() {
        let found = format!("a session of {} has {:.1} ticks of {}", time(granted), ratio(granted, tick), time(tick));
        if granted >= tick * TICKS_MIN {
            return Finding::ok(CHECK, found);
        }
        return Finding::warning(CHECK, found).advise(
            "ask for a longer session (--session-timeout), or lower the servers' tickTime: a healthy holder could \
             otherwise find its lock expired now and then",
        );
    }
    // By default the shortest session has two ticks, but it can be set by itself.
    let shortest = servers.iter().filter_map(|server| server.session.as_ref().ok()?.shortest).max();
    let guess = match shortest {
        Some(shortest) if granted < shortest / 2 * TICKS_MIN => format!(
            "; if their shortest session, {}, has two ticks as by default, {} are too few",
            time(shortest),
            time(granted)
        ),
        _ => String::new(),
    };
    Finding::unknown(CHECK, format!("the servers do not tell their tickTime{guess}")).advise(format!(
        "see in zoo.cfg that it is at most {}, or allow the word conf (4lw.commands.whitelist=srvr,conf)",
        time(granted / TICKS_MIN)
    ))
}

fn ratio(long: Duration, short: Duration) -> f64 {
    if short.is_zero() { f64::INFINITY } else { long.as_secs_f64() / short.as_secs_f64() }
}

fn credentials(report: &EnsembleReport, wanted: &Wanted<'_>) -> Option<Finding> {
    const CHECK: &str = "session.credentials";
    if wanted.schemes.is_empty() {
        return None;
    }
    let schemes = wanted.schemes.join(", ");
    Some(match &report.users {
        None => Finding::ok(CHECK, format!("accepted ({schemes}); as whom, servers before 3.7 do not tell")),
        Some(users) => {
            let is_known = |scheme: &&str| users.iter().any(|user| user.starts_with(&format!("{scheme}:")));
            match wanted.schemes.iter().find(|scheme| !is_known(scheme)) {
                // Every digest is accepted: a wrong password makes a user whom nobody has granted anything.
                None => Finding::ok(CHECK, format!("accepted; this is {}", users.join(", "))),
                Some(scheme) => Finding::warning(
                    CHECK,
                    format!("{scheme} makes nobody of this session, which is {}", users.join(", ")),
                )
                .advise("see that the servers know the scheme (authProvider), and that the secret is right"),
            }
        }
    })
}

fn place(report: &EnsembleReport, wanted: &Wanted<'_>) -> Finding {
    const CHECK: &str = "root.exists";
    if report.exists {
        return Finding::ok(CHECK, format!("{} exists", report.place));
    }
    Finding::ok(CHECK, format!("{} does not exist; the first lock makes it in {}", wanted.root, report.place))
}

fn steps(report: &EnsembleReport) -> Vec<Finding> {
    const CHECK: &str = "root.permissions";
    let place = &report.place;
    let mut findings: Vec<_> = report
        .steps
        .iter()
        .filter_map(|(step, outcome)| outcome.as_ref().err().map(|error| (*step, error)))
        .map(|(step, error)| failed_step(report, step, error))
        .collect();
    if report.steps.is_empty() {
        findings.push(Finding::unknown(CHECK, "was not tried"));
    } else if findings.iter().all(|finding| finding.check != CHECK) {
        findings.push(Finding::ok(
            CHECK,
            format!("in {place} one can create, read, list, write and delete; ephemeral, sequential nodes work"),
        ));
    }
    findings
}

fn failed_step(report: &EnsembleReport, step: Step, error: &StoreError) -> Finding {
    let place = &report.place;
    let (check, what) = match step {
        Step::ReadPlace => ("root.readable", format!("read {place}")),
        Step::Create => ("root.permissions", format!("create nodes in {place}")),
        Step::Read => ("root.permissions", format!("read an own node in {place}")),
        Step::List => ("root.permissions", format!("list an own directory in {place}")),
        Step::Write => ("root.permissions", format!("write to an own directory in {place}")),
        Step::Delete => ("root.permissions", format!("delete nodes in {place}")),
        _ => ("root.permissions", format!("use {place}")),
    };
    let found = format!("cannot {what}: {error}");
    let acl = report.acl.as_ref().map(|acl| format!("; it grants {}", acl.join(", "))).unwrap_or_default();
    let users = report.users.as_ref().map(|users| format!("; this is {}", users.join(", "))).unwrap_or_default();
    match (error.kind(), step) {
        // Locks do without it, since they know their own names.
        (StoreErrorKind::NoPermission, Step::ReadPlace) => Finding::warning(check, format!("{found}{acl}{users}"))
            .advise(format!("locks work without; grant r in the ACL of {place} to let people look")),
        (StoreErrorKind::NoPermission, _) => Finding::problem(check, format!("{found}{acl}{users}")).advise(format!(
            "grant it in the ACL of {place} (cdrw is needed), connect with other credentials, or choose another --root"
        )),
        (StoreErrorKind::QuotaExceeded, _) => {
            Finding::problem(check, found).advise("raise the quota (zkCli.sh: setquota), or remove unused nodes")
        }
        (StoreErrorKind::EphemeralParent, _) => {
            Finding::problem(check, found).advise("choose another --root: this one is an ephemeral node")
        }
        (StoreErrorKind::ReadOnly, _) => {
            Finding::problem(check, found).advise("see why the server is cut off from its quorum")
        }
        (StoreErrorKind::Unknown | StoreErrorKind::Ended(_) | StoreErrorKind::Overloaded, _) => {
            Finding::problem(check, found)
                .advise("see whether the servers are overloaded or the network is broken; run it again")
        }
        _ => Finding::problem(check, found).advise("see the server's log"),
    }
}

fn containers(report: &EnsembleReport) -> Option<Finding> {
    const CHECK: &str = "root.containers";
    Some(if report.containers? {
        Finding::ok(CHECK, "container nodes are supported: directories of unused locks go away")
    } else {
        Finding::warning(CHECK, "container nodes are not supported: directories of unused locks stay")
            .advise("update to ZooKeeper 3.5 or later, and set extendedTypesEnabled=true if that does not help")
    })
}

fn quotas(report: &EnsembleReport) -> Vec<Finding> {
    const CHECK: &str = "root.quota";
    match &report.quotas {
        Err(error) => vec![Finding::unknown(CHECK, format!("quotas cannot be read: {error}"))],
        Ok(quotas) if quotas.is_empty() => vec![Finding::ok(CHECK, format!("there is no quota on {}", report.place))],
        Ok(quotas) => quotas.iter().map(|quota| judge_quota(CHECK, quota)).collect(),
    }
}

fn judge_quota(check: &'static str, quota: &Quota) -> Finding {
    let uses = [
        ("nodes", quota.nodes_used, quota.nodes_max, false),
        ("nodes", quota.nodes_used, quota.nodes_max_enforced, true),
        ("bytes", quota.bytes_used, quota.bytes_max, false),
        ("bytes", quota.bytes_used, quota.bytes_max_enforced, true),
    ];
    let uses: Vec<_> = uses.into_iter().filter_map(|(what, used, max, hard)| Some((what, used?, max?, hard))).collect();
    let text: Vec<_> = uses
        .iter()
        .map(|(what, used, max, hard)| format!("{used} of {max} {what}{}", if *hard { " (hard limit)" } else { "" }))
        .collect();
    if uses.is_empty() {
        return Finding::ok(check, format!("the quota on {} limits nothing that is told", quota.path));
    }
    let found = format!("quota on {}: {}", quota.path, text.join(", "));
    let advice = "raise the quota (zkCli.sh: setquota), or remove unused nodes";
    let is_full = uses.iter().any(|(_, used, max, hard)| *hard && used >= max);
    let is_nearly_full =
        uses.iter().any(|(_, used, max, _)| used.saturating_mul(100) >= max.saturating_mul(QUOTA_HUNDREDTHS));
    match (is_full, is_nearly_full) {
        (true, _) => {
            Finding::problem(check, format!("{found}; the servers refuse more if they enforce it")).advise(advice)
        }
        (false, true) => Finding::warning(check, found).advise(advice),
        (false, false) => Finding::ok(check, found),
    }
}

fn write_latency(report: &EnsembleReport) -> Option<Finding> {
    const CHECK: &str = "session.write-latency";
    let median = report.write_median()?;
    let found = format!("a write takes {} (median of {})", time(median), report.writes.len());
    Some(if median > report.session_timeout / WRITE_PART {
        Finding::warning(CHECK, format!("{found}, long for a session timeout of {}", time(report.session_timeout)))
            .advise("ask for a longer session (--session-timeout); see whether the servers' log disk is slow or shared")
    } else {
        Finding::ok(CHECK, found)
    })
}

fn clock(report: &EnsembleReport) -> Option<Finding> {
    const CHECK: &str = "clock";
    let clock = report.clock?;
    let uncertainty = i64::try_from(clock.uncertainty.as_millis()).unwrap_or(i64::MAX);
    let difference = Duration::from_millis(clock.ahead_millis.unsigned_abs());
    let which = if clock.ahead_millis < 0 { "behind" } else { "ahead of" };
    let (amount, about) = (time(difference), time(clock.uncertainty));
    let is_far = clock.ahead_millis.saturating_abs().saturating_sub(uncertainty) > CLOCK_MILLIS_MAX;
    Some(if is_far {
        Finding::warning(CHECK, format!("the servers' clock is {amount} {which} this host's"))
            .advise("set the clocks (NTP); locks do not depend on them, but the times that people read do")
    } else if clock.ahead_millis.saturating_abs() <= uncertainty {
        Finding::ok(CHECK, format!("the servers' clock and this host's agree, give or take {about}"))
    } else {
        Finding::ok(CHECK, format!("the servers' clock is {amount} {which} this host's, give or take {about}"))
    })
}

#[cfg(test)]
mod tests;
