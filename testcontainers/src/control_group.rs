//! The processor time of a container, read where the system counts it: the engine looks once a second only.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where control groups are.
const ROOT: &str = "/sys/fs/cgroup";

/// That of the container's first process and all others in it; `None` where the engine is elsewhere, or the system shows it otherwise.
pub(crate) fn cpu_time(process: i64, container: &str) -> Option<Duration> {
    let groups = std::fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    places(&groups, container).into_iter().find_map(|place| usage(&std::fs::read_to_string(place).ok()?))
}

/// The files that may have it, as the groups of a process tell (cgroups(7)): those of version 1 first, if there are both. A process
/// that is in no group of the container only has the same number.
fn places(groups: &str, container: &str) -> Vec<PathBuf> {
    let lines = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?.trim_start_matches('/')))
    });
    let mut places = Vec::new();
    for (controllers, group) in lines.filter(|(_, group)| group.contains(container)) {
        if controllers.is_empty() {
            places.push(Path::new(ROOT).join(group).join("cpu.stat"));
        } else if controllers.split(',').any(|controller| controller == "cpuacct") {
            places.insert(0, Path::new(ROOT).join(controllers).join(group).join("cpuacct.usage"));
        }
    }
    places
}

/// Nanoseconds alone, or microseconds behind their name.
fn usage(text: &str) -> Option<Duration> {
    if let Ok(nanoseconds) = text.trim().parse() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let microseconds = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    microseconds.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_read() {
        assert_eq!(usage("49742389442\n"), Some(Duration::from_nanos(49_742_389_442)));
        assert_eq!(usage("usage_usec 1234\nuser_usec 1000\n"), Some(Duration::from_micros(1_234)));
        assert_eq!(usage("nr_periods 0\n"), None);
        let place = |path: &str| vec![PathBuf::from(path)];
        assert_eq!(places("0::/docker/abc\n", "abc"), place("/sys/fs/cgroup/docker/abc/cpu.stat"));
        let both = "3:cpuset:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/docker/abc\n";
        let [first, second] = ["cpu,cpuacct/docker/abc/cpuacct.usage", "docker/abc/cpu.stat"];
        assert_eq!(places(both, "abc"), [first, second].map(|place| Path::new(ROOT).join(place)));
    }

    #[test]
    fn a_process_with_the_same_number_that_is_not_of_the_container_is_not_read() {
        assert!(places("2:cpuacct:/user.slice\n0::/\n", "abc").is_empty());
        assert_eq!(cpu_time(std::process::id().into(), "no such container"), None);
    }
}
