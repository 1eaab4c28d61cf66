//! Reads what `cargo test` prints, and counts.

/// One test program, or the doc tests of one crate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) seconds: f64,
    /// False until it has said how it went; a suite that crashes never does.
    reported: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) suites: Vec<Suite>,
    /// Failed tests, as "suite: test".
    pub(crate) failures: Vec<String>,
    /// Tests that are ignored without a reason, likewise.
    pub(crate) unexplained: Vec<String>,
    /// What could not be checked here and why, as "check: reason".
    pub(crate) not_possible: Vec<String>,
}

impl Tally {
    /// Takes the next line of cargo's output and error, in the order in which they were printed.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(name) = suite_name(line) {
            self.suites.push(Suite { name, passed: 0, failed: 0, skipped: 0, seconds: 0.0, reported: false });
        }
        let Some(suite) = self.suites.last_mut() else { return };
        // Doc tests report more than once per crate: those that can be compiled together, and each of the others.
        if let Some(counts) = line.strip_prefix("test result: ") {
            suite.passed += number_before(counts, " passed");
            suite.failed += number_before(counts, " failed");
            suite.skipped += number_before(counts, " ignored") + number_before(counts, " filtered out");
            suite.seconds += seconds_after(counts, "finished in ");
            suite.reported = true;
        } else if line.starts_with("all doctests ran in ") {
            // Compiling them is nearly all that doc tests cost.
            suite.seconds = seconds_after(line, "all doctests ran in ");
        } else if let Some((test, outcome)) = line.strip_prefix("test ").and_then(|test| test.rsplit_once(" ... ")) {
            match outcome {
                "FAILED" => self.failures.push(format!("{}: {test}", suite.name)),
                "ignored" => self.unexplained.push(format!("{}: {test}", suite.name)),
                _ => {}
            }
        }
    }

    /// Takes in what was checked by something other than `cargo test`.
    pub(crate) fn add(&mut self, name: &str, passed: u64, failures: &[String], seconds: f64) {
        let failed = failures.len() as u64;
        self.suites.push(Suite { name: name.to_owned(), passed, failed, skipped: 0, seconds, reported: true });
        self.failures.extend(failures.iter().map(|failure| format!("{name}: {failure}")));
    }

    /// Takes in checks that cannot be made here: they count as skipped, never as passed.
    pub(crate) fn skip(&mut self, name: &str, checks: u64, why: &str) {
        let suite =
            Suite { name: name.to_owned(), passed: 0, failed: 0, skipped: checks, seconds: 0.0, reported: true };
        self.suites.push(suite);
        self.not_possible.push(format!("{name}: {why}"));
    }

    /// To be called after the last line: a suite that has not reported counts as a failed test.
    pub(crate) fn finish(&mut self) {
        for suite in self.suites.iter_mut().filter(|suite| !suite.reported) {
            suite.reported = true;
            suite.failed += 1;
            self.failures.push(format!("{}: ended without a report", suite.name));
        }
    }

    pub(crate) fn passed(&self) -> u64 {
        self.suites.iter().map(|suite| suite.passed).sum()
    }

    pub(crate) fn failed(&self) -> u64 {
        self.suites.iter().map(|suite| suite.failed).sum()
    }

    pub(crate) fn skipped(&self) -> u64 {
        self.suites.iter().map(|suite| suite.skipped).sum()
    }
}

/// The suite that a line announces, if it does.
fn suite_name(line: &str) -> Option<String> {
    if let Some(name) = line.strip_prefix("   Doc-tests ") {
        return Some(format!("{name}: doc tests"));
    }
    let (source, program) = line.strip_prefix("     Running ")?.strip_suffix(')')?.rsplit_once(" (")?;
    match source.strip_prefix("unittests ") {
        // All crates have a src/lib.rs; the program's name, without its hash, tells them apart.
        Some(source) => {
            let program = program.rsplit(['/', '\\']).next()?;
            let name = program.rsplit_once('-').map_or(program, |(name, _)| name);
            Some(format!("{name}: {source}"))
        }
        None => Some(source.to_owned()),
    }
}

