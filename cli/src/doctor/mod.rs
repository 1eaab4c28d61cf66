//! `fairlock doctor`: what is wrong with the servers, or with how they are reached. The library looks, this judges.

mod agreement;
mod ensemble;
mod finding;
mod report;
mod servers;
mod words;

use std::io::{self, IsTerminal as _};

use fairlock::LockPath;
use fairlock::store::OpenOptions;
use fairlock::store::zookeeper::probe::{self, Contact};

use self::ensemble::Wanted;
use self::finding::{Finding, Verdict, worst};
use crate::args::DoctorArgs;
use crate::exit::{Exit, Failure};
use crate::settings::{self, Settings};

/// Runs the command.
pub(crate) async fn run(args: &DoctorArgs, settings: &Settings) -> Result<Exit, Failure> {
    let root = match args.root.as_str() {
        "/" => None,
        path => Some(LockPath::new(path)?),
    };
    let store = settings.store()?;
    let mut options = OpenOptions::default();
    options.session_timeout = settings.session_timeout.value;
    options.connect_timeout = settings.connect_timeout.value;

    let servers = probe::servers(&store, &options).await?;
    let mut findings: Vec<_> =
        servers.iter().flat_map(|server| servers::judge(server, options.session_timeout)).collect();
    let is_any_there = servers.iter().any(|server| server.contact == Contact::ZooKeeper);
    // Where no server opens a session, there is nothing to be learnt from waiting for one.
    let outcome = if servers.iter().any(|server| server.session.is_ok()) {
        Some(probe::ensemble(&store, root.as_ref(), &options).await)
    } else {
        None
    };
    let ensemble = outcome.as_ref().and_then(|outcome| outcome.as_ref().ok());
    if is_any_there {
        findings.extend(agreement::judge(&servers, ensemble, options.session_timeout));
    }
    if let Some(outcome) = &outcome {
        let schemes = settings.credentials.iter().map(|credential| credential.value.scheme.as_str()).collect();
        let wanted = Wanted { root: &args.root, session_timeout: options.session_timeout, schemes };
        findings.extend(ensemble::judge(outcome, &servers, &wanted));
    }
    findings.extend(settings.secret_files.iter().filter_map(|path| settings::exposure(path)).map(|exposed| {
        Finding::warning("settings.secrets", "a file with secrets can be read by others").advise(exposed)
    }));

    let exit = match worst(&findings) {
        _ if !is_any_there => Exit::CannotConnect,
        Verdict::Problem => Exit::ClaimFailed,
        Verdict::Ok | Verdict::Unknown | Verdict::Warning => Exit::Ok,
    };
    let mut out = io::stdout().lock();
    let told = if args.json {
        report::document(&findings, &servers, ensemble, &mut out)
    } else {
        let color = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        report::print(&findings, color, &mut out)
    };
    match told {
        // Who closes the pipe has seen enough, and still learns how it ended.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        told => Ok(told.map(|()| exit)?),
    }
}
