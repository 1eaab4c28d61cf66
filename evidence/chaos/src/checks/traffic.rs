//! Enough happened: a run without traffic or without faults shows nothing, and is void.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faults::Kind;

/// From here on every kind of fault must have happened, and a stale write must have been refused.
const FULL: Duration = Duration::from_secs(5 * 60);

pub(crate) struct Traffic<'a> {
    pub(crate) duration: Duration,
    pub(crate) grants_per_minute: u64,
    /// By client.
    pub(crate) grants: &'a [u64],
    pub(crate) faults: &'a BTreeMap<Kind, u64>,
    /// Writes and reads that a register refused; none where there is no fence.
    pub(crate) refused: Option<u64>,
}

/// What there was too little of.
pub(crate) fn shortfalls(traffic: &Traffic<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let grants: u64 = traffic.grants.iter().sum();
    let wanted = traffic.duration.as_secs() * traffic.grants_per_minute / 60;
    if grants < wanted {
        found.push(format!("{grants} grants, at least {wanted} are asked for"));
    }
    let idle = traffic.grants.iter().enumerate().filter(|(_, grants)| **grants == 0);
    found.extend(idle.map(|(client, _)| format!("client {client} was never granted")));
    let happened = |kind: &Kind| traffic.faults.get(kind).is_some_and(|count| *count > 0);
    if traffic.duration >= FULL {
        let missing = Kind::ALL.iter().filter(|kind| !happened(kind));
        found.extend(missing.map(|kind| format!("{kind} never happened")));
        if traffic.refused == Some(0) {
            found.push("no register ever had to refuse anything".to_owned());
        }
    } else if !Kind::ALL.iter().any(happened) {
        found.push("no fault happened".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_kinds() -> BTreeMap<Kind, u64> {
        Kind::ALL.into_iter().map(|kind| (kind, 1)).collect()
    }

    fn traffic<'a>(minutes: u64, grants: &'a [u64], faults: &'a BTreeMap<Kind, u64>) -> Traffic<'a> {
        let duration = Duration::from_secs(minutes * 60);
        Traffic { duration, grants_per_minute: 100, grants, faults, refused: Some(1) }
    }

    #[test]
    fn a_full_run_is_not_flagged() {
        assert_eq!(shortfalls(&traffic(5, &[250, 250], &all_kinds())), [""; 0]);
    }

    #[test]
    fn too_few_grants_are_flagged() {
        assert_eq!(shortfalls(&traffic(5, &[250, 249], &all_kinds())).len(), 1);
    }

    #[test]
    fn a_client_that_was_never_granted_is_flagged() {
        assert_eq!(shortfalls(&traffic(1, &[500, 0], &all_kinds())), ["client 1 was never granted"]);
    }

    #[test]
    fn a_kind_of_fault_that_never_happened_is_flagged_in_a_long_run_only() {
        let mut faults = all_kinds();
        faults.remove(&Kind::IsolateLeader);
        assert_eq!(shortfalls(&traffic(5, &[1_000], &faults)), ["isolate the leader never happened"]);
        assert_eq!(shortfalls(&traffic(4, &[1_000], &faults)), [""; 0]);
    }

    #[test]
    fn a_run_without_faults_is_flagged_however_short() {
        assert_eq!(shortfalls(&traffic(1, &[1_000], &BTreeMap::new())), ["no fault happened"]);
    }

    #[test]
    fn a_fence_that_never_refused_is_flagged_and_a_missing_fence_is_not() {
        let faults = all_kinds();
        let with = |refused| shortfalls(&Traffic { refused, ..traffic(5, &[1_000], &faults) }).len();
        assert_eq!((with(Some(0)), with(None), with(Some(3))), (1, 0, 0));
    }
}
