//! `fairlock break`: a contender is removed by force, after it was shown and somebody has agreed.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use fairlock::{Contender, Fairlock, LockInfo, LockKind};

use crate::args::BreakArgs;
use crate::exit::{self, Exit, Failure};
use crate::look::text::{clean, span};
use crate::look::{Kind, Member};
use crate::settings;
use crate::settings::Settings;

/// Why nobody was removed.
#[derive(Debug, thiserror::Error)]
enum Unbroken {
    #[error("nobody holds {0} or waits for it")]
    Nobody(String),
    #[error("nobody at {lock} has the position or the node {contender}; fairlock queue {lock} lists them")]
    NoSuch { lock: String, contender: String },
    #[error("a lock and a semaphore share {0}; say which with --kind")]
    Ambiguous(String),
    #[error("{0} was not removed: it is gone, and whoever has come in its place is left alone")]
    Gone(String),
    #[error("{0} was not removed")]
    Declined(String),
    #[error("standard input is no terminal, so nobody can be asked; give --yes, and the node rather than the position")]
    NobodyToAsk,
}

/// Runs the command.
pub(crate) async fn run(args: BreakArgs, settings: Settings) -> Result<Exit, Failure> {
    fairlock::LockPath::new(&args.lock)?;
    // Known before anything is looked at.
    if !args.yes && !io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, Unbroken::NobodyToAsk));
    }
    let locks = settings.open("fairlock").await?;
    let outcome = remove(&args, &locks).await;
    settings::close(&locks).await;
    outcome.map_err(Failure::without_a_lock)
}

async fn remove(args: &BreakArgs, locks: &Fairlock) -> Result<Exit, Failure> {
    let failed = |why| Failure::new(Exit::ClaimFailed, why);
    let (info, contender) = find(args, locks).await?.map_err(failed)?;
    let member = Member::new(&contender, &kind_of(&info));
    let name = format!("{} ({})", member.node, member.who());
    if !args.yes && !agreed(&args.lock, &member).await? {
        return Err(failed(Unbroken::Declined(name)));
    }
    let is_removed = match info.kind {
        LockKind::Semaphore { permits } => {
            // Declared to nobody: removing compares no numbers.
            locks.semaphore(&args.lock, permits.unwrap_or(1))?.break_contender(&contender).await?
        }
        _ => locks.mutex(&args.lock)?.break_contender(&contender).await?,
    };
    if !is_removed {
        return Err(failed(Unbroken::Gone(name)));
    }
    writeln!(io::stdout(), "removed {name} from {}", args.lock)?;
    if member.holds {
        exit::warn(format_args!(
            "it held the lock; if it is cut off or paused, it may be at work still: only what checks the fencing token is safe from it"
        ));
    }
    Ok(Exit::Ok)
}

fn kind_of(info: &LockInfo) -> Kind {
    match info.kind {
        LockKind::Semaphore { permits } => Kind::Semaphore(permits),
        _ => Kind::Lock,
    }
}

/// Whoever is meant, as it is now.
async fn find(args: &BreakArgs, locks: &Fairlock) -> Result<Result<(LockInfo, Contender), Unbroken>, fairlock::Error> {
    let mut found = Vec::new();
    for info in locks.locks_at(&args.lock).await? {
        let is_meant = match args.kind.as_deref() {
            None => true,
            Some(kind) => (kind == "semaphore") == matches!(info.kind, LockKind::Semaphore { .. }),
        };
        if is_meant {
            let contenders = locks.contenders_of(&info).await?;
            if !contenders.is_empty() {
                found.push((info, contenders));
            }
        }
    }
    if found.is_empty() {
        return Ok(Err(Unbroken::Nobody(args.lock.clone())));
    }
    let is_it = |contender: &Contender| {
        contender.sequence.node_name() == args.contender || args.contender.parse() == Ok(contender.position)
    };
    let mut candidates: Vec<_> = found
        .into_iter()
        .filter_map(|(info, contenders)| contenders.into_iter().find(is_it).map(|contender| (info, contender)))
        .collect();
    Ok(match (candidates.pop(), candidates.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Unbroken::Ambiguous(args.lock.clone())),
        (None, _) => Err(Unbroken::NoSuch { lock: args.lock.clone(), contender: clean(&args.contender) }),
    })
}

/// Shows who it is, and waits for an answer.
async fn agreed(lock: &str, member: &Member) -> io::Result<bool> {
    let now = {
        use fairlock::clock::{Clock as _, HostClock};
        HostClock.unix_millis()
    };
    let age = member.age_ms(now).map_or_else(|| "unknown".to_owned(), span);
    let text = format!(
        "{lock}\n  position  {}\n  role      {}, {}\n  who       {}\n  age       {age}\n  session   {}\n  token     {}\n  node      {}\n\
         Remove it by force? [y/N] ",
        member.place,
        member.role(),
        member.mode.words(),
        member.who(),
        member.session(),
        member.token,
        member.node,
    );
    io::stderr().write_all(text.as_bytes())?;
    // On a thread of its own, so that the session is kept alive meanwhile.
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.map_err(io::Error::other)??;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
