//! Removes containers whose test process has died without doing so.

use std::collections::HashMap;

use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use tokio::sync::OnceCell;

/// The label that names the process a container belongs to.
pub(crate) const LABEL: &str = "fairlock-testcontainers.owner";

/// This process, in words that no other process ever has: the boot and the process namespace tell apart machines and
/// containers that share an engine, the start time tells apart processes with the same id.
pub(crate) fn this_process() -> String {
    let pid = std::process::id();
    format!("{} {pid} {}", place(), start_time(pid).unwrap_or_default())
}

fn place() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name and may hold anything, so counting starts behind its bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // A dead process keeps its entry until its parent asks for it, which some never do.
    let dead = matches!(fields.next()?, "Z" | "X");
    fields.nth(18).filter(|_| !dead).map(str::to_owned)
}

/// True only for a process of this machine that is certainly gone.
fn is_dead(owner: &str) -> bool {
    let Some(process) = owner.strip_prefix(&place()) else { return false };
    let mut words = process.split_whitespace();
    let (Some(pid), Some(started)) = (words.next().and_then(|pid| pid.parse().ok()), words.next()) else {
        return false;
    };
    start_time(pid).as_deref() != Some(started)
}

/// Removes what dead processes left, once per process. Failures are ignored: it is only tidying up.
pub(crate) async fn remove_leftovers(docker: &Docker) {
    static DONE: OnceCell<()> = OnceCell::const_new();
    DONE.get_or_init(|| async {
        let filters = HashMap::from([("label", vec![LABEL])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        for container in docker.list_containers(Some(options)).await.unwrap_or_default() {
            let owner = container.labels.as_ref().and_then(|labels| labels.get(LABEL));
            if let (Some(id), true) = (&container.id, owner.is_some_and(|owner| is_dead(owner))) {
                remove(docker, id).await;
            }
        }
    })
    .await;
}

/// Removes a container with its volumes, whatever it is doing.
pub(crate) async fn remove(docker: &Docker, name: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    let _ = docker.remove_container(name, Some(options)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_process_and_a_foreign_one_are_not_dead() {
        assert!(!is_dead(&this_process()));
        assert!(!is_dead("another-boot pid:[1] 1 1"));
        assert!(!is_dead(""));
        assert!(!is_dead(&place()));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_reused_id_is_dead() {
        assert!(is_dead(&format!("{} {} 1", place(), std::process::id())));
    }
}
