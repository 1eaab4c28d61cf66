//! `fairlock revoke`: the holder is asked for its lock, and what it says is told.

use std::io::{self, Write as _};
use std::time::Duration;

use fairlock::recipes::{ReleaseAnswer, ReleaseRequest};
use fairlock::{Error, Fairlock};

use crate::args::RevokeArgs;
use crate::exit::{self, Exit, Failure};
use crate::look::text::clean;
use crate::look::{Kind, Member};
use crate::settings;
use crate::settings::Settings;

/// How long an answer is waited for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// The longest reason that the library passes on.
const REASON_BYTES_MAX: usize = 512;

/// Too many ask already.
#[derive(Debug, thiserror::Error)]
#[error(
    "{requests} others have asked the holder of {lock} already, and no more are kept; wait for it, or remove it by force with fairlock break"
)]
struct Crowded {
    lock: String,
    requests: usize,
}

/// Runs the command.
pub(crate) async fn run(args: RevokeArgs, settings: Settings) -> Result<Exit, Failure> {
    fairlock::LockPath::new(&args.lock)?;
    let locks = settings.open("fairlock").await?;
    let outcome = ask(&args, &locks).await;
    settings::close(&locks).await;
    outcome.map_err(Failure::without_a_lock)
}

async fn ask(args: &RevokeArgs, locks: &Fairlock) -> Result<Exit, Failure> {
    let lock = locks.mutex(&args.lock)?;
    // Before: who is asked may be gone a moment after.
    let holders = lock.contenders().await?;
    let request = lock.request_release(&args.reason).await.map_err(|error| unasked(error, args))?;
    let Some(request) = request else {
        exit::warn(format_args!("{}", why_nobody(args, locks).await?));
        return Ok(Exit::ClaimFailed);
    };
    let asked = holders.iter().find(|holder| holder.token == request.holder());
    let who = asked.map_or_else(|| "the holder".to_owned(), |asked| Member::new(asked, &Kind::Lock).who());
    say(format_args!("asked {who}, fencing token {}, for {}", request.holder(), args.lock))?;
    let patience = match args.wait {
        Some(None) => None,
        Some(Some(limit)) => Some(limit),
        None => return answer(&request, ANSWER_PATIENCE, &who).await,
    };
    let begun = tokio::time::Instant::now();
    // Only to be told: what counts is that the lock is held no more.
    let first = ANSWER_PATIENCE.min(patience.unwrap_or(ANSWER_PATIENCE));
    if let Ok(Ok(ReleaseAnswer::Acknowledged(text))) = tokio::time::timeout(first, request.answered()).await {
        say(format_args!("{who} answers: {}", clean(&text)))?;
    }
    let rest = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
    match within(rest, request.released()).await {
        Some(released) => {
            released?;
            say(format_args!("{who} holds it no more"))?;
            Ok(Exit::Ok)
        }
        None => {
            exit::warn(format_args!("{who} still holds {}; fairlock break removes it by force", args.lock));
            Ok(Exit::ClaimFailed)
        }
    }
}

/// The reason and what it is about are told as too large; so many requests are no mistake of whoever asks.
fn unasked(error: Error, args: &RevokeArgs) -> Failure {
    match error {
        Error::TooLarge { bytes_max, .. } if args.reason.len() <= REASON_BYTES_MAX => {
            Failure::new(Exit::Other, Crowded { lock: args.lock.clone(), requests: bytes_max })
        }
        error => error.into(),
    }
}

/// Tells what the holder says, if it says something in time. Silence is no failure: it was asked.
async fn answer(request: &ReleaseRequest, patience: Duration, who: &str) -> Result<Exit, Failure> {
    match within(Some(patience), request.answered()).await {
        Some(Ok(ReleaseAnswer::Acknowledged(text))) => say(format_args!("{who} answers: {}", clean(&text)))?,
        Some(Ok(_)) => say(format_args!("{who} holds it no more"))?,
        Some(Err(error)) => return Err(error.into()),
        None => exit::warn(format_args!("no answer within {patience:?}; {who} may not look, or answer later")),
    }
    Ok(Exit::Ok)
}

async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// Why there is nobody to ask.
async fn why_nobody(args: &RevokeArgs, locks: &Fairlock) -> Result<String, Error> {
    let found = locks.locks_at(&args.lock).await?;
    let holders: Vec<_> = found.iter().flat_map(|info| &info.holders).collect();
    Ok(match holders[..] {
        [] => format!("nobody holds {}", args.lock),
        [holder, ..] if holder.permits().is_some() => {
            format!("{} is a semaphore, whose holders cannot be asked; fairlock break removes one by force", args.lock)
        }
        _ => format!("those who share {} cannot be asked; fairlock break removes one by force", args.lock),
    })
}

fn say(what: std::fmt::Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    // Somebody may wait for it at the other end of a pipe.
    out.flush()
}
