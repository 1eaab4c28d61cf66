//! Instructions of one cycle, acquire and release, and of one hand-over, by whose they are: a process with one lock on one thread
//! runs beneath callgrind, which counts while the cycles last and not what comes before.

use std::any::type_name_of_val;
use std::collections::BTreeMap;
use std::path::Path;

use tokio::process::Command;

use super::callgrind::{self, Kind, Spot};
use super::memory::output;
use super::own::measured;
use crate::contenders::Name;
use crate::debian::Program;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::report::table;
use crate::verdict::{Verdict, figure, met, not_measured};

const FAIRLOCK: &str = "fairlock";
const CLIENT: &str = "zookeeper-client";

/// What the client crate needs and fairlock does not.
const ONLY_OF_CLIENT: [&str; 18] = [
    "ahash",
    "async-io",
    "async-net",
    "async-select",
    "async-task",
    "asyncs",
    "asyncs-sync",
    "blocking",
    "bytes",
    "compact-str",
    "event-listener",
    "futures-channel",
    "futures-io",
    "futures-lite",
    "hashlink",
    "polling",
    "spawns",
    "spawns-core",
];
const NEEDS_OF_CLIENT: &str = "only zookeeper-client's needs";

/// Deeper than any stack of these.
const CALLERS: &str = "--separate-callers=60";

/// So small a share of all has no row of its own.
const SHARE_MIN: f64 = 0.01;
const OTHERS: &str = "others";

const FUNCTIONS_MAX: usize = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Cycle,
    HandOver,
}

impl What {
    const ALL: [Self; 2] = [Self::Cycle, Self::HandOver];

    fn text(self) -> &'static str {
        match self {
            Self::Cycle => "acquire and release",
            Self::HandOver => "hand-over",
        }
    }

    /// What the process is told to do: cycles, and hand-overs.
    fn arguments(self, times: usize) -> [String; 2] {
        match self {
            Self::Cycle => [times, 0],
            Self::HandOver => [0, times],
        }
        .map(|times| times.to_string())
    }
}

/// Of each time that something was done.
type Profile = BTreeMap<Spot, f64>;

#[derive(Debug, Default)]
pub(crate) struct Instructions {
    pub(crate) profiles: BTreeMap<(What, Name), Profile>,
    pub(crate) missing: Option<String>,
}

/// Counts those of all of them, on this server.
pub(crate) async fn measure(plan: &Plan, address: &str, workshop: &Path) -> Instructions {
    let mut instructions = Instructions::default();
    if plan.cycles_in_instructions == 0 {
        instructions.missing = Some("the quick form counts no instructions".to_owned());
    } else if let Err(error) = measure_into(&mut instructions, plan, address, workshop).await {
        eprintln!("instructions are MISSING: {error}");
        instructions.missing = Some(error.to_string());
    }
    instructions
}

async fn measure_into(instructions: &mut Instructions, plan: &Plan, address: &str, workshop: &Path) -> Result<()> {
    let valgrind = Program::find("valgrind", &["valgrind"], &workshop.join("valgrind")).await?;
    // Where it was built to look for its tools there may be none.
    let tools = valgrind.unpacked("usr/libexec/valgrind");
    std::fs::create_dir_all(workshop).map_err(Error::io(format!("make {}", workshop.display())))?;
    let own = std::env::current_exe().map_err(Error::io("find the path of this program"))?;
    let times = plan.cycles_in_instructions;
    for what in What::ALL {
        let is_shown = |name| name != Name::ZookeeperClient && plan.contenders.contains(&name);
        for name in Name::LIBRARIES.into_iter().filter(|name| is_shown(*name)) {
            let argument = name.text();
            let [cycles, hand_overs] = what.arguments(times);
            let written = workshop.join(format!("callgrind-{argument}-{cycles}-{hand_overs}.out"));
            let mut command = Command::new(&valgrind.path);
            command.env_remove("VALGRIND_OPTS").envs(tools.iter().map(|tools| ("VALGRIND_LIB", tools)));
            command.args(["--tool=callgrind", CALLERS, "--compress-strings=no", "--compress-pos=no"]);
            // A function's name is written as its type is.
            command.arg(format!("--toggle-collect={}", type_name_of_val(&measured)));
            command.arg(format!("--callgrind-out-file={}", written.display()));
            command.arg(&own).args(["spend", argument, address]).args([cycles, hand_overs]);
            output(command).await?;
            let text = std::fs::read_to_string(&written).map_err(Error::io(format!("read {}", written.display())))?;
            let spots = callgrind::read(&text);
            if spots.is_empty() {
                return Err(Error::Peer(format!("callgrind has counted nothing of {argument}: {}", written.display())));
            }
            instructions.profiles.insert((what, name), callgrind::each(&spots, times));
        }
    }
    Ok(())
}

fn sum(profile: &Profile, is_it: impl Fn(&Spot) -> bool) -> f64 {
    // A sum of nothing would be a negative zero.
    profile.iter().filter(|(spot, _)| is_it(spot)).fold(0.0, |sum, (_, cost)| sum + cost)
}

/// Those of somebody's own code.
fn own(profile: &Profile, of: &str) -> f64 {
    sum(profile, |spot| whose(spot) == of && spot.kind == Kind::Code)
}

/// The crate, or those that belong together.
fn whose(spot: &Spot) -> &str {
    if ONLY_OF_CLIENT.contains(&&*spot.owner) { NEEDS_OF_CLIENT } else { &spot.owner }
}

