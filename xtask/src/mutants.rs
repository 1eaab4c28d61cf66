//! `cargo xtask mutants`: builds deliberately wrong versions of the lock, one at a time, and demands that the model, the
//! simulation or the count of instructions tells each from the right one.
//!
//! A wrong version is a patch in `evidence/mutants`, applied to a copy of the tree, so that nothing in the shipped code
//! knows of it. A checker that cannot see it proves little; one that complains about the unpatched copy proves nothing,
//! so that is tried first. A patch that does not apply or compile is an error, never a kill.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::command::{self, cargo, profile_folder, program, root};
use crate::error::{Error, Result};
use crate::instructions;
use crate::suites::entries;
use crate::table::{self, seconds};
use crate::tally::Tally;

/// What a checker exits with when it has found a violation.
const VIOLATION: i32 = 1;

/// A mutant that makes a checker run for ever is no evidence of anything.
const CHECK_PATIENCE: Duration = Duration::from_secs(600);

const BUILD_PATIENCE: Duration = Duration::from_secs(900);

/// What can tell a wrong version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checker {
    Model,
    Simulation,
    /// Of what costs too much, and is right otherwise.
    Instructions,
}

impl Checker {
    const ALL: [Checker; 3] = [Checker::Model, Checker::Simulation, Checker::Instructions];

    /// Those that can be asked about any mutant: what does wrong can have no meaningful cost.
    const OF_CONDUCT: [Checker; 2] = [Checker::Model, Checker::Simulation];

    fn name(self) -> &'static str {
        match self {
            Checker::Model => "model",
            Checker::Simulation => "simulation",
            Checker::Instructions => "instructions",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Checker::Model => "fairlock-model",
            Checker::Simulation => "fairlock-simulation",
            Checker::Instructions => "fairlock-instructions",
        }
    }

    /// Enough to find every mutant, and no more: it is run once for each.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Checker::Model => &["small"],
            Checker::Simulation => &["--seeds", "10000"],
            // Limits are of an optimized build.
            Checker::Instructions => &["growth"],
        }
    }
}

/// A wrong version.
#[derive(Debug)]
struct Mutant {
    name: String,
    /// What is wrong with it, in a sentence.
    about: String,
    /// Who is known to tell it; the first is asked first.
    killers: Vec<Checker>,
    /// Whether it takes long to be told, so that the gate leaves it out.
    is_slow: bool,
    patch: PathBuf,
}

/// How many there are, for a report of what was not run.
pub(crate) fn count() -> Result<u64> {
    Ok(all()?.len() as u64)
}

/// Runs those that are told soon, and says which others there are.
pub(crate) fn run_quick_ones(tally: &mut Tally) -> Result<bool> {
    let (slow, quick): (Vec<_>, Vec<_>) = all()?.into_iter().partition(|mutant| mutant.is_slow);
    let ok = run_these(&quick, false, tally)?;
    let names: Vec<_> = slow.iter().map(|mutant| mutant.name.as_str()).collect();
    println!("NOT RUN, since they take long; `cargo xtask mutants` runs all: {}", names.join(", "));
    Ok(ok)
}

/// Runs those whose name contains the word, or all; with every checker if asked, else until one has told it.
pub(crate) fn run(word: Option<&str>, everybody: bool, tally: &mut Tally) -> Result<bool> {
    let mutants: Vec<_> =
        all()?.into_iter().filter(|mutant| word.is_none_or(|word| mutant.name.contains(word))).collect();
    if mutants.is_empty() {
        return Err(Error::new("there is no such mutant in evidence/mutants"));
    }
    run_these(&mutants, everybody, tally)
}

fn run_these(mutants: &[Mutant], everybody: bool, tally: &mut Tally) -> Result<bool> {
    let started = Instant::now();
    println!("\n==> mutants: {} wrong versions of the lock, each in a copy of the tree", mutants.len());
    let copy = Copy::make()?;
    let (counted, others): (Vec<_>, Vec<_>) = mutants.iter().partition(|mutant| mutant.is_only_counted());
    let mut possible = mutants.iter().collect::<Vec<_>>();
    if !counted.is_empty()
        && let Err(why) = instructions::prepare()?
    {
        let names: Vec<_> = counted.iter().map(|mutant| mutant.name.as_str()).collect();
        let reason = format!("{} cannot be told: {why}", names.join(", "));
        println!("SKIPPED: {reason}");
        tally.skip("mutants", counted.len() as u64, &reason);
        possible = others;
        if possible.is_empty() {
            return Err(Error::new(format!("no mutant can be tried here: {reason}")));
        }
    }
    let outcome = try_all(&possible, &copy, everybody, started, tally);
    // The programs that were built last are of a wrong version: nobody must take them for the right ones.
    copy.put_right()?;
    outcome
}

