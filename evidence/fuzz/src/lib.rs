//! What must hold of everything that is parsed from the outside.
//!
//! Each property takes the parser as an argument, so that a wrong one can be tried as well, and compares it with the
//! rules written down a second time, in the plainest way. `node_names`, `tickets` and so on apply the properties to the
//! parsers that are shipped. The main workspace runs the committed inputs through this file (`tests/fuzz_corpus.rs`).

// Each user of this file takes what it needs.
#![allow(dead_code, unreachable_pub)]

pub mod frame;

use std::collections::BTreeSet;

use fairlock::queue::{Mode, Sequence, Survey, sort_children};
use fairlock::store::zookeeper::{Access, ZooKeeper};
use fairlock::{Error, LockPath, QueuePath, Ticket};

/// What does not hold, in words.
pub type Verdict = Result<(), String>;

/// A target: its name, which is that of its folder of inputs too, and its check.
pub type Target = (&'static str, fn(&[u8]) -> Verdict);

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("node_names", node_names),
    ("tickets", tickets),
    ("lock_paths", lock_paths),
    ("connect_strings", connect_strings),
    ("frames", frames),
];

// --- The shipped parsers ---

/// Names of children, one a line; the first four bytes are a number as well.
pub fn node_names(data: &[u8]) -> Verdict {
    // The client hands names over as text.
    let text = String::from_utf8_lossy(data);
    let names: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for name in &names {
        name_is_canonical(Sequence::of_node, name)?;
    }
    if let Some(number) = data.first_chunk::<4>() {
        number_has_a_name(Sequence::of_node, i32::from_le_bytes(*number))?;
    }
    every_child_counts_once(sort_children, &names)
}

/// The data of a node.
pub fn tickets(data: &[u8]) -> Verdict {
    ticket_survives(Ticket::parse, data)
}

/// A path as an application gives it.
pub fn lock_paths(data: &[u8]) -> Verdict {
    let Ok(path) = str::from_utf8(data) else { return Ok(()) };
    path_is_fit_for_zookeeper(LockPath::new, path)
}

/// A connect string as an application gives it.
pub fn connect_strings(data: &[u8]) -> Verdict {
    let Ok(servers) = str::from_utf8(data) else { return Ok(()) };
    servers_can_be_reached(|servers| ZooKeeper::new(servers, vec![], Access::Everyone).map(drop), servers)
}

/// A frame, from either side.
pub fn frames(data: &[u8]) -> Verdict {
    frame::shipped(data)
}

// --- The properties ---

fn holds(is_so: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if is_so { Ok(()) } else { Err(otherwise()) }
}

/// How a server names the child with this number: `%010d` of Java, where a sign counts into the ten.
pub fn name_of(number: i32) -> String {
    named(Mode::Exclusive, number)
}

fn named(mode: Mode, number: i32) -> String {
    let prefix = match mode {
        Mode::Exclusive => "lock".to_owned(),
        Mode::Shared => "read".to_owned(),
        Mode::Permits(count) => format!("permits-{count}"),
    };
    let (sign, width) = if number < 0 { ("-", 9) } else { ("", 10) };
    let digits = number.unsigned_abs().to_string();
    format!("{prefix}-{sign}{}{digits}", "0".repeat(width_left(width, &digits)))
}

fn width_left(width: usize, digits: &str) -> usize {
    width.saturating_sub(digits.len())
}

/// A name that parses is the one name of its number; so two names never are one contender.
pub fn name_is_canonical(parse: impl Fn(&str) -> Option<Sequence>, name: &str) -> Verdict {
    let Some(sequence) = parse(name) else { return Ok(()) };
    holds(sequence.node_name() == name, || format!("{name:?} parses, and prints as {:?}", sequence.node_name()))?;
    let expected = named(sequence.mode(), sequence.as_i32());
    holds(expected == name, || format!("{name:?} parses as {}, whose name is {expected:?}", sequence.as_i32()))
}

/// Every number has a name that parses, and orders as the number does.
pub fn number_has_a_name(parse: impl Fn(&str) -> Option<Sequence>, number: i32) -> Verdict {
    let name = name_of(number);
    let parsed = parse(&name);
    holds(parsed == Some(Sequence::from(number)), || format!("{name:?} parses as {parsed:?}"))?;
    for other in [0, i32::MIN, i32::MAX, number.wrapping_add(1), number.wrapping_neg(), number / 10] {
        let order = parsed.cmp(&parse(&name_of(other)));
        holds(order == number.cmp(&other), || format!("the names of {number} and {other} are {order:?}"))?;
    }
    let shared = Sequence::new(number, Mode::Shared);
    holds(parse(&named(Mode::Shared, number)) == Some(shared), || format!("{shared:?} has no name"))
}

/// Every child is a contender or foreign, and the contenders are in order.
pub fn every_child_counts_once(sort: impl Fn(&[String]) -> Survey, names: &[String]) -> Verdict {
    let survey = sort(names);
    let contenders = survey.contenders.len();
    holds(contenders + survey.foreign == names.len(), || format!("{} names are {survey:?}", names.len()))?;
    holds(survey.contenders.is_sorted(), || format!("out of order: {survey:?}"))?;
    // A server lists a name once.
    let distinct: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    if distinct.len() == names.len() {
        let numbers: BTreeSet<_> = survey.contenders.iter().collect();
        holds(numbers.len() == contenders, || format!("two names with one number: {survey:?}"))?;
    }
    for sequence in &survey.contenders {
        let name = sequence.node_name();
        holds(distinct.contains(name.as_str()), || format!("{name:?} is not among {names:?}"))?;
    }
    let example = survey.foreign_example.as_deref();
    holds(example.is_some() == (survey.foreign > 0), || format!("an example of nothing, or none: {survey:?}"))?;
    holds(
        example
            .is_none_or(|example| names.iter().any(|name| name.starts_with(example)) && example.chars().count() <= 60),
        || format!("no example of a foreign name: {survey:?}"),
    )
}

