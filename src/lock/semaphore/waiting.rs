//! From the turn to the permits.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Semaphore;
use crate::driver::{Hold, Progress};
use crate::error::Error;
use crate::lock::acquire::AcquireOptions;
use crate::lock::contend::{self, Entry};
use crate::pauses;
use crate::queue::{Limits, Mode, Patience};
use crate::store::{Operation, StoreErrorKind};

/// The pause before the directory of permits is made anew once more.
const ANEW_PAUSE: Duration = Duration::from_millis(20);

/// How often it is begun again because the directory of permits was removed meanwhile.
pub(super) const REMOVALS_MAX: u32 = 8;

/// Whether the directory of permits was removed by hand before the contender could enter.
pub(super) fn is_removed(error: &Error) -> bool {
    matches!(error, Error::Store { source, .. } if source.kind() == StoreErrorKind::NoNode)
}

impl Semaphore {
    pub(super) async fn wait(&self, count: NonZeroU32, mut options: AcquireOptions) -> Result<Hold, Error> {
        // Boxed, here and below: it is large and soon over, and whoever waits would keep room for it.
        Box::pin(self.agree(count.get())).await?;
        let mut entry = self.entry(Mode::Exclusive, Patience::Wait);
        let ticket = entry.ticket.clone();
        let progress = options.take_progress();
        entry.progress = progress.clone();
        let turn = contend::contend(&self.shared, entry).await?;
        if let Some(progress) = &progress {
            // Nobody is ahead among those who wait.
            progress.sender.send_replace(Progress { ahead: Some(0), holder: None });
        }
        let mut removals = 0;
        loop {
            let mut entry = self.entry(Mode::Permits(count), Patience::Wait);
            // The same, so that one who lists both places sees that it is one contender.
            entry.ticket = ticket.clone();
            entry.hold_limit = options.hold_limit();
            let granted = tokio::select! {
                biased;
                granted = contend::contend(&self.shared, entry) => granted,
                reason = turn.gone() => Err(Error::lost_while_waiting(self.path.as_str(), reason)),
            };
            match granted {
                Err(error) if is_removed(&error) && removals < REMOVALS_MAX => {
                    removals += 1;
                    Box::pin(self.agree(count.get())).await?;
                }
                Err(Error::QueueExhausted { .. }) => Box::pin(self.start_numbers_again(&turn)).await?,
                // The turn is given up here, when the permits are there: so whoever comes next enters behind.
                granted => return granted,
            }
        }
    }

    /// Makes the directory of permits anew once all permits have been given back, so that numbers start again at 0. Meanwhile
    /// nobody is granted, since nobody else has the turn.
    async fn start_numbers_again(&self, turn: &Hold) -> Result<(), Error> {
        let (session, place) = (turn.session(), self.room.as_value());
        let failed = |error| Error::from_store("make the directory of permits anew", place.as_str(), error);
        loop {
            let watched = match session.read_surely(|| session.store().watch_members(&self.room)).await {
                Ok(watched) => watched,
                Err(error) if error.kind() == StoreErrorKind::NoNode => return Ok(()),
                Err(error) => return Err(failed(error)),
            };
            if watched.names.is_empty() {
                let (agreement, version) = self.agreement(session).await?;
                let (path, data) = (place.to_string(), agreement.to_bytes());
                let anew = [
                    Operation::Delete { path: path.clone(), version: Some(version) },
                    Operation::Create { path, data },
                ];
                match session.write(session.store().commit(turn.node_path(), &anew)).await {
                    Ok(()) => return Ok(()),
                    Err(error) => match error.kind() {
                        // Somebody has entered, changed the number, or the reply was lost: look again.
                        StoreErrorKind::NotEmpty | StoreErrorKind::VersionMismatch | StoreErrorKind::Unknown => {}
                        StoreErrorKind::NoNode => return Ok(()),
                        _ => return Err(failed(error)),
                    },
                }
                tokio::time::sleep(ANEW_PAUSE).await;
                continue;
            }
            tokio::select! {
                biased;
                reason = turn.gone() => return Err(Error::lost_while_waiting(self.path.as_str(), reason)),
                () = watched.event => {},
                // Servers withhold an event if READ was revoked meanwhile.
                () = tokio::time::sleep(pauses::until_next_look()) => {},
            }
        }
    }

    pub(super) fn entry(&self, mode: Mode, patience: Patience) -> Entry<'_> {
        let is_for_permits = matches!(mode, Mode::Permits(_));
        // Only an agreement makes the directory of permits.
        let make_queue_max = if is_for_permits { 0 } else { self.shared.limits.make_queue_max };
        Entry {
            lock: &self.path,
            queue: if is_for_permits { &self.room } else { &self.turns },
            ticket: self.shared.new_ticket(),
            mode,
            patience,
            expects_readers: false,
            share: None,
            earlier: None,
            limits: Limits { make_queue_max, ..self.shared.limits },
            hold_limit: None,
            lapses: is_for_permits,
            progress: None,
        }
    }
}
