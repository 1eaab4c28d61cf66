//! The grammar of a contender's znode name, parsed once; no other file knows it.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;

/// What a contender wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// To hold it alone.
    #[default]
    Exclusive,
    /// To hold it together with others who share it.
    Shared,
    /// So many permits of a semaphore.
    Permits(NonZeroU32),
}

impl Mode {
    /// Those of locks.
    pub const LOCKS: [Mode; 2] = [Mode::Exclusive, Mode::Shared];

    /// What the name of such a contender's znode starts with.
    pub fn prefix(self) -> Cow<'static, str> {
        match self {
            Mode::Exclusive => "lock-".into(),
            Mode::Shared => "read-".into(),
            Mode::Permits(count) => format!("{PERMITS}{count}-").into(),
        }
    }

    /// How many permits of a semaphore; `None` if a lock is wanted.
    pub const fn permits(self) -> Option<u32> {
        match self {
            Mode::Permits(count) => Some(count.get()),
            Mode::Exclusive | Mode::Shared => None,
        }
    }

    /// Reads a prefix; tells what comes after it.
    fn of_prefix(name: &str) -> Option<(Mode, &str)> {
        for mode in Self::LOCKS {
            if let Some(rest) = name.strip_prefix(&*mode.prefix()) {
                return Some((mode, rest));
            }
        }
        let (count, rest) = name.strip_prefix(PERMITS)?.split_once('-')?;
        // As it is written, without zeros or a sign before it. Not compared as text: a list may be long.
        let is_canonical = matches!(count.as_bytes(), [b'1'..=b'9', ..]);
        is_canonical.then_some((Mode::Permits(count.parse().ok()?), rest))
    }
}

/// A contender for permits is named after how many it wants: whoever lists the queue sees whether there is room.
const PERMITS: &str = "permits-";

/// A contender's number in its queue: the lower, the earlier. It comes with the contender's [`Mode`], since both are in
/// the name of its znode.
///
/// The server takes the number from the directory's change counter and pads it to ten digits. Servers up to 3.5 wrap it to
/// negative numbers after 2,147,483,647; such a name parses, so that it can be seen and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence {
    // First: order is by number.
    number: i32,
    mode: Mode,
}

impl Sequence {
    /// The number and the mode of a contender.
    pub const fn new(number: i32, mode: Mode) -> Self {
        Self { number, mode }
    }

    /// The number.
    pub const fn as_i32(self) -> i32 {
        self.number
    }

    /// What the contender wants.
    pub const fn mode(self) -> Mode {
        self.mode
    }

    /// Whether the contender holds, or wants to hold, the lock alone.
    pub const fn is_exclusive(self) -> bool {
        matches!(self.mode, Mode::Exclusive)
    }

    /// How many permits of a semaphore the contender wants or has; `None` if it is none of a semaphore.
    pub const fn permits(self) -> Option<u32> {
        self.mode.permits()
    }

    /// The contender that entered just before, if nothing else was ever created in the directory in between, and if it
    /// is an exclusive one.
    pub(crate) const fn before(self) -> Option<Sequence> {
        if self.number <= 0 { None } else { Some(Sequence::new(self.number - 1, Mode::Exclusive)) }
    }

    /// The same number, of a contender that shares the lock.
    pub const fn as_shared(self) -> Sequence {
        Sequence::new(self.number, Mode::Shared)
    }

    /// The contender's znode name.
    pub fn node_name(self) -> String {
        let prefix = self.mode.prefix();
        if self.number < 0 {
            return format!("{prefix}{self}");
        }
        // As it is shown, but not formatted, which takes three times as many instructions: each acquisition makes a name.
        let mut digits = [b'0'; 10];
        let mut rest = self.number.unsigned_abs();
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        let mut name = String::with_capacity(prefix.len() + digits.len());
        name.push_str(&prefix);
        name.push_str(str::from_utf8(&digits).expect("digits are ASCII"));
        name
    }

    /// Parses the name of a znode in a queue. `None`: the node is not one of this library's contenders.
    ///
    /// ```
    /// use fairlock::queue::{Mode, Sequence};
    /// assert_eq!(Sequence::of_node("lock-0000000042"), Some(Sequence::from(42)));
    /// assert_eq!(Sequence::of_node("read-0000000042"), Some(Sequence::new(42, Mode::Shared)));
    /// assert_eq!(Sequence::of_node("permits-3-0000000042").and_then(Sequence::permits), Some(3));
    /// assert_eq!(Sequence::of_node("lock-42"), None);
    /// ```
    pub fn of_node(name: &str) -> Option<Sequence> {
        let (mode, digits) = Mode::of_prefix(name)?;
        let number: i32 = digits.parse().ok()?;
        // Exactly as the server formats it: anything else was made by somebody else. Taken for a contender, it would
        // be waited for under a name that does not exist. Not compared as text: a list may be long.
        let is_canonical = match digits.as_bytes() {
            [b'-', unsigned @ ..] => number < 0 && (unsigned.len() == 9 || unsigned.len() == 10 && unsigned[0] != b'0'),
            unsigned => unsigned.len() == 10 && unsigned[0] != b'+',
        };
        is_canonical.then_some(Sequence::new(number, mode))
    }
}

/// An exclusive contender with this number.
impl From<i32> for Sequence {
    fn from(number: i32) -> Self {
        Self::new(number, Mode::Exclusive)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As Java's `%010d`: a sign counts into the ten.
        write!(f, "{:010}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_contenders_round_trip() {
        let permits = |count| Mode::Permits(NonZeroU32::new(count).expect("some"));
        for number in [0, 1, 42, 999_999_999, i32::MAX, i32::MIN, -2_147_483_000, -5] {
            for mode in Mode::LOCKS.into_iter().chain([1, 10, u32::MAX].map(permits)) {
                let sequence = Sequence::new(number, mode);
                assert_eq!(Sequence::of_node(&sequence.node_name()), Some(sequence), "{sequence:?}");
            }
        }
        assert_eq!(Sequence::new(42, Mode::Shared).node_name(), "read-0000000042");
        assert_eq!(Sequence::new(42, permits(3)).node_name(), "permits-3-0000000042");
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
            "read-1",
            "READ-0000000001",
            "write-0000000001",
            "LOCK-0000000001",
            "permits-0000000001",
            "permits-0-0000000001",
            "permits-03-0000000001",
            "permits-+3-0000000001",
            "permits--3-0000000001",
            "permits-3-1",
            "permits-4294967296-0000000001",
            "permits-3",
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
        let shared = |number| Sequence::new(number, Mode::Shared);
        assert!(shared(3) < Sequence::from(4) && Sequence::from(4) < shared(5), "whatever the mode");
        assert_eq!(shared(7).before(), Some(Sequence::from(6)));
    }
}