fn number_before(counts: &str, unit: &str) -> u64 {
    counts
        .split(['.', ';'])
        .find_map(|part| part.strip_suffix(unit))
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

fn seconds_after(text: &str, words: &str) -> f64 {
    let number = text.split_once(words).and_then(|(_, rest)| rest.split_once('s')).map(|(number, _)| number);
    number.and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &str) -> Tally {
        let mut tally = Tally::default();
        lines.lines().for_each(|line| tally.read(line));
        tally.finish();
        tally
    }

    fn counts(tally: &Tally) -> (u64, u64, u64) {
        (tally.passed(), tally.failed(), tally.skipped())
    }

    #[test]
    fn suites_of_all_kinds_are_named_and_added_up() {
        let tally = tally(
            "   Compiling fairlock v0.1.0\n\
             \x20    Running unittests src/lib.rs (target/debug/deps/fairlock-0123456789abcdef)\n\
             test path::tests::a_path ... ok\n\
             test result: ok. 10 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s\n\
             \x20    Running tests/zookeeper/main.rs (target/debug/deps/zookeeper-0123456789abcdef)\n\
             test loss::by_expiry ... FAILED\n\
             test loss::slow ... ignored, needs an hour\n\
             test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out; finished in 12.25s\n\
             \x20  Doc-tests fairlock\n\
             test src/lib.rs - (line 8) ... ok\n\
             test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s\n\
             all doctests ran in 7.62s; merged doctests compilation took 7.57s\n",
        );
        let names: Vec<_> = tally.suites.iter().map(|suite| suite.name.as_str()).collect();
        assert_eq!(names, ["fairlock: src/lib.rs", "tests/zookeeper/main.rs", "fairlock: doc tests"]);
        assert_eq!(counts(&tally), (20, 1, 3));
        assert_eq!(tally.suites[2].passed, 7);
        assert_eq!(tally.suites[1].seconds, 12.25);
        assert_eq!(tally.suites[2].seconds, 7.62);
        assert_eq!(tally.failures, ["tests/zookeeper/main.rs: loss::by_expiry"]);
        assert!(tally.unexplained.is_empty());
    }

    #[test]
    fn a_suite_that_crashes_counts_as_a_failure() {
        let tally = tally(
            "     Running tests/a.rs (target/debug/deps/a-0)\n\
             test one ... ok\n\
             error: test failed, to rerun pass `--test a`\n\
             \x20    Running tests/b.rs (target/debug/deps/b-0)\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!(counts(&tally), (1, 1, 0));
        assert_eq!(tally.failures, ["tests/a.rs: ended without a report"]);
    }

    #[test]
    fn a_check_that_is_not_possible_counts_as_skipped_and_is_told() {
        let mut tally = Tally::default();
        tally.skip("instructions", 1, "there is no valgrind");
        tally.finish();
        assert_eq!(counts(&tally), (0, 0, 1));
        assert_eq!(tally.not_possible, ["instructions: there is no valgrind"]);
    }

    #[test]
    fn a_test_ignored_without_a_reason_is_told() {
        let tally = tally(
            "   Doc-tests fairlock\n\
             test src/lib.rs - (line 8) ... ignored\n\
             test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!(counts(&tally), (0, 0, 1));
        assert_eq!(tally.unexplained, ["fairlock: doc tests: src/lib.rs - (line 8)"]);
    }

    #[test]
    fn what_tests_print_is_not_taken_for_a_result() {
        let tally = tally(
            "     Running tests/a.rs (target/debug/deps/a-0)\n\
             a report of a test inside a test: test result: ok. 9 passed; 0 failed\n\
             \x20   test result: ok. 9 passed; 0 failed\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!(counts(&tally), (1, 0, 0));
    }

    #[test]
    fn a_result_before_any_suite_is_nobodys() {
        assert_eq!(counts(&tally("test result: ok. 9 passed; 0 failed; 0 ignored\n")), (0, 0, 0));
    }
}
