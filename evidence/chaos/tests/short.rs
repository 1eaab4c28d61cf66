//! Short forms of the run and of its control, on real servers of `fairlock_testcontainers`, as processes of the program.
//!
//! The properties are as exact in these; only how much must happen is little, since machines may be slow.

use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// One run at a time: two would take each other's processors.
static TURN: Mutex<()> = Mutex::new(());

fn chaos(arguments: &[&str]) -> (Option<i32>, String) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(env!("CARGO_BIN_EXE_chaos")).args(arguments).output().expect("the program can be run");
    let Output { status, stdout, stderr } = output;
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    println!("{said}");
    (status.code(), said)
}

/// The figure in the row of this name.
fn figure(said: &str, name: &str) -> u64 {
    let row = said.lines().find_map(|line| line.trim_start().strip_prefix(name));
    row.and_then(|rest| rest.trim().parse().ok()).unwrap_or_else(|| panic!("no figure {name:?}"))
}

/// Long enough for every kind of fault, each with another seed every time.
#[test]
fn with_the_fence_nothing_is_lost() {
    let (code, said) = chaos(&["--minutes", "1.4", "--grants-per-minute", "60", "--stall", "80"]);
    assert_eq!(code, Some(0));
    assert!(figure(&said, "increments accepted") > 0);
    assert_eq!(figure(&said, "lost increments"), 0);
    assert_eq!(figure(&said, "grants out of order"), 0);
    assert_eq!(figure(&said, "overlapping valid guards"), 0);
}

/// With this seed, holders are stopped early and twice.
#[test]
fn without_the_fence_the_same_faults_lose_increments() {
    let (code, said) = chaos(&["--control", "--seed", "2", "--minutes", "0.7", "--grants-per-minute", "60"]);
    assert_eq!(code, Some(0));
    assert!(figure(&said, "lost increments") > 0);
    assert!(figure(&said, "overlapping careless use") > 0);
    assert_eq!(figure(&said, "grants out of order"), 0);
    assert_eq!(figure(&said, "overlapping valid guards"), 0);
}

#[test]
fn a_run_with_too_little_traffic_is_void() {
    let (code, said) = chaos(&["--minutes", "0.1", "--grants-per-minute", "10000000"]);
    assert_eq!(code, Some(3));
    assert!(said.contains("VOID"));
}
