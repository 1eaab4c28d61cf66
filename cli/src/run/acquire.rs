//! Waiting for the lock: in the queue or not, for so long, and until a signal ends it.

use std::time::{Duration, Instant};

use fairlock::{AcquireOptions, Error};

use super::held::{Held, Lock};
use super::signals::{self, Signals};
use super::voice::Voice;
use crate::exit::{Exit, Failure};

/// Waits in the queue; a signal ends the wait at once, and so does the end of the longest time to wait, zero of which does not
/// queue. Then the exit tells which.
pub(super) async fn acquire(
    lock: &Lock,
    wait: Option<Duration>,
    signals: &mut Signals,
    voice: Voice,
) -> Result<Result<Held, Exit>, Failure> {
    let started = Instant::now();
    loop {
        let rest = wait.map(|wait| wait.saturating_sub(started.elapsed()));
        let attempt = async {
            match rest {
                Some(Duration::ZERO) => lock.try_acquire().await,
                _ => wait_in_queue(lock, rest, voice).await,
            }
        };
        let outcome = tokio::select! {
            biased;
            signal = signals.next() => {
                voice.say(format_args!("{} while waiting: leaving the queue", signals::name(signal)));
                return Ok(Err(signals::exit_for(signal.as_raw())));
            }
            outcome = attempt => outcome,
        };
        match outcome {
            Ok(Some(held)) => {
                voice.say(format_args!("granted after {:.1?}, fencing token {}", started.elapsed(), held.token()));
                return Ok(Ok(held));
            }
            Ok(None) | Err(Error::Timeout { .. }) => {
                voice.say(format_args!("not granted after {:.1?}", started.elapsed()));
                return Ok(Err(Exit::NotGranted));
            }
            // The place in the queue is gone, but whoever waits wants the lock, not the place.
            Err(error @ Error::SessionLost { .. }) => voice.warn(format_args!("{error}; queueing again")),
            Err(error) => return Err(error.into()),
        }
    }
}

async fn wait_in_queue(lock: &Lock, limit: Option<Duration>, voice: Voice) -> Result<Option<Held>, Error> {
    let mut options = AcquireOptions::default();
    if let Some(limit) = limit {
        options = options.timeout(limit);
    }
    if !voice.is_verbose {
        return lock.acquire(options).await.map(Some);
    }
    let (options, mut progress) = options.progress();
    let mut acquiring = std::pin::pin!(lock.acquire(options));
    loop {
        tokio::select! {
            biased;
            outcome = &mut acquiring => return outcome.map(Some),
            Some(place) = progress.changed() => {
                let holder = place.holder.map_or_else(|| "somebody".to_owned(), |holder| holder.to_string());
                if let Some(ahead) = place.ahead {
                    voice.say(format_args!("waiting: {ahead} ahead, held by {holder}"));
                }
            }
        }
    }
}
