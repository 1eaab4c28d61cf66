//! Whether the servers are one ensemble, and grant the same.

use std::collections::BTreeSet;
use std::time::Duration;

use fairlock::store::zookeeper::probe::{EnsembleReport, ServerMode, ServerReport};

use super::finding::Finding;
use super::words::{count, time};

pub(super) fn judge(
    servers: &[ServerReport],
    ensemble: Option<&EnsembleReport>,
    asked_timeout: Duration,
) -> Vec<Finding> {
    // A read-only server opens sessions that are its own affair, without a leader.
    let serving: Vec<_> =
        servers.iter().filter(|server| server.session.is_ok() && server.is_read_only != Some(true)).collect();
    let mut findings = vec![leader(servers, &serving, ensemble)];
    findings.extend(timeouts(&serving, asked_timeout));
    findings.extend(versions(servers));
    if let Some(ensemble) = ensemble {
        findings.extend(unity(&serving, ensemble));
        findings.extend(membership(servers, &serving, ensemble));
    }
    findings.extend(repetitions(servers, ensemble));
    findings
}

fn leader(servers: &[ServerReport], serving: &[&ServerReport], ensemble: Option<&EnsembleReport>) -> Finding {
    const CHECK: &str = "ensemble.leader";
    let with_mode = |mode| with_mode(servers, mode);
    let (leaders, alone) = (with_mode(ServerMode::Leader), with_mode(ServerMode::Standalone));
    let members = with_mode(ServerMode::Follower).len() + with_mode(ServerMode::Observer).len() + leaders.len();
    let is_one = |these: &[&ServerReport]| is_one(these, ensemble);
    if !is_one(&leaders) || !is_one(&alone) || (!alone.is_empty() && members > 0) {
        let found = match (leaders.as_slice(), alone.as_slice()) {
            (_, []) => format!("there are several leaders: {}", names(&leaders)),
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
        (Some(leader), _) => Finding::ok(CHECK, format!("{} leads", leader.server)),
        (None, Some(alone)) => Finding::ok(CHECK, format!("{} is the whole ensemble", alone.server)),
        (None, None) => Finding::ok(CHECK, "there is one: sessions are opened, which needs a leader"),
    }
}

fn with_mode(servers: &[ServerReport], mode: ServerMode) -> Vec<&ServerReport> {
    servers.iter().filter(|server| server.mode == Some(mode)).collect()
}

fn names(servers: &[&ServerReport]) -> String {
    servers.iter().map(|server| server.server.as_str()).collect::<Vec<_>>().join(", ")
}

fn on_their_own(servers: &[&ServerReport]) -> String {
    let (verb, whose) = if servers.len() == 1 { ("is", "its") } else { ("are", "their") };
    format!("{} {verb} on {whose} own", names(servers))
}

/// How many servers these are, as far as addresses tell.
fn distinct(servers: &[&ServerReport]) -> usize {
    let addresses: BTreeSet<_> = servers.iter().map(|server| server.addresses.as_slice()).collect();
    let unknown = servers.iter().filter(|server| server.addresses.is_empty());
    let names: BTreeSet<_> = unknown.map(|server| server.server.as_str()).collect();
    addresses.iter().filter(|addresses| !addresses.is_empty()).count() + names.len()
}

/// Whether these, which all lead or all stand alone, are one server: who knows what was just written through another is of its
/// ensemble, and that has one leader. A host can have several addresses.
fn is_one(servers: &[&ServerReport], ensemble: Option<&EnsembleReport>) -> bool {
    let seen = ensemble.map(|ensemble| ensemble.seen.as_slice()).unwrap_or_default();
    let knows = |server: &&ServerReport| seen.iter().any(|(name, seen)| *name == server.server && *seen == Some(true));
    distinct(servers) <= 1 || servers.iter().all(knows)
}

/// Those who are one server, though their addresses differ.
fn of_several_addresses<'a>(
    servers: &'a [ServerReport],
    ensemble: Option<&EnsembleReport>,
) -> Option<Vec<&'a ServerReport>> {
    let leading = [ServerMode::Leader, ServerMode::Standalone].map(|mode| with_mode(servers, mode));
    leading.into_iter().find(|these| distinct(these) > 1 && is_one(these, ensemble))
}

