//! The rules of the house that neither the compiler nor clippy knows, as a test. CONTRIBUTING.md gives their reasons.
//!
//! Each rule is a function from a file's path and text to complaints, and has a test of its own below: what it must
//! flag, and what it must not.

use std::fs;
use std::path::Path;

/// Lines of a source file without its tests: what a reader can keep in mind.
const LONG: usize = 400;

/// No reason excuses more than this.
const TOO_LONG: usize = 600;

/// Files that are long for a reason. One that has become short must leave this list.
const LONG_WITH_REASON: [(&str, &str); 1] =
    [("cli/src/demo/picture.rs", "one picture; its parts are drawn around each other")];

/// The crates' sources; tests and examples have fewer rules.
const SOURCES: [&str; 8] = [
    "src/",
    "bench/peers/others/src/",
    "bench/src/",
    "cli/src/",
    "evidence/",
    "examples/task_dispatch/src/",
    "testcontainers/src/",
    "xtask/src/",
];

/// What the protocol's core must not know, so that every run of it can be repeated.
const IMPURE: [(&str, &str); 6] = [
    ("crate::driver", "the driver runs the queue, not the other way round"),
    ("crate::session", "what the queue must know of a session reaches it as an event"),
    ("crate::lock", "recipes use the queue, not the other way round"),
    ("tokio", "the core is synchronous; whoever drives it waits"),
    ("Instant", "time reaches the core as a value"),
    ("SystemTime", "time reaches the core as a value"),
];

#[test]
fn the_tree_is_tidy() {
    let mut complaints = Vec::new();
    let mut seen = 0;
    for (path, text) in files() {
        seen += 1;
        complaints.extend(complaints_about(&path, &text).into_iter().map(|complaint| format!("{path}: {complaint}")));
    }
    assert!(seen > 50, "only {seen} files were found: the walk is broken");
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn exceptions_are_of_files_that_exist() {
    let paths: Vec<_> = files().into_iter().map(|(path, _)| path).collect();
    for (exception, _) in LONG_WITH_REASON {
        assert!(paths.iter().any(|path| path == exception), "{exception} is gone: remove its exception");
    }
}

/// Who reads that something is tested must find the test.
#[test]
fn documents_name_tests_that_exist() {
    let files = files();
    let sources: Vec<_> = files.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(_, text)| &**text).collect();
    let mut named = 0;
    for (path, text) in files.iter().filter(|(path, _)| path.starts_with("docs/")) {
        // What begins like this is a symbol of a library, in a table of instructions.
        for name in tests_named(text).filter(|name| !name.starts_with('_')) {
            named += 1;
            assert!(sources.iter().any(|source| defines(source, name)), "{path} names {name}, which is no test");
        }
    }
    assert!(named > 20, "only {named} names were found: the search is broken");
}

// --- The rules ---

fn complaints_about(path: &str, text: &str) -> Vec<String> {
    let rules = [module_doc, length, client_crate, pure_queue, fair_selects, leftovers, machine_paths, ignored_tests];
    rules.iter().flat_map(|rule| rule(path, text)).collect()
}

/// A reader of a file learns its job from its first line.
fn module_doc(path: &str, text: &str) -> Vec<String> {
    let missing = is_source(path) && !text.starts_with("//! ");
    missing.then(|| "does not begin with a //! line that says what the file is for".to_owned()).into_iter().collect()
}

fn length(path: &str, text: &str) -> Vec<String> {
    if !is_source(path) || is_tests(path) {
        return vec![];
    }
    let lines = without_tests(text).lines().count();
    let excused = LONG_WITH_REASON.iter().any(|(exception, _)| *exception == path);
    let complaint = if lines > TOO_LONG {
        format!("{lines} lines without tests; {TOO_LONG} is the end: split it")
    } else if lines > LONG && !excused {
        format!("{lines} lines without tests; at most {LONG}: split it")
    } else if lines <= LONG && excused {
        format!("{lines} lines without tests: remove it from LONG_WITH_REASON")
    } else {
        return vec![];
    };
    vec![complaint]
}

/// Another client, or none, must be a matter of one folder.
fn client_crate(path: &str, text: &str) -> Vec<String> {
    let allowed = !path.starts_with("src/") || path.starts_with("src/store/zookeeper/");
    flag(path, text, !allowed, &[("zookeeper_client", "only src/store/zookeeper names the client crate")])
}

fn pure_queue(path: &str, text: &str) -> Vec<String> {
    flag(path, text, path.starts_with("src/queue/"), &IMPURE)
}

/// Without `biased`, tokio draws lots that no seed decides, and a simulated history cannot be replayed.
fn fair_selects(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().zip(text.lines().skip(1)).zip(1..);
    lines
        .filter(|((line, _), _)| path.starts_with("src/") && without_comment(line).contains("select! {"))
        .filter(|((_, next), _)| next.trim() != "biased;")
        .map(|(_, number)| format!("line {number} has a select! without `biased;`: a replay would draw other lots"))
        .collect()
}