fn try_all(mutants: &[&Mutant], copy: &Copy, everybody: bool, started: Instant, tally: &mut Tally) -> Result<bool> {
    // The second of a mutant's is asked only where the first has not told it.
    let is_asked = |checker: &Checker| {
        let is_first = mutants.iter().any(|mutant| mutant.killers[0] == *checker);
        is_first || everybody && Checker::OF_CONDUCT.contains(checker)
    };
    for checker in Checker::ALL.into_iter().filter(is_asked) {
        if copy.tells(checker)? {
            return Err(Error::new(format!("the {} complains about the right version", checker.name())));
        }
    }
    let mut rows = vec![["mutant", "model", "simulation", "instructions", "time"].map(str::to_owned).to_vec()];
    let mut survivors = Vec::new();
    for mutant in mutants {
        let began = Instant::now();
        copy.apply(mutant)?;
        let verdicts = mutant.try_checkers(copy, everybody);
        copy.restore()?;
        let verdicts = match verdicts {
            Ok(verdicts) => verdicts,
            // The others are tried all the same: one run should tell everything.
            Err(error) => {
                println!("  {}  NOT TRIED: {error}", mutant.name);
                survivors.push(mutant.name.clone());
                continue;
            }
        };
        if !verdicts.contains(&Some(true)) {
            survivors.push(mutant.name.clone());
        }
        let words = verdicts.iter().map(|verdict| verdict.map_or("", |told| if told { "killed" } else { "survived" }));
        let mut row = vec![mutant.name.clone()];
        row.extend(words.map(str::to_owned));
        row.push(seconds(began.elapsed()));
        println!("  {}", row.join("  "));
        rows.push(row);
    }
    println!();
    table::print(&rows);
    let killed = mutants.len() - survivors.len();
    println!("\n{killed} of {} mutants were killed", mutants.len());
    for name in &survivors {
        println!("SURVIVED   {name}");
    }
    tally.add("mutants", killed as u64, &survivors, started.elapsed().as_secs_f64());
    Ok(survivors.is_empty())
}

impl Mutant {
    fn read(patch: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(&patch).map_err(Error::io(format_args!("read {}", patch.display())))?;
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (about, killers, is_slow) = header(&text)
            .ok_or_else(|| Error::new(format!("{name} must begin with what is wrong, and `# killed by:`")))?;
        Ok(Self { name, about, killers, is_slow, patch })
    }

    /// Whether nothing but its cost is wrong.
    fn is_only_counted(&self) -> bool {
        self.killers == [Checker::Instructions]
    }

    /// Who told it; `None` for those that were not asked.
    fn try_checkers(&self, copy: &Copy, everybody: bool) -> Result<[Option<bool>; 3]> {
        let mut verdicts = [None; 3];
        let others = Checker::OF_CONDUCT.into_iter().filter(|checker| !self.killers.contains(checker));
        for checker in self.killers.iter().copied().chain(others) {
            if !everybody && (verdicts.contains(&Some(true)) || !self.killers.contains(&checker)) {
                continue;
            }
            let told =
                copy.tells(checker).map_err(|error| Error::new(format!("{} ({}): {error}", self.name, self.about)))?;
            verdicts[checker as usize] = Some(told);
        }
        Ok(verdicts)
    }
}

/// The sentence, the killers, and whether it is slow, in the lines before a patch.
fn header(text: &str) -> Option<(String, Vec<Checker>, bool)> {
    let mut lines = text.lines().map_while(|line| line.strip_prefix("# "));
    let mut about = Vec::new();
    let killers = loop {
        let line = lines.next()?;
        match line.strip_prefix("killed by: ") {
            Some(names) => break names,
            None => about.push(line),
        }
    };
    let killers = killers
        .split(", ")
        .map(|name| Checker::ALL.into_iter().find(|checker| checker.name() == name))
        .collect::<Option<Vec<_>>>()?;
    let is_slow = lines.next() == Some("slow");
    (!about.is_empty() && !killers.is_empty()).then(|| (about.join(" "), killers, is_slow))
}

fn all() -> Result<Vec<Mutant>> {
    let folder = root()?.join("evidence/mutants");
    let mut patches = entries(&folder)?;
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.into_iter().map(Mutant::read).collect()
}

/// A copy of the tree, below the target folder.
struct Copy {
    original: PathBuf,
    place: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn make() -> Result<Self> {
        let profile = profile_folder()?;
        let target = profile.parent().unwrap_or(&profile).to_owned();
        let copy = Self { original: root()?, place: target.join("mutants"), target };
        copy.restore()?;
        Ok(copy)
    }

