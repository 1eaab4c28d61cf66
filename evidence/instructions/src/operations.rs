//! Every operation that is counted, what was counted last, and which of them are compared.

use crate::{guard, machine, parsing};

/// Something that is done again and again.
pub(crate) type Work = Box<dyn FnMut()>;

/// What is counted.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Of its file too.
    pub(crate) name: &'static str,
    /// The instructions of one call when they were counted last, with the profile `evidence` on x86-64.
    pub(crate) seen: u64,
    /// How often it is done at each run of the work.
    pub(crate) calls: u64,
    pub(crate) prepare: fn() -> Work,
}

/// What must hold of two operations, whatever the compiler.
#[derive(Debug)]
pub(crate) struct Growth {
    /// In words.
    pub(crate) rule: &'static str,
    pub(crate) few: &'static str,
    pub(crate) many: &'static str,
    /// So many times as much may the one of many cost, and a few percent.
    pub(crate) times_max: u64,
}

const fn once(name: &'static str, seen: u64, prepare: fn() -> Work) -> Operation {
    Operation { name, seen, calls: 1, prepare }
}

/// Of what takes so few instructions that calling it at all would count.
const fn repeated(name: &'static str, seen: u64, prepare: fn() -> Work) -> Operation {
    Operation { name, seen, calls: REPETITIONS, prepare }
}

/// How often work is repeated by itself.
pub(crate) const REPETITIONS: u64 = 1_000;

pub(crate) const ALL: [Operation; 22] = [
    once("cycle", 2_091, machine::cycle),
    once("waiter_of_2", 4_013, || machine::waiter(2)),
    once("waiter_of_100", 27_101, || machine::waiter(100)),
    once("waiter_of_10000", 2_355_219, || machine::waiter(10_000)),
    once("hand_over_of_2", 1_297, || machine::hand_over(2)),
    once("hand_over_of_10000", 1_297, || machine::hand_over(10_000)),
    once("survey_of_100", 24_318, || machine::survey(100)),
    once("survey_of_10000", 2_352_436, || machine::survey(10_000)),
    once("readers_survey_of_100", 24_164, || machine::readers_survey(100)),
    once("readers_survey_of_10000", 2_336_448, || machine::readers_survey(10_000)),
    once("writers_survey_of_10000", 2_436_065, || machine::writers_survey(10_000)),
    once("permits_survey_of_100", 40_126, || machine::permits_survey(100)),
    once("permits_survey_of_10000", 3_932_462, || machine::permits_survey(10_000)),
    once("recovery", 7_362, machine::recovery),
    repeated("name_read", 181, || parsing::name_read("lock-0000012345")),
    repeated("name_of_reader_read", 186, || parsing::name_read("read-0000012345")),
    repeated("name_of_permits_read", 369, || parsing::name_read("permits-3-0000012345")),
    repeated("name_of_stranger_read", 46, || parsing::name_read("_c_f3a1-lock-0000012345")),
    repeated("name_written", 480, parsing::name_written),
    once("ticket_read", 6_723, parsing::ticket_read),
    once("ticket_written", 2_728, parsing::ticket_written),
    repeated("is_valid", 179, guard::is_valid),
];

pub(crate) const GROWTHS: [Growth; 5] = [
    Growth {
        rule: "a hand-over costs the same however many wait",
        few: "hand_over_of_2",
        many: "hand_over_of_10000",
        times_max: 1,
    },
    linear("waiter_of_100", "waiter_of_10000"),
    linear("survey_of_100", "survey_of_10000"),
    linear("readers_survey_of_100", "readers_survey_of_10000"),
    linear("permits_survey_of_100", "permits_survey_of_10000"),
];

/// Of lists of 100 and of 10,000.
const fn linear(few: &'static str, many: &'static str) -> Growth {
    Growth { rule: "a survey grows with its list, and no faster", few, many, times_max: 100 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_those_that_are_compared_exist() {
        let mut names: Vec<_> = ALL.iter().map(|operation| operation.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for growth in &GROWTHS {
            assert!(names.contains(&growth.few) && names.contains(&growth.many), "{growth:?}");
        }
    }
}
