//! What is to be thought of each server by itself.

use std::time::Duration;

use fairlock::store::zookeeper::probe::{Contact, ServerMode, ServerReport};

use super::finding::Finding;
use super::words::time;

/// A session is renewed in good time as long as a round trip takes less than this part of its timeout.
const ROUND_TRIP_PART: u32 = 20;

/// Servers begin to hold requests back at a thousand.
const OUTSTANDING_MANY: u64 = 100;

/// The first version with all that the lock uses.
const VERSION_RECOMMENDED: (u32, u32) = (3, 6);

pub(super) fn judge(report: &ServerReport, session_timeout: Duration) -> Vec<Finding> {
    let mut findings = vec![contact(report)];
    if report.contact == Contact::ZooKeeper {
        findings.push(version(report));
        findings.push(mode(report));
        // That a read-only server opens no session goes without saying.
        if !is_read_only(report) || report.session.is_ok() {
            findings.push(session(report));
        }
        findings.extend(latency(report, session_timeout));
        findings.extend(load(report));
    }
    findings.into_iter().map(|finding| finding.about(&report.server)).collect()
}

fn contact(report: &ServerReport) -> Finding {
    const CHECK: &str = "server.contact";
    match &report.contact {
        Contact::ZooKeeper => Finding::ok(CHECK, "reachable"),
        Contact::UnknownHost => Finding::problem(CHECK, "the host's name is unknown")
            .advise("correct the name, or how this host looks names up"),
        Contact::Refused(reason) => Finding::problem(CHECK, format!("nobody listens there ({reason})"))
            .advise("start the server, or correct host and port"),
        Contact::NoAnswer => Finding::problem(CHECK, "no answer to a connection attempt")
            .advise("see whether the host is up, and whether a firewall drops the packets"),
        Contact::Silent => Finding::problem(CHECK, "accepts connections but says nothing")
            .advise("see whether the server hangs, or expects TLS (--tls-ca)"),
        Contact::Closed => Finding::problem(CHECK, "accepts connections and ends them at once").advise(
            "see whether the server runs behind the proxy or port that accepts them, or expects TLS (--tls-ca)",
        ),
        Contact::NotSecured => {
            let why = report.session.as_ref().err().map(|why| format!(" ({why})")).unwrap_or_default();
            Finding::problem(CHECK, format!("gives no session over TLS{why}")).advise(
                "see whether this is the port for TLS, whether its certificate is for this name and from an authority of tls-ca, \
                 whether it accepts tls-certificate, and whether it has a leader: without one it opens no session either",
            )
        }
        Contact::NotZooKeeper(said) => Finding::problem(CHECK, format!("is no ZooKeeper server; it says {said:?}"))
            .advise("correct host and port; ZooKeeper's client port is usually 2181"),
        _ => Finding::unknown(CHECK, "something this program does not know"),
    }
}

fn version(report: &ServerReport) -> Finding {
    const CHECK: &str = "server.version";
    let Some(version) = &report.version else {
        return Finding::unknown(CHECK, "the server does not tell its version")
            .advise("allow the word srvr (4lw.commands.whitelist=srvr) to let it tell");
    };
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) < VERSION_RECOMMENDED => {
            Finding::warning(CHECK, format!("ZooKeeper {version}"))
                .advise("update to 3.6 or later; before, finding a node again after a lost reply takes many requests")
        }
        (Some(_), Some(_)) => Finding::ok(CHECK, format!("ZooKeeper {version}")),
        _ => Finding::unknown(CHECK, format!("calls its version {version:?}")),
    }
}

fn mode(report: &ServerReport) -> Finding {
    const CHECK: &str = "server.mode";
    if is_read_only(report) {
        return Finding::problem(CHECK, "read-only: it is cut off from its quorum")
            .advise("repair the network between the servers; no lock can be taken through this one");
    }
    match report.mode {
        Some(ServerMode::Standalone) => Finding::ok(CHECK, "standalone"),
        Some(ServerMode::Leader) => Finding::ok(CHECK, "leader"),
        Some(ServerMode::Follower) => Finding::ok(CHECK, "follower"),
        Some(ServerMode::Observer) => Finding::ok(CHECK, "observer"),
        _ => Finding::unknown(CHECK, "the server does not tell its part in the ensemble"),
    }
}

fn is_read_only(report: &ServerReport) -> bool {
    report.is_read_only == Some(true) || report.mode == Some(ServerMode::ReadOnly)
}

