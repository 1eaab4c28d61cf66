//! The findings as text and as JSON.

use std::io::{self, Write};

use crossterm::style::{ContentStyle, Stylize};
use fairlock::store::zookeeper::probe::{Contact, EnsembleReport, Quota, ServerMode, ServerReport};
use serde_json::{Value, json};

use super::finding::{Finding, Verdict, worst};
use super::words::count;
use crate::look::text::clean;

/// As wide as the longest label.
const LABEL_WIDTH: usize = 7;

pub(super) fn print(findings: &[Finding], color: bool, out: &mut impl Write) -> io::Result<()> {
    let mut group = None;
    for finding in findings {
        let next = finding.server.as_deref();
        if group != Some(next) {
            let title = clean(next.unwrap_or("all together"));
            writeln!(out, "{}{title}", if group.is_some() { "\n" } else { "" })?;
            group = Some(next);
        }
        let label = format!("{:LABEL_WIDTH$}", finding.verdict.label());
        let style = if color { style(finding.verdict) } else { ContentStyle::default() };
        writeln!(out, "  {}  {}", style.apply(label), clean(&finding.found))?;
        if let Some(advice) = &finding.advice {
            writeln!(out, "  {:LABEL_WIDTH$}  > {}", "", clean(advice))?;
        }
    }
    writeln!(out, "\n{}", summary(findings))?;
    out.flush()
}

fn style(verdict: Verdict) -> ContentStyle {
    match verdict {
        Verdict::Ok => ContentStyle::new().green(),
        Verdict::Unknown => ContentStyle::new().dark_grey(),
        Verdict::Warning => ContentStyle::new().yellow().bold(),
        Verdict::Problem => ContentStyle::new().red().bold(),
    }
}

fn summary(findings: &[Finding]) -> String {
    let number = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (problems, warnings, unknown) = (number(Verdict::Problem), number(Verdict::Warning), number(Verdict::Unknown));
    let mut text = match (problems, warnings) {
        (0, 0) => "all is well".to_owned(),
        (0, warnings) => format!("no problem, {}", count(warnings, "warning")),
        (problems, warnings) => format!("{}, {}", count(problems, "problem"), count(warnings, "warning")),
    };
    if unknown > 0 {
        text.push_str(&format!("; {unknown} could not be told"));
    }
    text
}

