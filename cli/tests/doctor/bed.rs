//! What the tests share: the program, a server, and a client that is not this program.

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fairlock_testcontainers::Server;
use serde_json::Value;
use tokio::sync::OnceCell;
use zookeeper_client as zk;

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// What the program found.
pub(crate) struct Report {
    pub(crate) code: i32,
    pub(crate) document: Value,
}

impl Report {
    fn find(&self, check: &str, server: Option<&str>) -> Option<&Value> {
        let findings = self.document["findings"].as_array()?;
        findings.iter().find(|finding| finding["check"] == check && finding["server"].as_str() == server)
    }

    /// Expects a finding about all servers together.
    #[track_caller]
    pub(crate) fn expect(&self, check: &str, verdict: &str, told: &str) {
        self.expect_about(None, check, verdict, told);
    }

    #[track_caller]
    pub(crate) fn expect_about(&self, server: Option<&str>, check: &str, verdict: &str, told: &str) {
        let Some(finding) = self.find(check, server) else { panic!("no {check} of {server:?} in {}", self.document) };
        let found = finding["found"].as_str().unwrap_or_default();
        assert!(
            finding["verdict"] == verdict && found.contains(told),
            "{check} should be {verdict} {told:?}: {finding}"
        );
    }

    /// The checks that are problems.
    pub(crate) fn problems(&self) -> Vec<&str> {
        let findings = self.document["findings"].as_array().into_iter().flatten();
        findings
            .filter(|finding| finding["verdict"] == "problem")
            .filter_map(|finding| finding["check"].as_str())
            .collect()
    }
}

/// The program, with nothing of this process's own settings.
pub(crate) fn program(args: &[&str], auth: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairlock"));
    command.arg("doctor").args(args).stdin(Stdio::null());
    for name in ["SERVERS", "PROFILE", "CONFIG", "AUTH", "AUTH_FILE", "SESSION_TIMEOUT", "CONNECT_TIMEOUT", "CHROOT"] {
        command.env_remove(format!("FAIRLOCK_{name}"));
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    if let Some(auth) = auth {
        command.env("FAIRLOCK_AUTH", auth);
    }
    command
}

pub(crate) fn doctor_as(auth: Option<&str>, args: &[&str]) -> Result<Report, Box<dyn Error>> {
    let output = program(&[args, &["--json"]].concat(), auth).output()?;
    let text = String::from_utf8(output.stdout)?;
    if let Some((_, secret)) = auth.and_then(|auth| auth.split_once(':')) {
        assert!(!text.contains(secret), "the secret is shown: {text}");
    }
    let document = serde_json::from_str(&text)
        .map_err(|error| format!("{error}: {text:?}, {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(Report { code: output.status.code().ok_or("a signal")?, document })
}

pub(crate) fn doctor(args: &[&str]) -> Result<Report, Box<dyn Error>> {
    doctor_as(None, args)
}

/// The server that all tests share. It ends with this process; what that leaves is removed by the next start.
pub(crate) async fn server() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            // The server must outlive the runtime of the test that happens to come first.
            let started = std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
                runtime.block_on(Server::builder().property("enforceQuota", "true").start())
            });
            let server = tokio::task::spawn_blocking(|| started.join()).await.expect("no panic").expect("no panic");
            server.expect("a server can be started")
        })
        .await
}

pub(crate) fn unused_path() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("/doctor-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) async fn raw(address: &str) -> Result<zk::Client, zk::Error> {
    zk::Client::connector().with_session_timeout(Duration::from_secs(10)).connect(address).await
}

pub(crate) const OPEN: zk::CreateOptions<'static> = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