/// A ticket that was read can be written and read again, and is fit to be shown to people.
pub fn ticket_survives(parse: impl Fn(&[u8]) -> Option<Ticket>, data: &[u8]) -> Verdict {
    let Some(ticket) = parse(data) else { return Ok(()) };
    let written = serde_json::to_vec(&ticket).map_err(|error| format!("{ticket:?} cannot be written: {error}"))?;
    let again = parse(&written);
    holds(again.as_ref() == Some(&ticket), || format!("{ticket:?} comes back as {again:?}"))?;
    let identity = ticket.identity();
    for (what, text, bytes_max) in
        [("id", ticket.id(), 64), ("owner", identity.owner(), 256), ("host", identity.host(), 256)]
    {
        holds(!text.is_empty() && text.len() <= bytes_max, || format!("the {what} has {} bytes", text.len()))?;
        holds(!text.chars().any(char::is_control), || format!("the {what} has control characters: {text:?}"))?;
    }
    Ok(())
}

/// What `PathUtils.validatePath` of ZooKeeper demands, of the UTF-16 that Java sees.
pub fn zookeeper_accepts(path: &str) -> bool {
    let is_refused = |unit: u16| matches!(unit, 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff);
    path.starts_with('/')
        && (path == "/" || path[1..].split('/').all(|part| !matches!(part, "" | "." | "..")))
        && !path.encode_utf16().any(is_refused)
}

/// A path that is accepted is kept as it is, and the servers accept it and all that is made below it.
pub fn path_is_fit_for_zookeeper(parse: impl Fn(&str) -> Result<LockPath, Error>, path: &str) -> Verdict {
    let accepted = match parse(path) {
        Ok(accepted) => accepted,
        Err(error @ Error::InvalidPath { .. }) => {
            return holds(error.to_string().len() < 1_000, || "the error repeats a path of any length".to_owned());
        }
        Err(error) => return Err(format!("{path:?} is refused with {error:?}")),
    };
    holds(accepted.as_str() == path && accepted.to_string() == path, || format!("{path:?} became {accepted:?}"))?;
    let queue = QueuePath::of(&accepted);
    let node = queue.join(&name_of(i32::MIN));
    for made in [path, queue.as_str(), &node] {
        holds(zookeeper_accepts(made), || format!("{path:?} is accepted, but not {made:?}"))?;
    }
    holds(path != "/", || "the root is accepted".to_owned())?;
    let belongs_to_servers = path == "/zookeeper" || path.starts_with("/zookeeper/");
    holds(!belongs_to_servers, || format!("{path:?} belongs to the servers"))?;
    holds(!path[1..].split('/').any(|part| part.starts_with("_fairlock")), || format!("{path:?} lies in a queue"))?;
    holds(node.len() <= 1_100, || format!("the path of a node has {} bytes", node.len()))?;
    let ancestors: Vec<&str> = queue.ancestors().collect();
    let depth = queue.as_str().matches('/').count();
    holds(ancestors.len() == depth && ancestors.last() == Some(&queue.as_str()), || format!("{ancestors:?}"))?;
    for pair in ancestors.windows(2) {
        let is_child = pair[1].strip_prefix(pair[0]).is_some_and(|rest| rest.rfind('/') == Some(0) && rest.len() > 1);
        holds(is_child, || format!("{:?} is no child of {:?}", pair[1], pair[0]))?;
    }
    Ok(())
}

/// A host, and a port from 1 to 65535 if there is one; an IPv6 address in brackets.
fn is_address(address: &str) -> bool {
    let (host, port) = match address.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(None) => return false,
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, rest))) => match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None => return false,
        },
        None => match address.split_once(':') {
            Some((host, _)) if host.contains(']') => return false,
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse().is_ok_and(|n: u16| n > 0);
    !host.is_empty() && !host.contains(['[', ']']) && port.is_none_or(is_port)
}

/// A connect string that is accepted names servers that one can try to reach, and a root that can exist.
pub fn servers_can_be_reached(parse: impl Fn(&str) -> Result<(), Error>, servers: &str) -> Verdict {
    match parse(servers) {
        Ok(()) => {}
        Err(Error::InvalidConfig { .. }) => return Ok(()),
        Err(error) => return Err(format!("{servers:?} is refused with {error:?}")),
    }
    let strange = servers.chars().find(|c| c.is_whitespace() || c.is_control());
    holds(strange.is_none(), || format!("{servers:?} is accepted with {strange:?}"))?;
    let mut parts: Vec<&str> = servers.split(',').collect();
    let last = parts.pop().unwrap_or_default();
    let without_scheme = |server: &str| -> String {
        let server = server.strip_prefix("tcp://").or_else(|| server.strip_prefix("tcp+tls://")).unwrap_or(server);
        server.to_owned()
    };
    let last = without_scheme(last);
    let (address, root) = last.split_at(last.find('/').unwrap_or(last.len()));
    holds(root.is_empty() || zookeeper_accepts(root), || format!("{servers:?} is accepted with the root {root:?}"))?;
    for address in parts.into_iter().map(without_scheme).chain([address.to_owned()]) {
        let is_good = is_address(&address) && !address.contains('/');
        holds(is_good, || format!("{servers:?} is accepted with the address {address:?}"))?;
    }
    Ok(())
}