fn session(report: &ServerReport) -> Finding {
    const CHECK: &str = "server.session";
    match &report.session {
        Ok(bounds) => {
            let longest = time(bounds.longest);
            match (bounds.shortest, report.granted) {
                (Some(shortest), _) => {
                    Finding::ok(CHECK, format!("grants session timeouts from {} to {longest}", time(shortest)))
                }
                (None, Some(granted)) => Finding::ok(
                    CHECK,
                    format!("grants {} as a session timeout, and at most {longest}; the shortest is not told over TLS", time(granted)),
                ),
                (None, None) => Finding::unknown(
                    CHECK,
                    format!("grants session timeouts up to {longest}; the shortest could not be told"),
                ),
            }
        }
        Err(reason) => Finding::problem(CHECK, format!("opens no session ({reason})"))
            .advise(
                "see in the server's log whether it has a leader, for which most servers must be up and reach each other, and whom it \
                 serves",
            ),
    }
}

fn latency(report: &ServerReport, session_timeout: Duration) -> Option<Finding> {
    const CHECK: &str = "server.latency";
    let median = report.round_trip_median()?;
    let found = format!("answers a read in {} (median of {})", time(median), report.round_trips.len());
    Some(if median > session_timeout / ROUND_TRIP_PART {
        Finding::warning(CHECK, format!("{found}, long for a session timeout of {}", time(session_timeout)))
            .advise("ask for a longer session (--session-timeout), use servers nearby, or see why this one is slow")
    } else {
        Finding::ok(CHECK, found)
    })
}

fn load(report: &ServerReport) -> Option<Finding> {
    let outstanding = report.outstanding.filter(|outstanding| *outstanding >= OUTSTANDING_MANY)?;
    let found = format!("{outstanding} requests wait to be answered");
    Some(Finding::warning("server.load", found).advise("take load from the servers; at 1000 they hold requests back"))
}

#[cfg(test)]
mod tests {
    use fairlock::store::zookeeper::probe::SessionBounds;

    use super::super::finding::Verdict;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn good() -> ServerReport {
        let mut report = ServerReport::new("a:1");
        report.contact = Contact::ZooKeeper;
        report.version = Some("3.8.0".into());
        report.mode = Some(ServerMode::Follower);
        report.is_read_only = Some(false);
        report.session = Ok(SessionBounds { shortest: Some(SECOND), longest: 10 * SECOND });
        report.round_trips = vec![Duration::from_millis(1); 7];
        report
    }

    #[track_caller]
    fn expect(report: &ServerReport, check: &str, verdict: Verdict, told: &str) {
        let findings = judge(report, 10 * SECOND);
        let found = findings.iter().find(|finding| finding.check == check).expect(check);
        assert_eq!(found.verdict, verdict, "{found:?}");
        assert!(found.found.contains(told), "{found:?}");
        assert!(found.advice.is_some() || verdict < Verdict::Warning, "what to do is missing: {found:?}");
    }

    #[test]
    fn a_good_server_is_good_throughout() {
        let findings = judge(&good(), 10 * SECOND);
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{findings:?}");
        assert!(findings.iter().all(|finding| finding.server.as_deref() == Some("a:1")));
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_a_problem_and_nothing_else_is_said() {
        for (contact, told) in [
            (Contact::UnknownHost, "unknown"),
            (Contact::Refused("refused".into()), "nobody listens there (refused)"),
            (Contact::NoAnswer, "no answer"),
            (Contact::Silent, "says nothing"),
            (Contact::Closed, "ends them at once"),
            (Contact::NotSecured, "TLS"),
            (Contact::NotZooKeeper("HTTP/1.1 400".into()), "\"HTTP/1.1 400\""),
        ] {
            let mut report = ServerReport::new("a:1");
            report.contact = contact;
            assert_eq!(judge(&report, SECOND).len(), 1);
            expect(&report, "server.contact", Verdict::Problem, told);
        }
    }

    #[test]
    fn what_a_server_does_not_tell_is_unknown_and_no_problem() {
        let mut report = good();
        (report.version, report.mode) = (None, None);
        report.session = Ok(SessionBounds { shortest: None, longest: SECOND });
        for check in ["server.version", "server.mode", "server.session"] {
            expect(&report, check, Verdict::Unknown, "");
        }
    }

    #[test]
    fn old_slow_busy_or_cut_off_servers_are_told() {
        let mut old = good();
        old.version = Some("3.5.9".into());
        expect(&old, "server.version", Verdict::Warning, "3.5.9");
        let mut slow = good();
        slow.round_trips = vec![Duration::from_millis(501); 7];
        expect(&slow, "server.latency", Verdict::Warning, "501 ms");
        let mut busy = good();
        busy.outstanding = Some(300);
        expect(&busy, "server.load", Verdict::Warning, "300 requests");
        let mut cut_off = good();
        cut_off.is_read_only = Some(true);
        expect(&cut_off, "server.mode", Verdict::Problem, "read-only");
        cut_off.session = Err("the server is read-only".into());
        let findings = judge(&cut_off, SECOND);
        assert!(findings.iter().all(|finding| finding.check != "server.session"), "{findings:?}");
        let mut leaderless = good();
        leaderless.session = Err("not currently serving".into());
        expect(&leaderless, "server.session", Verdict::Problem, "not currently serving");
    }
}
