//! A server as a process: it ends, and its data goes, when its value is dropped or this program ends in whatever way.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::debian::Program;
use crate::error::{Error, Result};

/// How long a server may take to serve.
const STARTING: Duration = Duration::from_secs(60);

/// Runs a server until it ends or standard input does, which it does at the latest with this program; then removes
/// the folder. Signals from a terminal are for this program, which ends the input.
const KEEPER: &str = r#"
trap '' INT TERM
folder=$1
shift
exec 3<&0
"$@" < /dev/null 3<&- &
server=$!
{ read -r _ <&3; kill -9 $server; } 2> /dev/null &
reader=$!
wait $server
kill -9 $reader 2> /dev/null
rm -rf "$folder"
"#;

pub(super) struct Process {
    keeper: Child,
    /// Its end is the end of the server.
    input: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts a server that keeps its data in this folder, and says what it says in this file.
    pub(super) fn start(program: &Program, arguments: &[String], folder: &Path, log: PathBuf) -> Result<Self> {
        let said = File::create(&log).map_err(Error::io(format!("write {}", log.display())))?;
        let also_said = said.try_clone().map_err(Error::io(format!("write {}", log.display())))?;
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh"]).arg(folder).arg(&program.path).args(arguments);
        command.envs(program.environment()).stdin(Stdio::piped()).stdout(said).stderr(also_said);
        let mut keeper = command.spawn().map_err(Error::io("start sh"))?;
        let input = keeper.stdin.take();
        Ok(Self { keeper, input, log })
    }

    /// Asks until the answer is as it should be, or the server has ended, or for too long.
    pub(super) async fn wait_until(&mut self, mut serves: impl AsyncFnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + STARTING;
        loop {
            if serves().await {
                return Ok(());
            }
            let ended = self.keeper.try_wait().map_err(Error::io("look after a server"))?.is_some();
            if ended || Instant::now() > deadline {
                let what = if ended { "ended at once" } else { "does not serve" };
                return Err(Error::Missing(format!("its server {what}; it said last: {}", self.said_last())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn said_last(&self) -> String {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        said.trim().lines().next_back().unwrap_or("nothing").to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        // A moment, in which the server is killed and its folder is removed.
        let _ = self.keeper.wait();
    }
}

/// A new folder for a server's data.
pub(super) fn folder(base: &Path) -> Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = base.join(format!("fairlock-benchmarks-{}-{number}", std::process::id()));
    // What is there is of a program that has ended and had the same number.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(Error::io(format!("make {}", folder.display())))?;
    Ok(folder)
}

/// Says something to a server, and hears what it says until it closes the connection or has said enough.
pub(super) async fn ask(port: u16, question: &str, enough: impl Fn(&str) -> bool) -> Option<String> {
    let ask = async {
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.ok()?;
        stream.write_all(question.as_bytes()).await.ok()?;
        let mut said = Vec::new();
        loop {
            let is_end = stream.read_buf(&mut said).await.ok()? == 0;
            let text = String::from_utf8_lossy(&said);
            if is_end || enough(&text) {
                return Some(text.into_owned());
            }
        }
    };
    timeout(Duration::from_secs(5), ask).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh() -> Program {
        Program::find("sh", &[], Path::new("/nowhere")).await.expect("installed")
    }

    async fn run(script: &str) -> (Process, PathBuf) {
        let folder = folder(&std::env::temp_dir()).expect("a folder");
        let log = folder.with_extension("log");
        let arguments = ["-c".to_owned(), script.to_owned(), "sh".to_owned(), folder.display().to_string()];
        (Process::start(&sh().await, &arguments, &folder, log).expect("started"), folder)
    }

    #[tokio::test]
    async fn a_server_that_ends_at_once_is_told_with_what_it_said_last() {
        let (mut process, folder) = run("echo one; echo no such option >&2; exit 1").await;
        let error = process.wait_until(async || false).await.expect_err("it has ended");
        assert_eq!(error.to_string(), "its server ended at once; it said last: no such option");
        assert!(!folder.exists(), "its folder is gone");
        let _ = std::fs::remove_file(&process.log);
    }

    #[tokio::test]
    async fn a_server_and_its_folder_go_with_the_value() {
        let (mut process, folder) = run("echo $$ > \"$1/pid\"; exec sleep 3600").await;
        let pid = folder.join("pid");
        let written = async || std::fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n'));
        process.wait_until(written).await.expect("it runs");
        let number = std::fs::read_to_string(&pid).expect("written").trim().to_owned();
        let proc = Path::new("/proc").join(number);
        assert!(proc.exists());
        let log = process.log.clone();
        drop(process);
        assert!(!folder.exists() && !proc.exists());
        let _ = std::fs::remove_file(log);
    }
}
