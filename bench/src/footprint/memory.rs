//! Bytes of heap of each waiter and of each held lock: the program `heap` is run with few and with many of them, and what is
//! more with many is divided by how many they are more. Exact, whatever else the machine does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::sites::{self, Site};
use crate::contenders::{Name, PATIENCE};
use crate::error::{Error, Result};
use crate::plan::Plan;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Waiter,
    Held,
}

impl What {
    const ALL: [Self; 2] = [Self::Waiter, Self::Held];

    fn argument(self) -> &'static str {
        match self {
            Self::Waiter => "waiters",
            Self::Held => "held",
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Waiter => "waiter",
            Self::Held => "held lock",
        }
    }
}

/// What one process had: bytes, unless told otherwise.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Seen {
    pub(crate) callers: u64,
    pub(crate) live: u64,
    /// How many allocations.
    pub(crate) blocks: u64,
    pub(crate) peak: u64,
}

/// One contender's, by how many there were.
#[derive(Debug, Default)]
pub(crate) struct Curve(BTreeMap<u64, Seen>);

impl Curve {
    pub(crate) fn add(&mut self, count: u64, seen: Seen) {
        self.0.insert(count, seen);
    }

    /// Of each one, from the fewest to the most.
    pub(crate) fn each(&self, of: impl Fn(&Seen) -> u64) -> Option<f64> {
        slope(self.0.first_key_value()?, self.0.last_key_value()?, &of)
    }

    /// The same of each step. It is not the same in all of them where vectors double, or where one costs the more the more there are.
    pub(crate) fn steps(&self, of: impl Fn(&Seen) -> u64) -> Vec<f64> {
        self.0.iter().zip(self.0.iter().skip(1)).filter_map(|(few, many)| slope(few, many, &of)).collect()
    }
}

fn slope(few: (&u64, &Seen), many: (&u64, &Seen), of: &impl Fn(&Seen) -> u64) -> Option<f64> {
    let more = many.0.checked_sub(*few.0).filter(|more| *more > 0)?;
    Some((of(many.1) as f64 - of(few.1) as f64) / more as f64)
}

#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) curves: BTreeMap<(What, Name), Curve>,
    /// Who has allocated what fairlock has of each.
    pub(crate) sites: BTreeMap<What, Vec<Site>>,
    pub(crate) missing: Option<String>,
}

/// Measures all of them, on this server.
pub(crate) async fn measure(plan: &Plan, address: &str, workshop: &Path) -> Memory {
    let mut memory = Memory::default();
    if let Err(error) = measure_into(&mut memory, plan, address, workshop).await {
        eprintln!("memory is MISSING: {error}");
        memory.missing = Some(error.to_string());
    }
    memory
}

async fn measure_into(memory: &mut Memory, plan: &Plan, address: &str, workshop: &Path) -> Result<()> {
    let program = program()?;
    std::fs::create_dir_all(workshop).map_err(Error::io(format!("make {}", workshop.display())))?;
    for what in What::ALL {
        for name in Name::LIBRARIES.into_iter().filter(|name| plan.contenders.contains(name)) {
            let argument = name.text();
            let mut profiles = Vec::new();
            for count in plan.crowds_in_memory.iter().copied() {
                let profile = workshop.join(format!("heap-{argument}-{}-{count}.json", what.argument()));
                let mut command = Command::new(&program);
                command.args(["--address", address, "--who", argument, "--what", what.argument()]);
                command.args(["--count", &count.to_string()]).arg("--profile").arg(&profile);
                let seen = serde_json::from_str(&output(command).await?).map_err(|e| Error::Peer(e.to_string()))?;
                memory.curves.entry((what, name)).or_default().add(count, seen);
                profiles.push((count, profile));
            }
            if let (Name::Fairlock, [few, .., many]) = (name, &profiles[..]) {
                memory.sites.insert(what, sites::each(few, many)?);
            }
        }
    }
    Ok(())
}

/// Beside this one, where cargo builds it.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(Error::io("find the path of this program"))?;
    let program = own.with_file_name("heap");
    match program.is_file() {
        true => Ok(program),
        false => Err(Error::Missing(format!("there is no {}; build it with cargo build --bins", program.display()))),
    }
}

/// What a program of this workspace prints; the error has what it says last.
pub(super) async fn output(mut command: Command) -> Result<String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(PATIENCE, output).await.map_err(|_| Error::Late("what another process was to measure"))?;
    let output = output.map_err(Error::io(format!("run {name}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().next_back().unwrap_or_default();
    Err(Error::Peer(format!("{name} ended with {}: {last}", output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(u64, u64)]) -> Curve {
        let mut curve = Curve::default();
        for (count, live) in points {
            curve.add(*count, Seen { callers: 0, live: *live, blocks: 0, peak: 0 });
        }
        curve
    }

    #[test]
    fn what_all_have_in_common_is_nobodys() {
        let curve = curve(&[(10, 50_100), (20, 50_200), (40, 50_400)]);
        assert_eq!(curve.each(|seen| seen.live), Some(10.0));
        assert_eq!(curve.steps(|seen| seen.live), [10.0, 10.0]);
    }

    #[test]
    fn a_vector_that_doubles_is_seen_in_its_step() {
        let curve = curve(&[(10, 100), (20, 200), (30, 800)]);
        assert_eq!(curve.steps(|seen| seen.live), [10.0, 60.0]);
        assert_eq!(curve.each(|seen| seen.live), Some(35.0));
    }

    #[test]
    fn one_process_says_nothing_of_each() {
        assert_eq!(curve(&[(10, 100)]).each(|seen| seen.live), None);
        assert!(curve(&[]).steps(|seen| seen.live).is_empty());
    }
}
