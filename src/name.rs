//! The grammar of a contender's znode name, parsed once; no other file knows it.

use std::fmt;

/// What the name of a contender for exclusive ownership starts with.
pub(crate) const EXCLUSIVE_PREFIX: &str = "lock-";

/// A contender's number in its queue: the lower, the earlier.
///
/// The server takes it from the directory's change counter and pads it to ten digits. Servers up to 3.5 wrap it to
/// negative numbers after 2,147,483,647; such a name parses, so that it can be seen and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(i32);

impl Sequence {
    /// The number.
    pub const fn as_i32(self) -> i32 {
        self.0
    }

    /// The contender that entered just before, if nothing else was ever created in the directory in between.
    pub(crate) const fn before(self) -> Option<Sequence> {
        if self.0 <= 0 { None } else { Some(Sequence(self.0 - 1)) }
    }

    /// The znode name of an exclusive contender with this number.
    pub fn node_name(self) -> String {
        format!("{EXCLUSIVE_PREFIX}{self}")
    }

    /// Parses the name of a znode in a queue. `None`: the node is not one of this library's contenders.
    ///
    /// ```
    /// use fairlock::queue::Sequence;
    /// assert_eq!(Sequence::of_node("lock-0000000042"), Some(Sequence::from(42)));
    /// assert_eq!(Sequence::of_node("lock-42"), None);
    /// ```
    pub fn of_node(name: &str) -> Option<Sequence> {
        let digits = name.strip_prefix(EXCLUSIVE_PREFIX)?;
        let number: i32 = digits.parse().ok()?;
        // Exactly as the server formats it: anything else was made by somebody else. Taken for a contender, it would
        // be waited for under a name that does not exist. Not compared as text: a list may be long.
        let is_canonical = match digits.as_bytes() {
            [b'-', unsigned @ ..] => number < 0 && (unsigned.len() == 9 || unsigned.len() == 10 && unsigned[0] != b'0'),
            unsigned => unsigned.len() == 10 && unsigned[0] != b'+',
        };
        is_canonical.then_some(Sequence(number))
    }
}

impl From<i32> for Sequence {
    fn from(number: i32) -> Self {
        Self(number)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As Java's `%010d`: a sign counts into the ten.
        write!(f, "{:010}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_contenders_round_trip() {
        for number in [0, 1, 42, 999_999_999, i32::MAX, i32::MIN, -2_147_483_000, -5] {
            let sequence = Sequence::from(number);
            assert_eq!(Sequence::of_node(&sequence.node_name()), Some(sequence), "{number}");
        }
        assert_eq!(Sequence::from(42).node_name(), "lock-0000000042");
        assert_eq!(Sequence::from(i32::MIN).node_name(), "lock--2147483648");
        assert_eq!(Sequence::from(-5).node_name(), "lock--000000005");
    }

    #[test]
    fn names_of_others_are_no_contenders() {
        for name in [
            "",
            "config",
            "0",
            "!x",
            "lock-",
            "lock-é000000001",
            "lock-12",
            "lock-00000000001",
            "lock-+000000001",
            "lock- 000000001",
            "lock-9999999999",
            "lock--",
            "lock--0000000000",
            "lock--000000000",
            "lock--0000000005",
            "lock-0000000001x",
            "_c_0-lock-0000000001",
            "aa__lock__0000000001",
            "x-99-0000000001",
            "n_0000000001",
            "read-0000000001",
            "LOCK-0000000001",
        ] {
            assert_eq!(Sequence::of_node(name), None, "{name:?}");
        }
    }

    #[test]
    fn order_is_numeric_not_textual() {
        assert!(Sequence::from(999_999_999) < Sequence::from(1_000_000_000));
        assert!(Sequence::from(-5) < Sequence::from(3));
        assert_eq!(Sequence::from(0).before(), None);
        assert_eq!(Sequence::from(7).before(), Some(Sequence::from(6)));
    }
}