pub(super) fn verdicts(instructions: &Instructions) -> Vec<Verdict> {
    let verdict = |what: What| {
        let bar = format!("{}: fairlock's own instructions, at most 1.00 x the client crate's own", what.text());
        let profile = instructions.profiles.get(&(what, Name::Fairlock));
        let Some(profile) = profile else { return not_measured(bar) };
        let [own, client, needs] = [FAIRLOCK, CLIENT, NEEDS_OF_CLIENT].map(|of| own(profile, of));
        if client <= 0.0 {
            return not_measured(bar);
        }
        let figure = format!("{}; {} with what only it needs", figure(own / client), figure(own / (client + needs)));
        Verdict { bar, figure, outcome: met(own <= client) }
    };
    What::ALL.map(verdict).into()
}

pub(crate) fn tables(instructions: &Instructions) -> String {
    if let Some(why) = &instructions.missing {
        return format!("MISSING: {}\n", why.replace('\n', " "));
    }
    let heading = ["what", "who", "whose", "own code", "allocator for it", "C library for it", "all", "share"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for ((what, name), profile) in &instructions.profiles {
        rows.extend(
            shares(profile).into_iter().map(|row| [vec![what.text().to_owned(), name.text().to_owned()], row].concat()),
        );
    }
    let mut text = table(&rows);
    for what in What::ALL {
        if let Some(profile) = instructions.profiles.get(&(what, Name::Fairlock)) {
            let what = what.text();
            text.push_str(&format!(
                "\nThe functions with the most instructions of fairlock's {what}:\n\n{}",
                top(profile)
            ));
        }
    }
    text
}

/// A row of each owner, and one of all.
fn shares(profile: &Profile) -> Vec<Vec<String>> {
    let all = sum(profile, |_| true);
    let mut owners: BTreeMap<&str, f64> = BTreeMap::new();
    for (spot, cost) in profile {
        *owners.entry(whose(spot)).or_default() += cost;
    }
    owners.retain(|_, cost| *cost >= SHARE_MIN * all);
    let mut largest: Vec<_> = owners.iter().map(|(owner, cost)| (*owner, *cost)).collect();
    largest.sort_by(|a, b| b.1.total_cmp(&a.1));
    let row = |whose: &str, is_it: &dyn Fn(&Spot) -> bool| {
        let kind = |kind| sum(profile, |spot| is_it(spot) && spot.kind == kind);
        let total = sum(profile, is_it);
        let figures = [kind(Kind::Code), kind(Kind::Allocator), kind(Kind::Libc), total];
        let mut row = vec![whose.to_owned()];
        row.extend(figures.map(|figure| format!("{figure:.0}")));
        row.push(format!("{:.1} %", 100.0 * total / all));
        row
    };
    let mut rows: Vec<_> = largest.iter().map(|(owner, _)| row(owner, &|spot| whose(spot) == *owner)).collect();
    rows.push(row(OTHERS, &|spot| !owners.contains_key(whose(spot))));
    rows.push(row("all", &|_| true));
    rows
}

/// Those that would be the widest at the top of a flame graph.
fn top(profile: &Profile) -> String {
    let all = sum(profile, |_| true);
    let mut functions: BTreeMap<&str, f64> = BTreeMap::new();
    for (spot, cost) in profile {
        *functions.entry(&spot.function).or_default() += cost;
    }
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut rows = vec![["instructions", "share", "function, without what it calls"].map(str::to_owned).to_vec()];
    rows.extend(functions.iter().take(FUNCTIONS_MAX).map(|(function, cost)| {
        vec![format!("{cost:.0}"), format!("{:.1} %", 100.0 * cost / all), format!("`{function}`")]
    }));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Outcome;

    fn instructions(fairlock: f64, client: f64) -> Instructions {
        let spot = |owner: &str, kind| Spot { owner: owner.to_owned(), kind, function: "f".to_owned() };
        let profile = [
            (spot(FAIRLOCK, Kind::Code), fairlock),
            (spot(FAIRLOCK, Kind::Allocator), 100.0),
            (spot(CLIENT, Kind::Code), client),
            (spot("asyncs", Kind::Code), 200.0),
            (spot("tiny", Kind::Code), 1.0),
        ];
        Instructions { profiles: [((What::Cycle, Name::Fairlock), profile.into())].into(), missing: None }
    }

    #[test]
    fn as_many_instructions_as_the_client_are_few_enough() {
        for (own, outcome) in [(1_000.0, Outcome::Met), (1_001.0, Outcome::NotMet)] {
            assert_eq!(verdicts(&instructions(own, 1_000.0))[0].outcome, outcome, "{own}");
        }
        assert_eq!(verdicts(&instructions(600.0, 1_000.0))[0].figure, "0.600; 0.500 with what only it needs");
        assert_eq!(verdicts(&Instructions::default())[0].outcome, Outcome::NotMeasured);
    }

    #[test]
    fn the_smallest_shares_are_one_row() {
        let rows = shares(&instructions(299.0, 1_400.0).profiles[&(What::Cycle, Name::Fairlock)]);
        let whose: Vec<_> = rows.iter().map(|row| &*row[0]).collect();
        assert_eq!(whose, [CLIENT, FAIRLOCK, NEEDS_OF_CLIENT, OTHERS, "all"]);
        assert_eq!(rows[1][1..], ["299", "100", "0", "399", "19.9 %"]);
        assert_eq!(rows[3][4..], ["1", "0.1 %"]);
    }

    #[test]
    fn instructions_that_could_not_be_counted_are_told_with_the_reason() {
        let instructions = Instructions { missing: Some("no valgrind".to_owned()), ..Instructions::default() };
        assert_eq!(tables(&instructions), "MISSING: no valgrind\n");
    }

    #[test]
    fn callgrind_is_told_the_name_that_the_function_has() {
        assert!(type_name_of_val(&measured).ends_with("::footprint::own::measured"));
    }
}
