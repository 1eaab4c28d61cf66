//! Whether the servers are one ensemble, and grant the same.

use std::collections::BTreeSet;
use std::time::Duration;

use fairlock::store::zookeeper::probe::{EnsembleReport, ServerMode, ServerReport, SessionBounds};

use super::finding::Finding;
use super::words::{count, time};

pub(super) fn judge(
    servers: &[ServerReport],
    ensemble: Option<&EnsembleReport>,
    asked_timeout: Duration,
) -> Vec<Finding> {
    let serving: Vec<_> = servers.iter().filter(|server| server.session.is_ok()).collect();
    let mut findings = vec![leader(servers, &serving)];
    findings.extend(timeouts(&serving, asked_timeout));
    findings.extend(versions(servers));
    if let Some(ensemble) = ensemble {
        findings.extend(unity(servers, ensemble));
        findings.extend(membership(servers, ensemble));
    }
    findings.extend(repetitions(servers));
    findings
}

fn leader(servers: &[ServerReport], serving: &[&ServerReport]) -> Finding {
    const CHECK: &str = "ensemble.leader";
    let with_mode = |mode| -> Vec<&str> {
        servers.iter().filter(|server| server.mode == Some(mode)).map(|server| server.server.as_str()).collect()
    };
    let (leaders, alone) = (with_mode(ServerMode::Leader), with_mode(ServerMode::Standalone));
    let members = with_mode(ServerMode::Follower).len() + with_mode(ServerMode::Observer).len() + leaders.len();
    if distinct(&leaders) > 1 || distinct(&alone) > 1 || (!alone.is_empty() && members > 0) {
        let found = match (leaders.as_slice(), alone.as_slice()) {
            (_, []) => format!("there are several leaders: {}", leaders.join(", ")),
            (_, alone) => format!("not one ensemble: {}", on_their_own(alone)),
        };
        return Finding::problem(CHECK, found)
            .advise("name servers of one ensemble only: locks on different ones do not exclude each other, at all");
    }
    // A leader that has just lost its followers takes itself for one a little longer.
    if serving.is_empty() {
        return Finding::problem(CHECK, "no server has one: none opens a session")
            .advise("see that most servers of the ensemble are up and reach each other");
    }
    match (leaders.first(), alone.first()) {
        (Some(leader), _) => Finding::ok(CHECK, format!("{leader} leads")),
        (None, Some(alone)) => Finding::ok(CHECK, format!("{alone} is the whole ensemble")),
        (None, None) => Finding::ok(CHECK, "there is one: sessions are opened, which needs a leader"),
    }
}

fn on_their_own(servers: &[&str]) -> String {
    let (verb, whose) = if servers.len() == 1 { ("is", "its") } else { ("are", "their") };
    format!("{} {verb} on {whose} own", servers.join(", "))
}

fn distinct(servers: &[&str]) -> usize {
    servers.iter().collect::<BTreeSet<_>>().len()
}

/// What a server grants to who asks for this.
fn granted(bounds: SessionBounds, asked: Duration) -> Duration {
    asked.max(bounds.shortest.unwrap_or(Duration::ZERO)).min(bounds.longest)
}

/// A server moves the timeout into its own bounds on every connect and counts with that, but the client learns only the first.
fn timeouts(serving: &[&ServerReport], asked: Duration) -> Option<Finding> {
    const CHECK: &str = "ensemble.timeouts";
    let bounds: Vec<_> = serving
        .iter()
        .filter_map(|server| server.session.as_ref().ok().map(|bounds| (server.server.as_str(), *bounds)))
        .collect();
    let [(_, first), others @ ..] = bounds.as_slice() else { return None };
    if others.is_empty() {
        return None;
    }
    let each = |of: &dyn Fn(SessionBounds) -> String| {
        bounds.iter().map(|(server, bounds)| format!("{server} {}", of(*bounds))).collect::<Vec<_>>().join(", ")
    };
    let differ = |of: &dyn Fn(SessionBounds) -> Option<Duration>| {
        bounds.iter().filter_map(|(_, bounds)| of(*bounds)).collect::<BTreeSet<_>>().len() > 1
    };
    if differ(&|bounds| Some(granted(bounds, asked))) {
        let found = each(&|bounds| time(granted(bounds, asked)));
        return Some(
            Finding::problem(CHECK, format!("the servers grant different session timeouts to who asks for {}: {found}", time(asked)))
                .advise(
                    "set minSessionTimeout and maxSessionTimeout to the same values on all servers: a holder that is moved to \
                     another server could otherwise lose its lock without knowing",
                ),
        );
    }
    if differ(&|bounds| bounds.shortest) || differ(&|bounds| Some(bounds.longest)) {
        let found =
            each(&|bounds| format!("{} to {}", bounds.shortest.map_or("?".to_owned(), time), time(bounds.longest)));
        return Some(
            Finding::warning(CHECK, format!("the servers have different bounds for session timeouts: {found}")).advise(
                format!(
                    "set minSessionTimeout and maxSessionTimeout to the same values; for {} it does not matter yet",
                    time(asked)
                ),
            ),
        );
    }
    let found =
        format!("all {} servers grant {} to who asks for {}", bounds.len(), time(granted(*first, asked)), time(asked));
    Some(Finding::ok(CHECK, found))
}