/// What is for a moment of work only; and a library does not print.
fn leftovers(path: &str, text: &str) -> Vec<String> {
    let mut found = flag(path, text, is_source(path), &[("todo!", "finish it"), ("dbg!", "remove it")]);
    let print =
        ["print!", "println!", "eprint!", "eprintln!"].map(|word| (word, "a library tells by values or tracing"));
    found.extend(flag(path, text, path.starts_with("src/"), &print));
    found
}

/// A path of somebody's machine means nothing on another.
fn machine_paths(path: &str, text: &str) -> Vec<String> {
    // In pieces, so that this file is not its own offender.
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")]
        .into_iter()
        .filter(|folder| path != "Cargo.lock" && text.contains(folder))
        .map(|folder| format!("holds a path below {folder}"))
        .collect()
}

/// A test that does not run is no test: repair it or remove it.
fn ignored_tests(path: &str, text: &str) -> Vec<String> {
    flag(path, text, path.ends_with(".rs"), &[(concat!("#[", "ignore"), "a test that does not run is no test")])
}

// --- What the rules are made of ---

/// The last parts of the names in a document that are sentences, as those of tests are.
fn tests_named(text: &str) -> impl Iterator<Item = &str> {
    let is_sentence = |name: &&str| {
        name.matches('_').count() >= 4 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    // What stands between two of these marks is code.
    text.split('`').skip(1).step_by(2).filter_map(|code| code.rsplit("::").next()).filter(is_sentence)
}

/// Whether a source has such a function, or such a row in a table of tests.
fn defines(source: &str, name: &str) -> bool {
    source.contains(&format!("fn {name}(")) || source.lines().any(|line| line.trim() == format!("{name} {{"))
}

/// A complaint for each line of code, not of comments, with one of these words in it.
fn flag(path: &str, text: &str, applies: bool, words: &[(&str, &str)]) -> Vec<String> {
    if !applies || !path.ends_with(".rs") {
        return vec![];
    }
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let code = without_comment(line);
        let found = words.iter().filter(|(word, _)| has_word(code, word));
        complaints.extend(found.map(|(word, why)| format!("line {number} has {word}: {why}")));
    }
    complaints
}

/// True if the word is there as itself and not as a part of a longer one.
fn has_word(code: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(joins) && word.starts_with(joins);
        let after = code[at + word.len()..].chars().next().is_some_and(joins) && word.ends_with(joins);
        !before && !after
    })
}

/// The `//` of an address follows a colon; everything else begins a comment.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// Unit tests come last in a file.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod tests {").map_or(text, |at| &text[..at])
}

fn is_source(path: &str) -> bool {
    path.ends_with(".rs") && SOURCES.iter().any(|folder| path.starts_with(folder))
}

fn is_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// All texts of the tree with their paths, seen from the root.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(root, root, &mut files);
    files.sort();
    files
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    // An unreadable folder must not pass for a tidy one.
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // What cargo and git make is not ours; neither is what an editor keeps in a hidden folder.
            let ours = !name.starts_with('.') || [".cargo", ".ci", ".github"].contains(&name.as_str());
            if ours && !name.starts_with("target") {
                walk(root, &path, files);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).expect("a path below the root");
            files.push((path.to_string_lossy().replace('\\', "/"), text));
        }
    }
}

// --- The rules' own tests ---

type Rule = fn(&str, &str) -> Vec<String>;

#[track_caller]
fn flags(rule: Rule, path: &str, text: &str) {
    assert_eq!(rule(path, text).len(), 1, "{path} should be flagged once:\n{text}\n{:?}", rule(path, text));
}

#[track_caller]
fn passes(rule: Rule, path: &str, text: &str) {
    assert_eq!(rule(path, text), Vec::<String>::new(), "{path} should pass:\n{text}");
}

fn lines(count: usize) -> String {
    "let a = 1;\n".repeat(count)
}

#[test]
fn a_source_without_a_doc_is_flagged() {
    flags(module_doc, "src/lib.rs", "mod a;\n");
    flags(module_doc, "xtask/src/main.rs", "// No doc.\n");
    flags(module_doc, "cli/src/args.rs", "");
    passes(module_doc, "testcontainers/src/lib.rs", "//! Servers.\n");
    passes(module_doc, "testcontainers/image/build.sh", "#!/bin/sh\n");
}

