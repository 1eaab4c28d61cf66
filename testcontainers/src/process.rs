//! A server as a process of a locally installed ZooKeeper, for machines without a container engine.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::error::Error;
use crate::node::Launch;

/// Where Debian puts Java packages.
const DEBIAN: &str = "/usr/share/java";

/// How long a server may take to stop by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Kills the server and removes its data when its standard input ends, which it does when the test process dies.
const WATCHER: &str = r#"read -r _; kill -9 "$1" 2> /dev/null; rm -rf "$2""#;

/// A ZooKeeper that is installed on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    java: PathBuf,
    classpath: String,
    /// For people: where it is.
    pub(crate) place: String,
}

impl Installation {
    pub(crate) fn find() -> Result<Self, Error> {
        let java = find_java().ok_or_else(|| Error::NoInstallation("there is no java".to_owned()))?;
        if let Some(home) = std::env::var_os("FAIRLOCK_ZOOKEEPER_HOME").map(PathBuf::from) {
            if !has_jar(&home.join("lib")) {
                let why = format!("FAIRLOCK_ZOOKEEPER_HOME is {}, but it has no lib/zookeeper*.jar", home.display());
                return Err(Error::NoInstallation(why));
            }
            let classpath = format!("{0}/lib/*:{0}/*", home.display());
            return Ok(Self { java, classpath, place: home.display().to_string() });
        }
        let jar = Path::new(DEBIAN).join("zookeeper.jar");
        if !jar.exists() {
            return Err(Error::NoInstallation(format!("there is no {}", jar.display())));
        }
        // The version is in the name of a link beside it; the other jars are found by the manifest's class path.
        let place = std::fs::read_dir(DEBIAN)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .find(|path| is_versioned(path))
            .unwrap_or_else(|| jar.clone());
        let classpath = format!("{}:{DEBIAN}/slf4j-simple.jar", jar.display());
        Ok(Self { java, classpath, place: place.display().to_string() })
    }
}

fn is_versioned(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_prefix("zookeeper-").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn has_jar(directory: &Path) -> bool {
    std::fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| is_versioned(&entry.path()))
}

fn find_java() -> Option<PathBuf> {
    let homes = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin"));
    let paths = std::env::var_os("PATH").unwrap_or_default();
    homes.into_iter().chain(std::env::split_paths(&paths)).map(|path| path.join("java")).find(|java| java.is_file())
}

#[derive(Debug)]
pub(crate) struct ProcessNode {
    installation: Installation,
    directory: TempDir,
    jvm_flags: Vec<String>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    server: Child,
    watcher: Child,
}