fn versions(servers: &[ServerReport]) -> Option<Finding> {
    let versions: BTreeSet<_> = servers.iter().filter_map(|server| server.version.as_deref()).collect();
    (versions.len() > 1).then(|| {
        let versions: Vec<_> = versions.into_iter().collect();
        Finding::warning("ensemble.versions", format!("the servers have different versions: {}", versions.join(", ")))
            .advise("finish the update; a mixture is for its duration only")
    })
}

/// Whether each server knows what was just written through another.
fn unity(servers: &[ServerReport], ensemble: &EnsembleReport) -> Option<Finding> {
    const CHECK: &str = "ensemble.unity";
    let strangers: Vec<_> =
        ensemble.seen.iter().filter(|(_, seen)| *seen == Some(false)).map(|(server, _)| server.as_str()).collect();
    if !strangers.is_empty() {
        return Some(
            Finding::problem(
                CHECK,
                format!("what was written is not known to {}: not one ensemble", strangers.join(", ")),
            )
            .advise("name servers of one ensemble only: locks on different ones do not exclude each other, at all"),
        );
    }
    let serving = servers.iter().filter(|server| server.session.is_ok()).count();
    let seen = ensemble.seen.iter().filter(|(_, seen)| *seen == Some(true)).count();
    match (serving, seen) {
        (..2, _) => None,
        (_, seen) if seen < serving => Some(Finding::unknown(
            CHECK,
            format!("{seen} of {serving} servers know what was written; the others did not say"),
        )),
        (_, seen) => {
            Some(Finding::ok(CHECK, format!("all {seen} servers know what was written: they are one ensemble")))
        }
    }
}

/// Whether the ensemble survives the loss of a server, and this list does.
fn membership(servers: &[ServerReport], ensemble: &EnsembleReport) -> Option<Finding> {
    const CHECK: &str = "ensemble.members";
    let is_alone = servers.iter().any(|server| server.mode == Some(ServerMode::Standalone));
    if is_alone {
        return Some(
            Finding::warning(CHECK, "a single server: while it is down, there are no locks")
                .advise("run three servers where that matters"),
        );
    }
    let members = ensemble.members.as_ref().filter(|members| !members.is_empty())?;
    let voters = members.iter().filter(|member| !member.contains(":observer")).count();
    let tolerated = voters.saturating_sub(1) / 2;
    let found = format!("{} vote, {tolerated} may fail", count(voters, "server"));
    Some(match (servers.len(), members.len()) {
        _ if tolerated == 0 => Finding::warning(CHECK, found).advise("run three servers where that matters"),
        (1, all @ 2..) => Finding::warning(CHECK, format!("{found}; the list names 1 of {all}"))
            .advise("name all of them: without that one, this program finds none"),
        (named, all) if named < all => Finding::ok(CHECK, format!("{found}; the list names {named} of {all}")),
        _ => Finding::ok(CHECK, found),
    })
}

fn repetitions(servers: &[ServerReport]) -> Option<Finding> {
    let names: Vec<_> = servers.iter().map(|server| server.server.as_str()).collect();
    (distinct(&names) < names.len()).then(|| {
        Finding::warning("ensemble.list", "a server is named twice")
            .advise("name each server once, so that all get their share")
    })
}

#[cfg(test)]
mod tests {
    use fairlock::store::zookeeper::probe::Contact;

    use super::super::finding::Verdict;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn server(name: &str, mode: ServerMode, shortest: u32, longest: u32) -> ServerReport {
        let mut report = ServerReport::new(name);
        report.contact = Contact::ZooKeeper;
        report.mode = Some(mode);
        report.version = Some("3.8.0".into());
        report.session = Ok(SessionBounds { shortest: Some(shortest * SECOND), longest: longest * SECOND });
        report
    }

    fn three() -> Vec<ServerReport> {
        let follower = |name| server(name, ServerMode::Follower, 1, 40);
        vec![follower("a"), server("b", ServerMode::Leader, 1, 40), follower("c")]
    }