#[test]
fn a_long_file_is_flagged_but_not_its_tests() {
    flags(length, "src/a.rs", &lines(LONG + 1));
    passes(length, "src/a.rs", &lines(LONG));
    passes(length, "src/a.rs", &format!("{}\n#[cfg(test)]\nmod tests {{\n{}}}\n", lines(LONG - 1), lines(LONG)));
    passes(length, "src/queue/tests.rs", &lines(LONG + 1));
    passes(length, "tests/zookeeper/loss.rs", &lines(TOO_LONG + 1));
}

#[test]
fn an_exception_has_an_end_and_must_be_needed() {
    let (path, _) = LONG_WITH_REASON[0];
    passes(length, path, &lines(LONG + 1));
    passes(length, path, &lines(TOO_LONG));
    flags(length, path, &lines(TOO_LONG + 1));
    flags(length, path, &lines(LONG));
}

#[test]
fn the_client_crate_is_named_in_one_folder_only() {
    flags(client_crate, "src/session/mod.rs", "use zookeeper_client as zk;");
    flags(client_crate, "src/store/zookeeper.rs", "fn f(_: zookeeper_client::Client) {}");
    passes(client_crate, "src/store/zookeeper/mod.rs", "use zookeeper_client as zk;");
    passes(client_crate, "src/error.rs", "// zookeeper_client calls it Custom.");
    passes(client_crate, "tests/zookeeper/bed.rs", "use zookeeper_client as zk;");
}

#[test]
fn the_queue_is_pure() {
    flags(pure_queue, "src/queue/mod.rs", "use crate::driver::Progress;");
    flags(pure_queue, "src/queue/machine.rs", "use std::time::Instant;");
    flags(pure_queue, "src/queue/machine.rs", "use std::time::{Duration, Instant};");
    flags(pure_queue, "src/queue/tests.rs", "#[tokio::test]");
    flags(pure_queue, "src/queue/event.rs", "fn f(_: crate::session::Validity) {}");
    passes(pure_queue, "src/queue/mod.rs", "//! The driver of tokio takes an Instant.");
    passes(pure_queue, "src/queue/machine.rs", "use crate::error::LossReason; // not crate::lock");
    passes(pure_queue, "src/queue/machine.rs", "let instantly = crate::locking::Instantly;");
    passes(pure_queue, "src/driver/mod.rs", "use tokio::time::Instant;");
}

#[test]
fn selects_that_draw_lots_are_flagged() {
    flags(fair_selects, "src/driver/mod.rs", "tokio::select! {\n    a = b => c,\n}\n");
    passes(fair_selects, "src/driver/mod.rs", "tokio::select! {\n    biased;\n    a = b => c,\n}\n");
    passes(fair_selects, "cli/src/main.rs", "tokio::select! {\n    a = b => c,\n}\n");
}

#[test]
fn leftovers_are_flagged() {
    flags(leftovers, "cli/src/main.rs", "todo!(\"later\")");
    flags(leftovers, "src/token.rs", "dbg!(token);");
    flags(leftovers, "src/token.rs", "println!(\"{token}\");");
    flags(leftovers, "src/token.rs", "eprint!(\"{token}\");");
    passes(leftovers, "src/token.rs", "/// println!(\"{token}\");");
    passes(leftovers, "cli/src/main.rs", "println!(\"{token}\");");
    passes(leftovers, "src/token.rs", "write!(f, \"{token}\")");
}

#[test]
fn paths_of_a_machine_are_flagged_in_every_text() {
    flags(machine_paths, "docs/TESTING.md", concat!("see /wo", "rk/notes"));
    flags(machine_paths, ".ci/run", concat!("cd /ro", "ot/project"));
    passes(machine_paths, "src/path.rs", "let path = \"/works/root\";");
}

#[test]
fn names_of_tests_are_found_in_documents_and_sources() {
    let named: Vec<_> =
        tests_named("of `a::a_test_that_is_named`, `not_this`, and a_word_that_is_none, `B_c_d_e_f`").collect();
    assert_eq!(named, ["a_test_that_is_named"]);
    assert!(defines("async fn a_test_that_is_named() {", named[0]));
    assert!(defines("    a_test_that_is_named {\n        mutex;", named[0]));
    assert!(!defines("// a_test_that_is_named, and a_test_that_is_named_too() {", named[0]));
}

#[test]
fn ignored_tests_are_flagged() {
    flags(ignored_tests, "tests/a.rs", concat!("#[", "ignore]"));
    flags(ignored_tests, "cli/tests/a.rs", concat!("#[", "ignore = \"slow\"]"));
    passes(ignored_tests, "tests/a.rs", concat!("// no #[", "ignore] here"));
    passes(ignored_tests, "tests/a.rs", "#[test]");
}

#[test]
fn an_address_is_no_comment() {
    assert_eq!(without_comment("let a = \"http://a\"; // an address"), "let a = \"http://a\"; ");
    assert_eq!(without_comment("// all of it"), "");
    assert_eq!(without_comment("no comment"), "no comment");
}