impl ProcessNode {
    /// `lines` are those of zoo.cfg that name the ports.
    pub(crate) fn launch(installation: &Installation, launch: &Launch<'_>, lines: &[String]) -> Result<Self, Error> {
        let directory =
            tempfile::Builder::new().prefix("fairlock-zookeeper-").tempdir().map_err(Error::io("make a directory"))?;
        let settings = launch.settings;
        let mut config = vec![
            format!("dataDir={}", directory.path().display()),
            format!("tickTime={}", settings.tick_millis()),
            format!("initLimit={}", settings.init_limit),
            format!("syncLimit={}", settings.sync_limit),
            "maxClientCnxns=0".to_owned(),
            "admin.enableServer=false".to_owned(),
            "4lw.commands.whitelist=*".to_owned(),
        ];
        config.extend(lines.iter().chain(launch.peers).cloned());
        config.extend(settings.extra_lines());
        let write = |name: &str, content: String| std::fs::write(directory.path().join(name), content + "\n");
        write("zoo.cfg", config.join("\n")).map_err(Error::io("write zoo.cfg"))?;
        write("myid", launch.id.to_string()).map_err(Error::io("write myid"))?;
        let node = Self {
            installation: installation.clone(),
            directory,
            jvm_flags: settings.jvm_flags(),
            running: Mutex::new(None),
        };
        node.spawn()?;
        Ok(node)
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn spawn(&self) -> Result<(), Error> {
        let log = File::options().create(true).append(true).open(self.log_file()).map_err(Error::io("open the log"))?;
        let copy = log.try_clone().map_err(Error::io("open the log"))?;
        let server = Command::new(&self.installation.java)
            .args(&self.jvm_flags)
            .args(["-cp", &self.installation.classpath, "org.apache.zookeeper.server.quorum.QuorumPeerMain"])
            .arg(self.directory.path().join("zoo.cfg"))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            .spawn()
            .map_err(Error::io("start java"))?;
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, "sh", &server.id().to_string()])
            .arg(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut running = Running { server, watcher: watcher.map_err(Error::io("start a shell"))? };
        let mut place = self.running();
        if let Some(mut old) = place.take() {
            end(&mut old);
        }
        if let Ok(Some(status)) = running.server.try_wait() {
            end(&mut running);
            return Err(Error::Io { what: "start java", source: std::io::Error::other(status.to_string()) });
        }
        *place = Some(running);
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let running = self.running();
        let pid = running.as_ref().and_then(|running| Pid::from_raw(running.server.id().try_into().ok()?));
        match pid {
            Some(pid) => kill_process(pid, signal)
                .map_err(|error| Error::Io { what: "send a signal to the server", source: error.into() }),
            None => Ok(()),
        }
    }

    pub(crate) async fn start(&self) -> Result<(), Error> {
        self.spawn()
    }

    pub(crate) async fn stop(&self) -> Result<(), Error> {
        self.signal(Signal::TERM)?;
        let stopped = async {
            while self.is_running()? {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        };
        match tokio::time::timeout(STOP_PATIENCE, stopped).await {
            Ok(stopped) => stopped?,
            Err(_) => self.signal(Signal::KILL)?,
        }
        self.kill().await
    }

    pub(crate) async fn kill(&self) -> Result<(), Error> {
        if let Some(mut running) = self.running().take() {
            end(&mut running);
        }
        Ok(())
    }

    pub(crate) async fn pause(&self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    pub(crate) async fn unpause(&self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    pub(crate) fn is_running(&self) -> Result<bool, Error> {
        match self.running().as_mut() {
            Some(running) => {
                running.server.try_wait().map(|status| status.is_none()).map_err(Error::io("look after the server"))
            }
            None => Ok(false),
        }
    }

    pub(crate) fn cpu_time(&self) -> Result<Duration, Error> {
        let id = self.running().as_ref().map(|running| running.server.id());
        let what = "read the processor time of the server";
        let id = id.ok_or_else(|| Error::io(what)(std::io::Error::other("it is not running")))?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).map_err(Error::io(what))?;
        let ticks = ticks(&stat).ok_or_else(|| Error::io(what)(std::io::Error::other(stat.clone())))?;
        // As a whole number of nanoseconds, so that nothing is lost.
        Ok(Duration::from_nanos(ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))))
    }

    pub(crate) fn log(&self) -> String {
        let read = || {
            let mut file = File::open(self.log_file())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
            let mut end = Vec::new();
            file.read_to_end(&mut end)?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&end).into_owned())
        };
        read().unwrap_or_default()
    }
}

/// Those of a process for its users and for the system, as proc(5) has them: the 14th and the 15th of all fields. The second is a
/// name in brackets, which may have anything in it.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

/// The watcher goes first: it must not kill a process that has got the server's id afterwards.
fn end(running: &mut Running) {
    for child in [&mut running.watcher, &mut running.server] {
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for ProcessNode {
    fn drop(&mut self) {
        if let Some(mut running) = self.running().take() {
            end(&mut running);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 1100 22 13 14 20";
        assert_eq!(ticks(stat), Some(1_122));
        assert_eq!(ticks("7 (java) S 1 2"), None);
        assert_eq!(ticks(""), None);
    }
}
