//! Compares counts with their limits, and with each other.

use std::fmt::Write as _;

use crate::operations::{Growth, Operation};

/// How many percent more than was seen: as much as compilers and their libraries may differ by.
const ROOM_PERCENT: u64 = 15;

/// How many percent more than the rule says, for what does not depend on the length of a list.
const GROWTH_ROOM_PERCENT: u64 = 5;

/// Far below what was seen: the limit would not tell if it came back.
const STALE_PERCENT: u64 = 70;

/// Another kind of processor has other instructions.
pub(crate) const ARE_LIMITS_OF_THIS_PROCESSOR: bool = cfg!(target_arch = "x86_64");

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) table: String,
    pub(crate) violations: Vec<String>,
}

/// Growth is judged of what was counted; limits only if they are of this build.
pub(crate) fn judge(
    operations: &[&Operation],
    growths: &[Growth],
    counts: &[(&str, u64)],
    with_limits: bool,
) -> Report {
    let mut report = Report::default();
    let _ = writeln!(report.table, "{:<26} {:>12} {:>12}", "operation", "instructions", "limit");
    for operation in operations {
        let Some(count) = count_of(operation.name, counts) else { continue };
        let limit = limit(operation);
        let shown = if with_limits { grouped(limit) } else { "not judged".to_owned() };
        let is_stale = with_limits && count * 100 < operation.seen * STALE_PERCENT;
        let hint = if is_stale { "  far below what was seen: pin it anew" } else { "" };
        let _ = writeln!(report.table, "{:<26} {:>12} {shown:>12}{hint}", operation.name, grouped(count));
        if with_limits && count > limit {
            report.violations.push(format!(
                "{} takes {} instructions, and its limit is {}: {} that were seen, and {ROOM_PERCENT} %",
                operation.name,
                grouped(count),
                grouped(limit),
                grouped(operation.seen),
            ));
        }
    }
    for growth in growths {
        let (Some(few), Some(many)) = (count_of(growth.few, counts), count_of(growth.many, counts)) else { continue };
        let max = few * growth.times_max * (100 + GROWTH_ROOM_PERCENT) / 100;
        if many > max {
            report.violations.push(format!(
                "{}: {} takes {} instructions, and may take {}, since {} takes {}",
                growth.rule,
                growth.many,
                grouped(many),
                grouped(max),
                growth.few,
                grouped(few),
            ));
        }
    }
    report
}

fn limit(operation: &Operation) -> u64 {
    operation.seen * (100 + ROOM_PERCENT) / 100
}

fn count_of(name: &str, counts: &[(&str, u64)]) -> Option<u64> {
    counts.iter().find(|(counted, _)| *counted == name).map(|(_, count)| *count)
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Operation = Operation { name: "few", seen: 1_000, calls: 1, prepare: || Box::new(|| {}) };
    const MANY: Operation = Operation { name: "many", seen: 9_000, calls: 1, prepare: || Box::new(|| {}) };
    const GROWTH: Growth = Growth { rule: "it grows tenfold", few: "few", many: "many", times_max: 10 };

    fn violations(few: u64, many: u64, with_limits: bool) -> Vec<String> {
        judge(&[&FEW, &MANY], &[GROWTH], &[("few", few), ("many", many)], with_limits).violations
    }

    #[test]
    fn what_was_seen_and_up_to_the_room_is_no_violation() {
        assert_eq!(violations(1_000, 9_000, true), [""; 0]);
        assert_eq!(violations(1_150, 10_350, true), [""; 0]);
        assert_eq!(violations(1, 1, true), [""; 0]);
    }

    #[test]
    fn a_count_above_its_limit_is_told_with_its_name_and_both_numbers() {
        let told = violations(1_151, 9_000, true);
        assert_eq!(told, ["few takes 1,151 instructions, and its limit is 1,150: 1,000 that were seen, and 15 %"]);
        assert_eq!(violations(1_151, 10_351, true).len(), 2);
        assert_eq!(violations(1_151, 9_000, false), [""; 0], "of another build");
    }

    #[test]
    fn growth_is_told_whatever_the_limits() {
        for with_limits in [false, true] {
            let told = violations(800, 8_401, with_limits);
            assert_eq!(
                told,
                ["it grows tenfold: many takes 8,401 instructions, and may take 8,400, since few takes 800"]
            );
            assert_eq!(violations(800, 8_400, with_limits), [""; 0]);
        }
    }

    #[test]
    fn what_was_not_counted_is_not_judged() {
        assert_eq!(judge(&[&FEW], &[GROWTH], &[("few", 1_000)], true).violations, [""; 0]);
    }

    #[test]
    fn a_count_far_below_what_was_seen_is_pointed_out() {
        let table = |few| judge(&[&FEW], &[], &[("few", few)], true).table;
        assert!(table(699).contains("pin it anew") && !table(700).contains("pin it anew"));
    }
}
