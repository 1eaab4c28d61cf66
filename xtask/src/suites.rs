//! Finds the integration tests of the workspace, and which of them need a real ZooKeeper or an optimized build.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// One program of integration tests.
#[derive(Debug)]
pub(crate) struct Suite {
    /// What `cargo test --test` calls it.
    pub(crate) name: String,
    /// Where it is, seen from the root.
    pub(crate) place: String,
    /// Whether it needs real servers, or an optimized build.
    pub(crate) is_slow: bool,
    /// How many tests its source marks; macros may make more.
    pub(crate) tests: u64,
}

/// All of them, by folder and name.
pub(crate) fn find(root: &Path) -> Result<Vec<Suite>> {
    let evidence = root.join("evidence");
    let mut packages = entries(root)?;
    packages.extend(entries(&evidence)?);
    packages.extend(entries(&root.join("examples"))?);
    packages.retain(|path| path.join("Cargo.toml").is_file());
    packages.insert(0, root.to_owned());
    let mut suites = Vec::new();
    for folder in packages.iter().map(|package| package.join("tests")).filter(|folder| folder.is_dir()) {
        for path in entries(&folder)? {
            // As cargo does: tests/name.rs, or tests/name/main.rs with its modules beside it.
            let sources = if path.join("main.rs").is_file() {
                sources(&path)?
            } else if is_source(&path) {
                vec![path.clone()]
            } else {
                continue;
            };
            let text = sources.iter().map(read).collect::<Result<String>>()?;
            suites.push(Suite {
                name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                place: path.strip_prefix(root).unwrap_or(&path).display().to_string(),
                is_slow: needs_servers(&text) || folder.starts_with(&evidence),
                tests: count_tests(&text),
            });
        }
    }
    Ok(suites)
}

/// The crate of the servers has no other use. What cannot be decided counts as needing them.
fn needs_servers(text: &str) -> bool {
    text.contains("fairlock_testcontainers")
}

fn count_tests(text: &str) -> u64 {
    let marks = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    text.lines().map(str::trim_start).filter(marks).count() as u64
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            found.append(&mut sources(&path)?);
        } else if is_source(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn read(path: &PathBuf) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io(format_args!("read {}", path.display())))
}

/// What lies in a folder, in order.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let what = format!("list {}", folder.display());
    let entries = fs::read_dir(folder).map_err(Error::io(&what))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>();
    if let Ok(paths) = &mut paths {
        paths.sort();
    }
    paths.map_err(Error::io(&what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_has_suites_of_both_kinds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let suites = find(root).expect("a readable workspace");
        let is_slow = |place: &str| suites.iter().find(|suite| suite.place == place).map(|s| s.is_slow);
        assert_eq!(is_slow("tests/zookeeper"), Some(true));
        assert_eq!(is_slow("tests/contract_memory.rs"), Some(false));
        assert_eq!(is_slow("tests/tidy.rs"), Some(false));
        assert_eq!(is_slow("testcontainers/tests/server.rs"), Some(true));
        assert_eq!(is_slow("examples/task_dispatch/tests/dispatch_memory.rs"), Some(false));
        assert_eq!(is_slow("examples/task_dispatch/tests/dispatch_server.rs"), Some(true));
        assert_eq!(is_slow("evidence/model/tests/worlds.rs"), Some(true));
    }

    #[test]
    fn marks_are_counted_where_they_begin_a_line() {
        let text = "#[test]\nfn a() {}\n    #[tokio::test(flavor = \"multi_thread\")]\n// not: #[test]\n#[cfg(test)]\n";
        assert_eq!(count_tests(text), 2);
    }
}
