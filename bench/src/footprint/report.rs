//! What memory is shown as, and the bars that they are meant to reach.

use super::instructions;
use super::memory::{Curve, Memory, What};
use crate::contenders::Name;
use crate::report::table;
use crate::results::Results;
use crate::verdict::{Verdict, met, not_measured};

/// Of a waiter, with its caller's task.
const WAITER_BYTES_MAX: f64 = 4096.0;

/// So many places of the heap are shown of each kind.
const SITES_MAX: usize = 12;

pub(crate) fn verdicts(results: &Results) -> Vec<Verdict> {
    let bar = format!("heap of a waiter, its caller's task included: at most {WAITER_BYTES_MAX:.0} bytes");
    let curve = results.memory.curves.get(&(What::Waiter, Name::Fairlock));
    let mut verdicts = vec![match curve.and_then(|curve| curve.each(|seen| seen.live)) {
        Some(bytes) => Verdict { bar, figure: bytes_text(bytes), outcome: met(bytes <= WAITER_BYTES_MAX) },
        None => not_measured(bar),
    }];
    verdicts.extend(instructions::verdicts(&results.instructions));
    verdicts
}

pub(crate) fn memory_tables(memory: &Memory) -> String {
    if let Some(why) = &memory.missing {
        return format!("MISSING: {}\n", why.replace('\n', " "));
    }
    let heading = [
        "what",
        "who",
        "bytes each",
        "in each step",
        "of it the caller's",
        "allocations each",
        "bytes each at the peak",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for ((what, name), curve) in &memory.curves {
        rows.push(row(*what, *name, curve));
    }
    let mut text = table(&rows);
    for (what, sites) in &memory.sites {
        let mut rows = vec![["bytes", "allocations", "what", "who"].map(str::to_owned).to_vec()];
        for site in sites.iter().take(SITES_MAX) {
            let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
            rows.push(vec![
                bytes_text(site.bytes),
                format!("{:.1}", site.blocks),
                code(&site.what),
                code(&site.whence),
            ]);
        }
        text.push_str(&format!("\nWhere fairlock's bytes of each {} are:\n\n{}", what.text(), table(&rows)));
    }
    text
}

fn row(what: What, name: Name, curve: &Curve) -> Vec<String> {
    let each = |figure: Option<f64>| figure.map(bytes_text).unwrap_or_default();
    let steps: Vec<_> = curve.steps(|seen| seen.live).into_iter().map(bytes_text).collect();
    vec![
        what.text().to_owned(),
        name.text().to_owned(),
        each(curve.each(|seen| seen.live)),
        steps.join(", "),
        each(curve.each(|seen| seen.callers)),
        curve.each(|seen| seen.blocks).map(|blocks| format!("{blocks:.1}")).unwrap_or_default(),
        each(curve.each(|seen| seen.peak)),
    ]
}

fn bytes_text(bytes: f64) -> String {
    format!("{bytes:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footprint::memory::Seen;
    use crate::verdict::Outcome;

    fn results(live: [u64; 2]) -> Results {
        let mut results = Results::default();
        let curve = results.memory.curves.entry((What::Waiter, Name::Fairlock)).or_default();
        for (count, live) in [10, 20].into_iter().zip(live) {
            curve.add(count, Seen { callers: 100, live, blocks: count, peak: live });
        }
        results
    }

    #[test]
    fn a_waiter_of_four_kibibytes_is_just_small_enough() {
        for (live, outcome) in [([0, 40_960], Outcome::Met), ([0, 40_970], Outcome::NotMet)] {
            assert_eq!(verdicts(&results(live))[0].outcome, outcome, "{live:?}");
        }
        assert_eq!(verdicts(&Results::default())[0].outcome, Outcome::NotMeasured);
    }

    #[test]
    fn memory_that_could_not_be_measured_is_told_with_the_reason() {
        let memory = Memory { missing: Some("no program".to_owned()), ..Memory::default() };
        assert_eq!(memory_tables(&memory), "MISSING: no program\n");
    }

    #[test]
    fn each_waiter_is_a_row() {
        let shown = memory_tables(&results([1_000, 3_000]).memory);
        assert!(shown.contains("| waiter | fairlock | 200        | 200          | 0 "), "{shown}");
    }
}