/// What a server grants to who asks for this, if it is known.
fn granted(server: &ServerReport, asked: Duration) -> Option<Duration> {
    let bounds = server.session.as_ref().ok()?;
    match bounds.shortest {
        Some(shortest) => Some(asked.max(shortest).min(bounds.longest)),
        None => server.granted.or((asked >= bounds.longest).then_some(bounds.longest)),
    }
}

/// A server moves the timeout into its own bounds on every connect and counts with that, but the client learns only the first.
fn timeouts(serving: &[&ServerReport], asked: Duration) -> Option<Finding> {
    const CHECK: &str = "ensemble.timeouts";
    if serving.len() < 2 {
        return None;
    }
    let each = |of: &dyn Fn(&ServerReport) -> String| {
        serving.iter().map(|server| format!("{} {}", server.server, of(server))).collect::<Vec<_>>().join(", ")
    };
    let known: Vec<_> = serving.iter().filter_map(|server| granted(server, asked)).collect();
    let known_or = |known: Option<Duration>| known.map_or("?".to_owned(), time);
    if known.iter().collect::<BTreeSet<_>>().len() > 1 {
        let found = each(&|server| known_or(granted(server, asked)));
        return Some(
            Finding::problem(CHECK, format!("the servers grant different session timeouts to who asks for {}: {found}", time(asked)))
                .advise(
                    "set minSessionTimeout and maxSessionTimeout to the same values on all servers: a holder that is moved to \
                     another server could otherwise lose its lock without knowing",
                ),
        );
    }
    let Some(first) = known.first().filter(|_| known.len() == serving.len()) else {
        let found = each(&|server| known_or(granted(server, asked)));
        return Some(Finding::unknown(
            CHECK,
            format!("not all servers tell what they grant to who asks for {}: {found}", time(asked)),
        ));
    };
    let bounds: Vec<_> = serving.iter().filter_map(|server| server.session.as_ref().ok()).collect();
    let shortest: BTreeSet<_> = bounds.iter().filter_map(|bounds| bounds.shortest).collect();
    let longest: BTreeSet<_> = bounds.iter().map(|bounds| bounds.longest).collect();
    if shortest.len() > 1 || longest.len() > 1 {
        let found = each(&|server| match &server.session {
            Ok(bounds) => format!("{} to {}", known_or(bounds.shortest), time(bounds.longest)),
            Err(_) => "?".to_owned(),
        });
        return Some(
            Finding::warning(CHECK, format!("the servers have different bounds for session timeouts: {found}")).advise(
                format!(
                    "set minSessionTimeout and maxSessionTimeout to the same values; for {} it does not matter yet",
                    time(asked)
                ),
            ),
        );
    }
    let found = format!("all {} servers grant {} to who asks for {}", serving.len(), time(*first), time(asked));
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
fn unity(serving: &[&ServerReport], ensemble: &EnsembleReport) -> Option<Finding> {
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
    let serving = serving.len();
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
fn membership(servers: &[ServerReport], serving: &[&ServerReport], ensemble: &EnsembleReport) -> Option<Finding> {
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
    let all = members.len();
    let other_names = of_several_addresses(servers, Some(ensemble)).map_or(0, |these| distinct(&these) - 1);
    let named = distinct(&servers.iter().collect::<Vec<_>>()) - other_names;
    let unused = named.saturating_sub(distinct(serving) - other_names.min(distinct(serving)));
    let mut found = format!("{} vote, {tolerated} may fail", count(voters, "server"));
    if unused > 0 {
        found.push_str(&format!(" of all that are configured; {unused} of those named cannot be used now"));
    }
    // Which of them vote is known only if all do, and are named.
    let is_last = unused >= tolerated && unused > 0 && named == all && voters == all;
    Some(match (named, all) {
        _ if tolerated == 0 => Finding::warning(CHECK, found).advise("run three servers where that matters"),
        _ if is_last => Finding::warning(CHECK, found).advise("repair what is told of them before another one fails"),
        (1, 2..) => Finding::warning(CHECK, format!("{found}; the list names 1 of {all}"))
            .advise("name all of them: without that one, this program finds none"),
        (named, all) if named < all => Finding::ok(CHECK, format!("{found}; the list names {named} of {all}")),
        _ => Finding::ok(CHECK, found),
    })
}

fn repetitions(servers: &[ServerReport], ensemble: Option<&EnsembleReport>) -> Option<Finding> {
    let found = match of_several_addresses(servers, ensemble) {
        Some(these) => format!("{} are one server", names(&these)),
        None if distinct(&servers.iter().collect::<Vec<_>>()) < servers.len() => "a server is named twice".to_owned(),
        None => return None,
    };
    Some(Finding::warning("ensemble.list", found).advise("name each server once, so that all get their share"))
}

#[cfg(test)]
mod tests {
    use fairlock::store::zookeeper::probe::{Contact, SessionBounds};

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
    fn a_server_under_two_names_is_one_server() {
        let alone = |name| server(name, ServerMode::Standalone, 1, 40);
        let mut servers = [alone("localhost:1"), alone("127.0.0.1:1")];
        for server in &mut servers {
            server.addresses = vec!["127.0.0.1:1".parse().expect("an address")];
        }
        let findings = judge(&servers, None, SECOND);
        expect(&findings, "ensemble.leader", Verdict::Ok, "localhost:1 is the whole ensemble");
        expect(&findings, "ensemble.list", Verdict::Warning, "twice");

        // With several addresses it is known by what it knows.
        let mut servers = three();
        servers.push(server("b2", ServerMode::Leader, 1, 40));
        let mut report = ensemble(3);
        expect(&judge(&servers, Some(&report), SECOND), "ensemble.leader", Verdict::Problem, "several leaders: b, b2");
        report.seen.push(("b2".to_owned(), Some(true)));
        let findings = judge(&servers, Some(&report), SECOND);
        expect(&findings, "ensemble.leader", Verdict::Ok, "b leads");
        expect(&findings, "ensemble.list", Verdict::Warning, "b, b2 are one server");
        let members = findings.iter().find(|finding| finding.check == "ensemble.members").expect("members");
        assert_eq!(members.found, "3 servers vote, 1 may fail");
    }

    #[test]
    fn over_tls_what_is_granted_counts_and_nothing_is_guessed() {
        let mut servers = three();
        for server in &mut servers {
            server.session = Ok(SessionBounds { shortest: None, longest: 40 * SECOND });
        }
        let asked = 10 * SECOND;
        expect(&judge(&servers, None, asked), "ensemble.timeouts", Verdict::Unknown, "a ?, b ?, c ?");
        expect(&judge(&servers, None, 50 * SECOND), "ensemble.timeouts", Verdict::Ok, "grant 40 s");
        (servers[0].granted, servers[1].granted) = (Some(asked), Some(asked));
        expect(&judge(&servers, None, asked), "ensemble.timeouts", Verdict::Unknown, "a 10 s, b 10 s, c ?");
        servers[2].granted = Some(20 * SECOND);
        expect(&judge(&servers, None, asked), "ensemble.timeouts", Verdict::Problem, "c 20 s");
        servers[2].granted = Some(asked);
        expect(&judge(&servers, None, asked), "ensemble.timeouts", Verdict::Ok, "all 3 servers grant 10 s");
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
        // One of its own, without any leader.
        let mut read_only = server("a", ServerMode::ReadOnly, 1, 40);
        read_only.is_read_only = Some(true);
        expect(&judge(&[read_only], None, SECOND), "ensemble.leader", Verdict::Problem, "none opens a session");
    }

    #[test]
    fn what_does_not_survive_a_loss_is_told() {
        let two = judge(&three(), Some(&ensemble(2)), SECOND);
        expect(&two, "ensemble.members", Verdict::Warning, "2 servers vote, 0 may fail");
        let mut one_down = three();
        one_down[0].session = Err("down".into());
        let told = "3 servers vote, 1 may fail of all that are configured; 1 of those named cannot be used now";
        expect(&judge(&one_down, Some(&ensemble(3)), SECOND), "ensemble.members", Verdict::Warning, told);
        expect(&judge(&one_down, Some(&ensemble(5)), SECOND), "ensemble.members", Verdict::Ok, "5 servers vote, 2 may");
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
