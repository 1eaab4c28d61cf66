//! The examples keep what they say, on the store in this process and on a real server.

use std::path::{Path, PathBuf};
use std::process::Command;

use fairlock_testcontainers::Server;

const EXAMPLES: [&str; 6] =
    ["plain_lock", "fenced_write", "one_of_many", "config_update", "notify_once", "singleton_service"];

/// The program of an example. `cargo test` builds it beside the tests; `cargo test --test examples` does not.
fn program(example: &str) -> PathBuf {
    const ADVICE: &str = "run `cargo build --examples` first, or `cargo test` without --test";
    let tests = std::env::current_exe().expect("the path of this test");
    let profile = tests.parent().and_then(Path::parent).expect("a test lies in target/<profile>/deps");
    let program = profile.join("examples").join(example).with_extension(std::env::consts::EXE_EXTENSION);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example).with_extension("rs");
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    let built = changed(&program).unwrap_or_else(|error| panic!("{}: {error}; {ADVICE}", program.display()));
    let written = changed(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    assert!(built >= written, "{} is older than its source; {ADVICE}", program.display());
    program
}

#[track_caller]
fn run(example: &str, zookeeper: Option<&str>) {
    let mut command = Command::new(program(example));
    command.env_remove("ZOOKEEPER");
    if let Some(address) = zookeeper {
        command.env("ZOOKEEPER", address);
    }
    let output = command.output().unwrap_or_else(|error| panic!("{example} does not run: {error}"));
    let told = [output.stdout.as_slice(), output.stderr.as_slice()].map(String::from_utf8_lossy).join("\n");
    assert!(output.status.success(), "{example} on {zookeeper:?} ended with {}:\n{told}", output.status);
    assert!(!output.stdout.is_empty(), "{example} says nothing");
}

#[test]
fn on_the_store_in_this_process() {
    for example in EXAMPLES {
        run(example, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_real_server() {
    let server = Server::start().await.expect("a server");
    for example in EXAMPLES {
        // Twice: a run must not hinder the next.
        run(example, Some(&server.address()));
        run(example, Some(&server.address()));
    }
    let sessions = server.four_letter("dump").await.expect("a server that answers");
    assert!(sessions.contains("Sessions with Ephemerals (0)"), "nothing is left behind:\n{sessions}");
}

#[test]
fn every_example_is_run_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found: Vec<_> = folder
        .read_dir()
        .expect("the folder of the examples")
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            // A folder is a package with tests of its own.
            let is_source = path.extension().is_some_and(|extension| extension == "rs");
            is_source.then(|| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))?
        })
        .collect();
    let mut listed = EXAMPLES.to_vec();
    found.sort_unstable();
    listed.sort_unstable();
    assert_eq!(found, listed);
}
