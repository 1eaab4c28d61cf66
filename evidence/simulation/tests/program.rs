//! The program: its exit codes, and a failure that it reports and repeats.

use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> (Option<i32>, String) {
    let program = Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output();
    let Output { status, stdout, stderr } = program.expect("cargo has built it");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

#[test]
fn histories_that_hold_end_with_0_and_are_counted() {
    let (code, text) = simulate(&["--seeds", "12", "--first", "100", "--threads", "2"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("12 seeds in ") && text.ends_with("all properties held\n"), "{text}");
    assert!(!text.contains('\r'), "progress is for terminals: {text}");
}

#[test]
fn a_violation_ends_with_1_is_reported_and_repeated_by_its_seed() {
    let (code, text) = simulate(&["--seeds", "1000", "--threads", "2", "--control", "baton-forged"]);
    assert_eq!(code, Some(1), "{text}");
    let command = text.lines().find_map(|line| line.strip_prefix("repeat it:  simulate ")).expect("a command");
    let command: Vec<_> = command.split(' ').collect();
    let (code, trace) = simulate(&command);
    assert_eq!(code, Some(1), "{trace}");
    // The end of the trace is the one that was reported, and the property is the same.
    let verdict = trace.lines().last().expect("a verdict");
    let property = verdict.split('`').nth(1).expect("a property");
    assert!(text.contains(&format!("VIOLATION of `{property}`")), "{text}\n{verdict}");
    let last_step = trace.lines().rev().nth(2).expect("steps");
    assert!(text.contains(last_step), "{last_step:?} is missing:\n{text}");
    assert_eq!(simulate(&command), (code, trace));
}

#[test]
fn wrong_arguments_end_with_2() {
    for wrong in [
        &["--seed", "x"] as &[&str],
        &["--trace"],
        &["--seeds", "0"],
        &["--seed", "1", "--seeds", "2"],
        &["--minutes", "-1"],
        &["--minutes", "NaN"],
        &["--control", "nothing"],
        &["7"],
    ] {
        assert_eq!(simulate(wrong).0, Some(2), "{wrong:?}");
    }
}
