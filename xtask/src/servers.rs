//! Makes sure that ZooKeeper servers can run here, before any test needs one.

use crate::command::{self, program};
use crate::error::{Error, Result};
use crate::packages;

/// What a ZooKeeper process needs from Debian and its kin.
const PACKAGES: [&str; 3] = ["libzookeeper-java", "libslf4j-java", "default-jre-headless"];

/// The tests of the servers themselves, which try both kinds whichever the other tests use. Where one kind cannot be
/// had, its tests are left out, and counted as skipped: one kind is enough for all that users are promised.
const TESTS_OF_KIND: [(&str, [&str; 3]); 2] = [
    ("container", ["in_a_container", "in_containers", "an_isolated_leader_is_replaced_and_follows_in_containers"]),
    ("process", ["as_a_process", "as_processes", "an_isolated_leader_is_replaced_and_follows_as_processes"]),
];

/// What the tests can use.
pub(crate) struct Servers {
    /// The kind of server that they use, in words.
    pub(crate) used: String,
    /// Tests that cannot run here.
    pub(crate) impossible: Vec<&'static str>,
}

/// Gets what is missing, and tells what there is.
pub(crate) fn prepare() -> Result<Servers> {
    println!("\n==> servers: look for ZooKeeper; download, build or install it if there is none");
    let used = match start("auto")? {
        Ok(used) => used,
        Err(why) => {
            println!("{why}");
            install()?;
            start("auto")?.map_err(|why| Error::new(format!("still no ZooKeeper server can be started: {why}")))?
        }
    };
    println!("The tests run ZooKeeper as: {used}");
    let mut impossible = Vec::new();
    for (kind, tests) in TESTS_OF_KIND.into_iter().filter(|(kind, _)| !used.starts_with(kind)) {
        match start_or_install(kind)? {
            Ok(found) => println!("Tests of both kinds of servers also use: {found}"),
            Err(why) => {
                println!("{why}");
                println!("SKIPPED, because there is no {kind} here: {}", tests.join(", "));
                impossible.extend(tests);
            }
        }
    }
    Ok(Servers { used, impossible })
}

/// Only processes can be got by installing a package; a container engine is the machine's own affair.
fn start_or_install(kind: &str) -> Result<std::result::Result<String, String>> {
    match start(kind)? {
        Err(_) if kind == "process" => match install() {
            Ok(()) => start(kind),
            Err(error) => Ok(Err(error.to_string())),
        },
        outcome => Ok(outcome),
    }
}

/// Starts and ends one server; its kind in words, or why there is none.
fn start(kind: &str) -> Result<std::result::Result<String, String>> {
    let starter = command::profile_folder()?.join("examples/zookeeper_servers");
    let output = program(&starter)?
        .arg(kind)
        .output()
        .map_err(Error::io(format_args!("run {}, which `cargo test` builds", starter.display())))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) })
}

fn install() -> Result<()> {
    packages::install(
        &PACKAGES,
        "start a container engine, or set FAIRLOCK_ZOOKEEPER_HOME to an unpacked ZooKeeper release",
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn tests_of_kinds_are_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testcontainers/tests");
        let texts: String = ["server.rs", "ensemble.rs"]
            .iter()
            .map(|file| std::fs::read_to_string(folder.join(file)).expect("a readable file"))
            .collect();
        for test in TESTS_OF_KIND.iter().flat_map(|(_, tests)| tests) {
            assert!(texts.contains(&format!("fn {test}(")), "{test} has another name now");
        }
    }
}
