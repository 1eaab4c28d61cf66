//! What the system tells of processes: who is whose child, in which group and session, and whether it lives.

/// A process as the system's table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// Whether any of its threads lives: the first may have ended before the others.
    pub(super) is_alive: bool,
}

impl Process {
    /// The process with this number, if there is one that may be looked at.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn of(number: i32) -> Option<Self> {
        // Not as text: a name may be cut in the middle of a character.
        Self::parse(&std::fs::read(format!("/proc/{number}/stat")).ok()?)
    }

    /// Elsewhere only a group and a session are told, and of this process itself its parent.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn of(number: i32) -> Option<Self> {
        use rustix::process::{Pid, getpgid, getppid, getsid};
        let pid = Pid::from_raw(number)?;
        let raw = |pid: Pid| pid.as_raw_nonzero().get();
        let is_own = number == std::process::id().cast_signed();
        let parent = if is_own { getppid().map_or(0, raw) } else { 0 };
        Some(Self {
            parent,
            group: raw(getpgid(Some(pid)).ok()?),
            session: raw(getsid(Some(pid)).ok()?),
            is_alive: true,
        })
    }

    /// All that may be looked at; `None` where the system does not tell.
    pub(super) fn all() -> Option<impl Iterator<Item = Self>> {
        let entries =
            std::fs::read_dir("/proc").ok().filter(|_| cfg!(any(target_os = "linux", target_os = "android")))?;
        let numbers =
            entries.flatten().filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()));
        Some(numbers.filter_map(Self::of))
    }

    /// Reads a line of `/proc/PID/stat`.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
    fn parse(stat: &[u8]) -> Option<Self> {
        // The name, in parentheses, may have any bytes; behind it come the state, the parent, the group, the session, and, as the
        // eighteenth, the number of threads.
        let behind_name = stat.rsplit(|byte| *byte == b')').next()?;
        let fields: Vec<_> = std::str::from_utf8(behind_name).ok()?.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<i32>().ok());
        let is_over = matches!(*fields.first()?, "Z" | "X" | "x");
        let is_alive = !is_over || number(17)? > 1;
        Some(Self { parent: number(1)?, group: number(2)?, session: number(3)?, is_alive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &[u8], state: &str, threads: u32) -> Option<Process> {
        let behind = format!(") {state} 2 3 4 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 0\n");
        Process::parse(&[b"1 (", name, behind.as_bytes()].concat())
    }

    #[test]
    fn names_may_have_any_bytes() {
        let expected = Process { parent: 2, group: 3, session: 4, is_alive: true };
        for name in [&b"sh"[..], b"a) Z 9 9 9 (b", b"12345678901234\xc3", b""] {
            assert_eq!(parse(name, "S", 1), Some(expected), "{name:?}");
        }
    }

    #[test]
    fn a_process_lives_as_long_as_any_of_its_threads() {
        let is_alive = |state, threads| parse(b"a", state, threads).expect("a line").is_alive;
        assert!(is_alive("S", 1) && is_alive("T", 1) && is_alive("Z", 2));
        assert!(!is_alive("Z", 1) && !is_alive("X", 0));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_in_the_table() {
        let own = Process::of(std::process::id().cast_signed()).expect("it runs");
        assert!(own.is_alive && Process::all().expect("a table").any(|process| process == own));
    }
}
