//! How many permits there are, and how many of them are taken.

use super::{Semaphore, some};
use crate::error::Error;
use crate::permits::Agreement;
use crate::queue::read_children;
use crate::session::Session;
use crate::store::{Expected, StoreErrorKind};

impl Semaphore {
    /// How many permits the semaphore has, as the server at hand knows. Stores the declared number if nobody has yet.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn permits(&self) -> Result<u32, Error> {
        Ok(self.agree(0).await?.permits())
    }

    /// How many permits are free, as the server at hand knows; none while somebody waits. For people and dashboards: when it is read
    /// it may be otherwise.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn available_permits(&self) -> Result<u32, Error> {
        let permits = self.agree(0).await?.permits();
        Ok(u32::try_from(self.taken().await?).map_or(0, |taken| permits.saturating_sub(taken)))
    }

    /// Changes the number of permits for all, and returns what it was.
    ///
    /// More permits: whoever is next is told at once. Fewer: nothing is taken from anybody, permits just are not given out again
    /// until no more than the new number are held; and whoever waits for more than that fails with
    /// [`Error::TooManyPermits`]. Who asks for permits after this has returned is granted by the new number; a grant that is under
    /// way may still go by the old one.
    ///
    /// Processes may go on declaring the number that the semaphore had at first, or the new one, but no other.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] for no permits, [`Error::UnknownOutcome`] if the reply was lost: call it again; otherwise as
    /// [`Semaphore::acquire`].
    ///
    /// # Cancel safety
    ///
    /// The number may be changed even if the future is dropped.
    pub async fn resize(&self, permits: u32) -> Result<u32, Error> {
        some(permits, "a semaphore has at least one permit")?;
        loop {
            let session = self.shared.pool.session().await?;
            let (agreement, version) = self.agreement(&session).await?;
            if agreement.permits() == permits {
                return Ok(permits);
            }
            let (place, data) = (self.room.as_value(), agreement.resized(permits).to_bytes());
            match session.write(session.store().write_value(&place, &data, Expected::Version(version))).await {
                Ok(_) => return Ok(agreement.permits()),
                Err(error) => match error.kind() {
                    // Changed or removed meanwhile.
                    StoreErrorKind::VersionMismatch | StoreErrorKind::NoNode => {}
                    StoreErrorKind::Unknown => return Err(Error::UnknownOutcome { source: error }),
                    _ => return Err(Error::from_store("change the number of permits", place.as_str(), error)),
                },
            }
        }
    }

    /// How many permits are held or waited for by whoever has its turn.
    pub(super) async fn taken(&self) -> Result<u64, Error> {
        let session = self.shared.pool.session().await?;
        match session.read_surely(|| session.store().survey(&self.room)).await {
            Ok(names) => {
                let contenders = read_children(&names).contenders;
                Ok(contenders.iter().filter_map(|contender| contender.permits()).map(u64::from).sum())
            }
            Err(error) if error.kind() == StoreErrorKind::NoNode => Ok(0),
            Err(error) => Err(Error::from_store("list who has permits", self.path.as_str(), error)),
        }
    }

    /// Makes sure that all mean the same semaphore, and that it has as many permits as are asked for.
    pub(super) async fn agree(&self, asked: u32) -> Result<Agreement, Error> {
        let session = self.shared.pool.session().await?;
        let (agreement, _) = self.agreement(&session).await?;
        let (path, permits) = (self.path.to_string(), agreement.permits());
        if !agreement.is_met_by(self.permits) {
            return Err(Error::PermitsMismatch { path, declared: self.permits, found: permits });
        }
        if asked > permits {
            return Err(Error::TooManyPermits { path, asked, permits });
        }
        Ok(agreement)
    }

    /// What was agreed, and the version of that; if nothing was yet, what this process declares.
    pub(super) async fn agreement(&self, session: &Session) -> Result<(Agreement, i32), Error> {
        let place = self.room.as_value();
        loop {
            match session.read_surely(|| session.store().read_value(&place)).await {
                Ok(Some(value)) => {
                    let agreement = Agreement::parse(&value.data);
                    let missing = || Error::NoAgreement { path: place.to_string() };
                    return Ok((agreement.ok_or_else(missing)?, value.version));
                }
                Ok(None) => {}
                Err(error) => return Err(Error::from_store("read the number of permits", place.as_str(), error)),
            }
            let data = Agreement::new(self.permits).to_bytes();
            match session.write(session.store().write_value(&place, &data, Expected::Absent)).await {
                // It is read again in any case: what counts is what is there.
                Ok(_) => {}
                Err(error) if matches!(error.kind(), StoreErrorKind::NodeExists | StoreErrorKind::Unknown) => {}
                Err(error) => return Err(Error::from_store("store the number of permits", place.as_str(), error)),
            }
        }
    }
}