    /// Makes the copy equal to the tree. Files that are equal already stay as they are, so that cargo builds only what
    /// has changed.
    fn restore(&self) -> Result<()> {
        let files = files(&self.original)?;
        for file in &files {
            let (from, to) = (self.original.join(file), self.place.join(file));
            let content = fs::read(&from).map_err(Error::io(format_args!("read {}", from.display())))?;
            if fs::read(&to).is_ok_and(|present| present == content) {
                continue;
            }
            let folder = to.parent().unwrap_or(&to);
            fs::create_dir_all(folder).map_err(Error::io(format_args!("make {}", folder.display())))?;
            fs::write(&to, content).map_err(Error::io(format_args!("write {}", to.display())))?;
        }
        for file in self::files(&self.place)?.difference(&files) {
            fs::remove_file(self.place.join(file)).map_err(Error::io(format_args!("remove {}", file.display())))?;
        }
        Ok(())
    }

    fn apply(&self, mutant: &Mutant) -> Result<()> {
        let mut apply = program("git")?;
        apply.args(["apply", "--whitespace=nowarn"]).arg(&mutant.patch).current_dir(&self.place);
        // The copy lies inside the repository, where git would look for the paths in vain.
        apply.env("GIT_CEILING_DIRECTORIES", &self.target);
        command::run_quietly(apply, CHECK_PATIENCE)
            .map_err(|error| Error::new(format!("{} does not apply any more; renew it: {error}", mutant.name)))
    }

    fn tells(&self, checker: Checker) -> Result<bool> {
        command::run_quietly(self.cargo("build", checker)?, BUILD_PATIENCE)?;
        let mut check = self.cargo("run", checker)?;
        check.arg("--").args(checker.arguments());
        match command::exit_code(check, CHECK_PATIENCE)? {
            0 => Ok(false),
            VIOLATION => Ok(true),
            other => Err(Error::new(format!("the {} ended with {other}, which is no verdict", checker.name()))),
        }
    }

    /// Builds the programs of the tree itself, which have the same names as those of the copy.
    fn put_right(&self) -> Result<()> {
        self.restore()?;
        for checker in Checker::ALL {
            let build = cargo(&["build", "--quiet", "--profile", "evidence", "--package", checker.package()])?;
            command::run_quietly(build, BUILD_PATIENCE)?;
        }
        Ok(())
    }

    fn cargo(&self, verb: &str, checker: Checker) -> Result<Command> {
        let mut command = cargo(&[verb, "--quiet", "--profile", "evidence", "--package", checker.package()])?;
        // Each is compiled once and runs for seconds: optimizing it would take longer than it saves. What it depends on
        // is optimized, and has been built already.
        for package in ["fairlock", "fairlock-instructions", "fairlock-model", "fairlock-simulation"] {
            command.arg("--config").arg(format!("profile.evidence.package.{package}.opt-level=0"));
        }
        command.current_dir(&self.place).env("CARGO_TARGET_DIR", &self.target).env("CARGO_INCREMENTAL", "1");
        Ok(command)
    }
}

/// All files of a tree but those that cargo and git make, seen from its root.
fn files(tree: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        for path in entries(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !path.is_dir() {
                files.insert(path.strip_prefix(tree).unwrap_or(&path).to_owned());
            } else if name != ".git" && !name.starts_with("target") {
                folders.push(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_is_wrong_and_who_tells() {
        let text =
            "# The barrier is left out\n# before the search.\n# killed by: model, simulation, instructions\n--- a/x\n";
        let expected =
            |is_slow| Some(("The barrier is left out before the search.".to_owned(), Checker::ALL.to_vec(), is_slow));
        assert_eq!(header(text), expected(false));
        assert_eq!(header(&text.replace("---", "# slow\n---")), expected(true));
        for wrong in ["", "--- a/x\n", "# killed by: model\n", "# Wrong.\n--- a/x\n", "# Wrong.\n# killed by: nobody\n"]
        {
            assert_eq!(header(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn every_mutant_of_the_tree_has_a_header_and_there_are_enough() {
        let mutants = all().expect("all of them can be read");
        assert!(mutants.len() >= 25, "{}", mutants.len());
    }

    #[test]
    fn the_copy_has_the_sources_and_nothing_that_was_built() {
        let files = files(&root().expect("the root")).expect("a readable tree");
        assert!(files.contains(Path::new("src/queue/mod.rs")) && files.contains(Path::new("Cargo.lock")));
        assert!(!files.iter().any(|path| path.starts_with("target") || path.starts_with(".git")));
    }
}
