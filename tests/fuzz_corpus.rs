//! The inputs of the fuzz targets that are worth keeping, through the same checks; and wrong parsers, which must be
//! noticed. The targets themselves are in `evidence/fuzz`.

#[path = "../evidence/fuzz/src/lib.rs"]
mod checks;

use std::fs;
use std::path::Path;

use fairlock::queue::{Mode, Sequence, Survey, sort_children};
use fairlock::{Error, LockPath, Ticket};

#[test]
fn every_committed_input_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("evidence/fuzz/corpus");
    let mut folders: Vec<_> = names(&folder);
    folders.sort();
    let mut targets = checks::TARGETS.map(|(name, _)| name.to_owned());
    targets.sort();
    assert_eq!(folders, targets, "a folder of inputs for each target");
    let mut broken = Vec::new();
    for (target, check) in checks::TARGETS {
        let inputs = names(&folder.join(target));
        assert!(inputs.len() >= 15, "{target} has only {} inputs", inputs.len());
        for input in inputs {
            let data = fs::read(folder.join(target).join(&input)).expect("a readable input");
            if let Err(verdict) = check(&data) {
                broken.push(format!("{target}/{input}: {verdict}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

// --- Wrong parsers, and what notices them ---

#[track_caller]
fn flagged(verdict: checks::Verdict, part: &str) {
    let complaint = verdict.expect_err("a wrong parser must be noticed");
    assert!(complaint.contains(part), "noticed for another reason: {complaint}");
}

/// Takes every number behind the prefix, however it is written.
fn lenient(name: &str) -> Option<Sequence> {
    let (mode, number) = Mode::LOCKS.iter().find_map(|mode| Some((*mode, name.strip_prefix(&*mode.prefix())?)))?;
    number.parse::<i32>().ok().map(|number| Sequence::new(number, mode))
}

#[test]
fn a_parser_of_names_that_are_not_canonical_is_noticed() {
    for name in ["lock-7", "lock-+000000007", "lock--0000000000", "lock-00000000007"] {
        flagged(checks::name_is_canonical(lenient, name), "prints as");
        checks::name_is_canonical(Sequence::of_node, name).expect("not taken for a contender");
    }
    let of_other = |_: &str| Some(Sequence::from(8));
    flagged(checks::name_is_canonical(of_other, "lock-0000000007"), "prints as");
}

#[test]
fn a_parser_that_misses_or_reorders_numbers_is_noticed() {
    let ten_digits = |name: &str| lenient(name).filter(|sequence| sequence.as_i32() >= 0);
    flagged(checks::number_has_a_name(ten_digits, i32::MIN), "parses as None");
    let without_sign = |name: &str| lenient(name).map(|sequence| Sequence::from(sequence.as_i32() & i32::MAX));
    let exclusive_only = |name: &str| lenient(name).filter(|sequence| sequence.is_exclusive());
    flagged(checks::number_has_a_name(exclusive_only, 5), "has no name");
    flagged(checks::number_has_a_name(without_sign, -5), "parses as");
    checks::number_has_a_name(lenient, -5).expect("right here");
}

#[test]
fn a_list_that_loses_doubles_or_shuffles_children_is_noticed() {
    let names = ["lock-0000000002", "config", "lock-0000000001"].map(str::to_owned);
    let changed = |change: fn(&mut Survey)| {
        move |names: &[String]| {
            let mut survey = sort_children(names);
            change(&mut survey);
            survey
        }
    };
    checks::every_child_counts_once(sort_children, &names).expect("right");
    for (change, part) in [
        ((|survey| survey.contenders.truncate(1)) as fn(&mut Survey), "names are"),
        (|survey| survey.foreign = 0, "names are"),
        (|survey| survey.contenders.reverse(), "out of order"),
        (|survey| survey.contenders[1] = survey.contenders[0], "two names with one number"),
        (|survey| survey.contenders[1] = Sequence::from(9), "is not among"),
        (|survey| survey.foreign_example = None, "an example of nothing, or none"),
        (|survey| survey.foreign_example = Some("other".to_owned()), "no example"),
    ] {
        flagged(checks::every_child_counts_once(changed(change), &names), part);
    }
}

const TICKET: &str = r#"{"id":"0a","owner":"billing","host":"web-1","pid":7,"since_unix_ms":5}"#;

#[test]
fn a_ticket_that_changes_or_misleads_its_reader_is_noticed() {
    checks::ticket_survives(Ticket::parse, TICKET.as_bytes()).expect("right");
    let unchecked = |data: &[u8]| serde_json::from_slice::<Ticket>(data).ok();
    let long = "x".repeat(300);
    for (from, to, part) in [
        ("billing", r"\u001b[2J", "control characters"),
        ("web-1", r"a\nb", "control characters"),
        ("0a", r"\u0000", "control characters"),
        ("billing", "", "has 0 bytes"),
        ("0a", &long, "has 300 bytes"),
    ] {
        let data = TICKET.replace(from, to);
        flagged(checks::ticket_survives(unchecked, data.as_bytes()), part);
        checks::ticket_survives(Ticket::parse, data.as_bytes()).expect("no ticket");
    }
    let older = |data: &[u8]| {
        let time = Ticket::parse(data)?.since_unix_ms() + 1;
        Ticket::parse(TICKET.replace(":5}", &format!(":{time}}}")).as_bytes())
    };
    flagged(checks::ticket_survives(older, TICKET.as_bytes()), "comes back as");
}

#[test]
fn the_rules_of_zookeeper_for_paths() {
    for good in ["/", "/a", "/a/b", "/...", "/\u{20}", "/\u{a0}", "/\u{d7ff}", "/\u{f900}", "/\u{ffef}"] {
        assert!(checks::zookeeper_accepts(good), "{good:?}");
    }
    for bad in [
        "",
        "a",
        "//",
        "/a/",
        "/a//b",
        "/.",
        "/..",
        "/./a",
        "/a/..",
        "/\0",
        "/\u{1}",
        "/\u{1f}",
        "/\u{7f}",
        "/\u{9f}",
        "/\u{e000}",
        "/\u{f8ff}",
        "/\u{fff0}",
        "/\u{ffff}",
        "/\u{10000}",
    ] {
        assert!(!checks::zookeeper_accepts(bad), "{bad:?}");
    }
}

#[test]
fn a_parser_of_paths_that_changes_them_is_noticed() {
    let trims = |path: &str| LockPath::new(path.trim_end_matches('/'));
    flagged(checks::path_is_fit_for_zookeeper(trims, "/a/"), "became");
    let resolves = |path: &str| LockPath::new(&path.replace("/..", ""));
    flagged(checks::path_is_fit_for_zookeeper(resolves, "/a/.."), "became");
    let other_error = |_: &str| Err::<LockPath, _>(Error::Closed);
    flagged(checks::path_is_fit_for_zookeeper(other_error, "/a"), "is refused with");
    checks::path_is_fit_for_zookeeper(LockPath::new, "/a/..").expect("refused");
}

#[test]
fn a_check_of_connect_strings_that_lets_all_pass_is_noticed() {
    let accepts = |_: &str| Ok(());
    for good in ["a", "a:1,b:65535/x/y", "[::1]:1,[fe80::1]/", "tcp://a:1,tcp+tls://b"] {
        checks::servers_can_be_reached(accepts, good).expect(good);
    }
    for bad in [
        "",
        ",",
        "a,",
        ":1",
        "[]:1",
        "/x",
        "a:",
        "a:0",
        "a:+1",
        "a:65536",
        "a:1:2",
        "::1",
        "[::1",
        "[::1]x",
        "a]:1",
        "[a]]",
        "http://a",
        "tcp://tcp://a",
        "a b",
        "a\n",
        "a/x,b",
        "a/x:1,b",
        "a//x",
        "a/x/",
        "a/..",
        "a/\u{e000}",
    ] {
        flagged(checks::servers_can_be_reached(accepts, bad), "is accepted with");
    }
    let other_error = |_: &str| Err(Error::Closed);
    flagged(checks::servers_can_be_reached(other_error, "a"), "is refused with");
}

#[test]
fn a_reader_of_frames_that_reads_beside_the_bytes_is_noticed() {
    use checks::frame::{Request, request_is_what_the_bytes_say};
    let frame = [&[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2][..], b"/a"].concat();
    let right: Request = (7, 1, Some("/a".to_owned()));
    request_is_what_the_bytes_say(|_| Some(right.clone()), &frame).expect("right");
    for (wrong, part) in [
        (None, "should begin"),
        (Some((8, 1, None)), "should begin"),
        (Some((7, 2, None)), "should begin"),
        (Some((7, 1, Some("/b".to_owned()))), "is not in"),
    ] {
        flagged(request_is_what_the_bytes_say(|_| wrong.clone(), &frame), part);
    }
    let by_length = |frame: &[u8]| Some((7, 1, (frame.len() < 15).then(|| "/a".to_owned())));
    flagged(request_is_what_the_bytes_say(by_length, &frame), "with more behind it");
}
