//! The smallest form of the benchmark, as anyone would run it. The program starts its server with
//! `fairlock_testcontainers`.

use std::process::Command;

/// The cells of the row that begins with these.
fn row<'a>(output: &'a str, beginning: &[&str]) -> Vec<&'a str> {
    let rows = output.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let mut found = rows.filter(|cells| cells.starts_with(beginning));
    found.next().unwrap_or_else(|| panic!("no row begins with {beginning:?}:\n{output}"))
}

#[test]
fn the_quick_form_shows_everybody_and_counts_what_is_known() {
    let output = Command::new(env!("CARGO_BIN_EXE_benchmarks"))
        .args(["--quick", "--rounds", "2"])
        .output()
        .expect("the program starts");
    let (told, shown) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{told}");

    for who in ["floor", "fairlock", "zookeeper-client"] {
        for work in [
            "acquire and release, uncontended",
            "acquire and release, 4 locks at the same time",
            "acquire and release, 4 locks at the same time over 2 sessions",
            "connecting",
            "the first grant, directory exists",
            "the first grant, directory is new",
            "from connecting to the first grant, directory exists",
            "from connecting to the first grant, directory is new",
            "hand-over with 2 waiting",
            "a hand-over of a drain of 10",
            "a hand-over of a drain of 20",
            "the leader is killed: until the next grant",
        ] {
            row(&shown, &[work, "loopback", who]);
        }
    }
    // The floor holds nothing, and zookeeper-client's locks cannot be shared.
    row(&shown, &["the leader is killed: a holder cannot rely on its lock", "loopback", "fairlock"]);
    row(&shown, &["a cycle of 4 tasks on one lock, every tenth writes", "loopback", "fairlock"]);
    // Reads, writes, events.
    for (operation, who, counts) in [
        ("acquire", "floor", ["0", "1", "0"]),
        ("release", "floor", ["0", "1", "0"]),
        ("acquire", "fairlock", ["0", "1", "0"]),
        ("release", "fairlock", ["0", "1", "0"]),
        ("try, while it is held", "fairlock", ["1", "0", "0"]),
        ("hand-over with 2 waiting, within one session", "fairlock", ["0", "1", "1"]),
        ("connecting", "floor", ["0", "0", "0"]),
        ("the first grant, directory exists", "floor", ["0", "1", "0"]),
        // In vain, the directory, and again.
        ("the first grant, directory is new", "floor", ["0", "3", "0"]),
        ("connecting", "fairlock", ["0", "0", "0"]),
        ("the first grant, directory exists", "fairlock", ["0", "1", "0"]),
        ("acquire", "zookeeper-client", ["1", "1", "0"]),
        ("hand-over with 2 waiting, within one session", "zookeeper-client", ["1", "1", "1"]),
    ] {
        assert_eq!(row(&shown, &[operation, who])[2..5], counts, "{operation} of {who}:\n{shown}");
    }
    for who in ["floor", "fairlock", "zookeeper-client"] {
        for work in ["server: acquire and release, uncontended", "own process: acquire and release, uncontended"] {
            row(&shown, &[work, "loopback", who]);
        }
        for what in ["waiter", "held lock"] {
            let bytes: u64 = row(&shown, &[what, who])[2].parse().expect("whole bytes");
            assert!(bytes > 0, "{shown}");
        }
    }
    // Times of so few rounds prove nothing; counts do.
    assert!(shown.contains("Nobody who was asked for."), "{shown}");
    for bar in [
        "try, while it is held: 1 read, no write",
        "from connecting to the first grant, directory exists: 1 request",
        "fairlock's requests but of readers and writers, and events but of a drain, are the same in every round",
    ] {
        assert_eq!(row(&shown, &[bar]).last(), Some(&"MET"), "{shown}");
    }
}
