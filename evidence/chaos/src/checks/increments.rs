//! No increment that was acknowledged is lost: a register's value is the number of writes that it accepted.

use crate::register::{Accepted, Register};

/// How many are missing; more than there were writes cannot be, and counts as wrong too.
pub(crate) fn lost(register: &Register) -> u64 {
    register.value().abs_diff(register.accepted().len() as u64)
}

/// The writes that did not add one to what was there.
pub(crate) fn culprits(register: &Register) -> impl Iterator<Item = &Accepted> {
    register.accepted().iter().filter(|write| write.written != write.before + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(writes: &[(i64, u64)]) -> Register {
        let mut register = Register::new(false);
        for (token, written) in writes {
            register.write(*token, *written).expect("unfenced");
        }
        register
    }

    #[test]
    fn a_write_of_what_was_read_before_anothers_write_is_flagged() {
        let register = register(&[(1, 1), (3, 2), (4, 3), (2, 2)]);
        assert_eq!(lost(&register), 2);
        let found: Vec<_> = culprits(&register).collect();
        assert_eq!(found, [&Accepted { token: 2, before: 3, written: 2 }]);
    }

    #[test]
    fn a_value_that_nobody_counted_up_to_is_flagged() {
        assert_eq!(lost(&register(&[(1, 1), (2, 5)])), 3);
    }

    #[test]
    fn increments_one_after_the_other_are_not_flagged() {
        assert_eq!(lost(&register(&[])), 0);
        let register = register(&[(1, 1), (2, 2), (5, 3)]);
        assert_eq!(lost(&register), 0);
        assert_eq!(culprits(&register).count(), 0);
    }
}