/// The document in one line. Beyond ASCII it is escaped, since parts of it come from others and it may go to a terminal.
pub(super) fn document(
    findings: &[Finding],
    servers: &[ServerReport],
    ensemble: Option<&EnsembleReport>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut text = String::new();
    // What is not ASCII stands in strings only, where it may be escaped.
    for c in value(findings, servers, ensemble).to_string().chars() {
        if c.is_ascii() && !c.is_ascii_control() {
            text.push(c);
        } else {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    writeln!(out, "{text}")?;
    out.flush()
}

/// docs/CLI.md describes it; what is there is neither renamed nor removed.
fn value(findings: &[Finding], servers: &[ServerReport], ensemble: Option<&EnsembleReport>) -> Value {
    let findings_out = findings.iter().map(|finding| {
        json!({
            "check": finding.check,
            "server": finding.server,
            "verdict": finding.verdict.word(),
            "found": finding.found,
            "advice": finding.advice,
        })
    });
    json!({
        "verdict": worst(findings).word(),
        "findings": findings_out.collect::<Vec<_>>(),
        "servers": servers.iter().map(server).collect::<Vec<_>>(),
        "ensemble": ensemble.map(ensemble_out),
    })
}

fn server(report: &ServerReport) -> Value {
    let bounds = report.session.as_ref().ok();
    json!({
        "server": report.server,
        "contact": match report.contact {
            Contact::ZooKeeper => "zookeeper",
            Contact::UnknownHost => "unknown-host",
            Contact::Refused(_) => "refused",
            Contact::NoAnswer => "no-answer",
            Contact::Silent => "silent",
            Contact::Closed => "closed",
            Contact::NotSecured => "no-tls",
            Contact::NotZooKeeper(_) => "not-zookeeper",
            _ => "other",
        },
        "version": report.version,
        "mode": report.mode.map(|mode| match mode {
            ServerMode::Standalone => "standalone",
            ServerMode::Leader => "leader",
            ServerMode::Follower => "follower",
            ServerMode::Observer => "observer",
            ServerMode::ReadOnly => "read-only",
            _ => "other",
        }),
        "read_only": report.is_read_only,
        "tick_millis": report.configuration.map(|conf| millis(conf.tick_time)),
        "session_timeout_min_millis": bounds.and_then(|bounds| bounds.shortest).map(millis),
        "session_timeout_max_millis": bounds.map(|bounds| millis(bounds.longest)),
        "round_trip_micros": report.round_trip_median().map(micros),
    })
}

fn ensemble_out(report: &EnsembleReport) -> Value {
    json!({
        "chroot": report.chroot,
        "session_timeout_millis": millis(report.session_timeout),
        "users": report.users,
        "members": report.members,
        "place": report.place,
        "exists": report.exists,
        "acl": report.acl,
        "containers": report.containers,
        "write_micros": report.write_median().map(micros),
        "clock_ahead_millis": report.clock.map(|clock| clock.ahead_millis),
        "clock_uncertainty_millis": report.clock.map(|clock| millis(clock.uncertainty)),
        "quotas": report.quotas.as_ref().ok().map(|quotas| quotas.iter().map(quota).collect::<Vec<_>>()),
        "left_behind": report.left_behind,
    })
}

fn quota(quota: &Quota) -> Value {
    json!({
        "path": quota.path,
        "nodes_used": quota.nodes_used,
        "nodes_max": quota.nodes_max,
        "nodes_max_enforced": quota.nodes_max_enforced,
        "bytes_used": quota.bytes_used,
        "bytes_max": quota.bytes_max,
        "bytes_max_enforced": quota.bytes_max_enforced,
    })
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_grouped_by_server_and_summed_up() {
        let findings = [
            Finding::ok("server.contact", "reachable").about("a:1"),
            Finding::problem("server.session", "none").advise("start it").about("a:1"),
            Finding::warning("clock", "late").advise("set it"),
            Finding::unknown("session.tick", "not told"),
        ];
        let mut text = Vec::new();
        print(&findings, false, &mut text).expect("a buffer");
        let text = String::from_utf8(text).expect("text");
        let expected = "a:1\n  OK       reachable\n  PROBLEM  none\n           > start it\n\nall together\n  WARNING  late\n           > \
                        set it\n  UNKNOWN  not told\n\n1 problem, 1 warning; 1 could not be told\n";
        assert_eq!(text, expected);
        assert_eq!(value(&findings, &[], None)["verdict"], "problem");
    }

    #[test]
    fn what_others_say_is_no_command_to_a_terminal() {
        let said = "a\u{1b}[2Jb\u{9b}c\u{7f}d\u{202e}e\u{2066}f\u{200b}";
        let findings = [Finding::warning("clock", said).advise(said).about(said)];
        let (mut text, mut json) = (Vec::new(), Vec::new());
        print(&findings, false, &mut text).expect("a buffer");
        document(&findings, &[], None, &mut json).expect("a buffer");
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains("a\u{fffd}[2Jb") && !text.contains(&said[1..]), "{text:?}");
        assert!(!text.contains(['\u{9b}', '\u{7f}', '\u{202e}', '\u{2066}', '\u{200b}']), "{text:?}");
        assert!(json.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\n'), "{json:?}");
        let read: Value = serde_json::from_slice(&json).expect("a document");
        assert_eq!(read["findings"][0]["found"], said);
    }

    #[test]
    fn colours_are_there_on_request_only() {
        let findings = [Finding::ok("clock", "agrees")];
        let of = |color| {
            let mut text = Vec::new();
            print(&findings, color, &mut text).expect("a buffer");
            text.contains(&0x1b)
        };
        assert!(of(true) && !of(false));
    }
}
