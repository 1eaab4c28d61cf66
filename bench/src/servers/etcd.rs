//! etcd: one server, or three of which one follows.

use std::path::{Path, PathBuf};

use fairlock_testcontainers::Port;
use serde::Deserialize;

use super::Running;
use super::process::{self, Process};
use crate::debian::Program;
use crate::error::{Error, Result};
use crate::results::Servers;

const PACKAGES: [&str; 1] = ["etcd-server"];

/// Not flushing to the disk, as ZooKeeper does not here either; newer versions have it.
const NO_FLUSHING: &str = "--unsafe-no-fsync";

/// A file system in memory, where flushing costs nothing, for versions that have no such option.
const MEMORY: &str = "/dev/shm";

pub(super) async fn start(servers: Servers, workshop: &Path) -> Result<Running> {
    let workshop = workshop.join("etcd");
    let program = Program::find("etcd", &PACKAGES, &workshop).await?;
    std::fs::create_dir_all(&workshop).map_err(Error::io(format!("make {}", workshop.display())))?;
    let version = version(&program.says("--version").await?);
    if program.says("--help").await?.contains(NO_FLUSHING) {
        let (processes, address) = launch(&program, servers, &std::env::temp_dir(), true, &workshop).await?;
        return Ok(running(servers, &version, "flushing nothing to the disk", processes, address));
    }
    let in_memory = launch(&program, servers, Path::new(MEMORY), false, &workshop).await;
    let (how, (processes, address)) = match in_memory {
        Ok(launched) => ("its data on a file system in memory, since it always flushes", launched),
        Err(error) => {
            eprintln!("etcd cannot keep its data in memory: {error}");
            let launched = launch(&program, servers, &std::env::temp_dir(), false, &workshop).await?;
            ("FLUSHING EACH WRITE TO THE DISK, which no other server does here", launched)
        }
    };
    Ok(running(servers, &version, how, processes, address))
}

fn running(servers: Servers, version: &str, how: &str, processes: Vec<Process>, address: String) -> Running {
    let of = match servers {
        Servers::One => "etcd".to_owned(),
        Servers::Three => "three servers of etcd, their contender through one that follows,".to_owned(),
    };
    Running { address, told: format!("{of} {version} ({how})"), _processes: processes }
}

/// Starts them, and waits until they serve; the address of one that follows, if there are three.
async fn launch(
    program: &Program,
    servers: Servers,
    base: &Path,
    is_without_flushing: bool,
    workshop: &Path,
) -> Result<(Vec<Process>, String)> {
    let ports = (0..servers.count()).map(|_| Ok([Port::reserve()?, Port::reserve()?]));
    let ports = ports.collect::<Result<Vec<_>>>()?;
    let url = |port: &Port| format!("http://127.0.0.1:{}", port.number());
    let members = ports.iter().enumerate().map(|(number, [_, peers])| format!("s{number}={}", url(peers)));
    let members = members.collect::<Vec<_>>().join(",");
    let mut processes = Vec::new();
    for (number, [clients, peers]) in ports.iter().enumerate() {
        let folder = process::folder(base)?;
        let data: PathBuf = folder.join("data");
        let (clients, peers) = (url(clients), url(peers));
        let options = [
            ("name", format!("s{number}")),
            ("data-dir", data.display().to_string()),
            ("listen-client-urls", clients.clone()),
            ("advertise-client-urls", clients),
            ("listen-peer-urls", peers.clone()),
            ("initial-advertise-peer-urls", peers),
            ("initial-cluster", members.clone()),
            ("logger", "zap".to_owned()),
        ];
        let mut arguments: Vec<_> = options.iter().map(|(name, value)| format!("--{name}={value}")).collect();
        if is_without_flushing {
            arguments.push(NO_FLUSHING.to_owned());
        }
        processes.push(Process::start(program, &arguments, &folder, workshop.join(format!("server-{number}.log")))?);
    }
    let mut follower = None;
    for (process, [clients, _]) in processes.iter_mut().zip(&ports) {
        let mut status = None;
        let serves = process.wait_until(async || {
            status = look(clients.number()).await;
            status.is_some()
        });
        serves.await?;
        if servers == Servers::One || status.is_some_and(|status| !status.is_leader()) {
            follower.get_or_insert(format!("127.0.0.1:{}", clients.number()));
        }
    }
    let follower = follower.ok_or_else(|| Error::Missing("no server of etcd follows another".to_owned()))?;
    Ok((processes, follower))
}

/// What a server says of itself, with numbers as text.
#[derive(Debug, Deserialize)]
struct Status {
    header: Header,
    leader: String,
}

#[derive(Debug, Deserialize)]
struct Header {
    member_id: String,
}

impl Status {
    fn is_leader(&self) -> bool {
        self.header.member_id == self.leader
    }
}

/// Only if there is a leader.
async fn look(port: u16) -> Option<Status> {
    let request = "POST /v3/maintenance/status HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}";
    status(&process::ask(port, request, |_| false).await?)
}

fn status(answer: &str) -> Option<Status> {
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}

/// `3.4.23` of `etcd Version: 3.4.23` and more lines.
fn version(said: &str) -> String {
    let version = said.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    version.unwrap_or("of an unknown version").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_whether_it_leads_and_nothing_before_there_is_a_leader() {
        let answer = |body: &str| format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}");
        let leads = status(&answer(r#"{"header":{"member_id":"12","raft_term":"2"},"leader":"12"}"#));
        assert!(leads.expect("a status").is_leader());
        let follows = status(&answer(r#"{"header":{"member_id":"12"},"version":"3.4.23","leader":"7"}"#));
        assert!(!follows.expect("a status").is_leader());
        assert!(status(&answer(r#"{"header":{"member_id":"12"},"version":"3.4.23"}"#)).is_none());
        assert!(status("HTTP/1.0 503 Service Unavailable\r\n\r\n").is_none());
    }

    #[test]
    fn a_version_is_what_it_says_first() {
        assert_eq!(version("etcd Version: 3.4.23\nGit SHA: Not provided\n"), "3.4.23");
        assert_eq!(version("what?"), "of an unknown version");
    }
}