    fn ensemble(members: usize) -> EnsembleReport {
        let mut report = EnsembleReport::new(10 * SECOND, "/");
        report.members = Some((1..=members).map(|id| format!("server.{id}=h:1:2:participant")).collect());
        report.seen = ["a", "b", "c"].map(|name| (name.to_owned(), Some(true))).to_vec();
        report
    }

    #[track_caller]
    fn expect(findings: &[Finding], check: &str, verdict: Verdict, told: &str) {
        let found = findings.iter().find(|finding| finding.check == check).expect(check);
        assert_eq!(found.verdict, verdict, "{found:?}");
        assert!(found.found.contains(told), "{found:?}");
        assert!(found.advice.is_some() || verdict < Verdict::Warning, "what to do is missing: {found:?}");
    }

    #[test]
    fn three_that_agree_are_good() {
        let findings = judge(&three(), Some(&ensemble(3)), 10 * SECOND);
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{findings:?}");
        expect(&findings, "ensemble.leader", Verdict::Ok, "b leads");
        expect(&findings, "ensemble.timeouts", Verdict::Ok, "all 3 servers grant 10 s");
        expect(&findings, "ensemble.members", Verdict::Ok, "3 servers vote, 1 may fail");
    }

    #[test]
    fn different_timeouts_are_a_problem_where_they_matter() {
        let mut servers = three();
        servers[2].session = Ok(SessionBounds { shortest: Some(SECOND), longest: 8 * SECOND });
        expect(&judge(&servers, None, 10 * SECOND), "ensemble.timeouts", Verdict::Problem, "a 10 s, b 10 s, c 8 s");
        expect(&judge(&servers, None, 5 * SECOND), "ensemble.timeouts", Verdict::Warning, "c 1 s to 8 s");
        servers[2].session = Err("down".into());
        expect(&judge(&servers, None, 10 * SECOND), "ensemble.timeouts", Verdict::Ok, "all 2 servers");
    }

    #[test]
    fn servers_of_several_ensembles_are_a_problem() {
        let alone = |name| server(name, ServerMode::Standalone, 1, 40);
        let told = |servers: &[ServerReport], told: &str| {
            expect(&judge(servers, None, SECOND), "ensemble.leader", Verdict::Problem, told);
        };
        told(&[alone("a"), alone("b")], "a, b are on their own");
        told(&[three(), vec![alone("d")]].concat(), "d is on its own");
        told(&[three(), vec![server("d", ServerMode::Leader, 1, 40)]].concat(), "several leaders: b, d");

        let mut seen = ensemble(3);
        seen.seen[2].1 = Some(false);
        expect(&judge(&three(), Some(&seen), SECOND), "ensemble.unity", Verdict::Problem, "not known to c");
        seen.seen[2].1 = None;
        expect(&judge(&three(), Some(&seen), SECOND), "ensemble.unity", Verdict::Unknown, "2 of 3");
    }

    #[test]
    fn a_server_named_twice_is_one_server() {
        let findings = judge(&[three(), three()].concat(), None, SECOND);
        expect(&findings, "ensemble.leader", Verdict::Ok, "b leads");
        expect(&findings, "ensemble.list", Verdict::Warning, "twice");
    }

    #[test]
    fn sessions_show_that_there_is_a_leader() {
        let mut servers = three();
        for server in &mut servers {
            server.mode = None;
        }
        expect(&judge(&servers, None, SECOND), "ensemble.leader", Verdict::Ok, "sessions are opened");
        for server in &mut servers {
            server.session = Err("not serving".into());
        }
        expect(&judge(&servers, None, SECOND), "ensemble.leader", Verdict::Problem, "none opens a session");
        servers[0].mode = Some(ServerMode::Leader);
        expect(&judge(&servers, None, SECOND), "ensemble.leader", Verdict::Problem, "none opens a session");
    }

    #[test]
    fn what_does_not_survive_a_loss_is_told() {
        let two = judge(&three(), Some(&ensemble(2)), SECOND);
        expect(&two, "ensemble.members", Verdict::Warning, "2 servers vote, 0 may fail");
        let one_named = judge(&three()[..1], Some(&ensemble(3)), SECOND);
        expect(&one_named, "ensemble.members", Verdict::Warning, "names 1 of 3");
        let alone = judge(&[server("a", ServerMode::Standalone, 1, 4)], Some(&ensemble(0)), SECOND);
        expect(&alone, "ensemble.members", Verdict::Warning, "a single server");
    }

    #[test]
    fn a_mixture_of_versions_is_told() {
        let mut servers = three();
        servers[0].version = Some("3.9.1".into());
        expect(&judge(&servers, None, SECOND), "ensemble.versions", Verdict::Warning, "3.8.0, 3.9.1");
    }
}
