//! What applications do with a read-write lock that they hold: a writer becomes a reader, a reader tries to become a writer.

use std::sync::Arc;

use fairlock::{Error, NotConverted, RwLock, WriteGuard};
use fastrand::Rng;
use tokio::time::timeout;

use super::{Attempt, Workload, ms};
use crate::facts::{Fact, Token};
use crate::guard::AnyGuard;

impl Workload {
    /// Whether this is one who converts.
    pub(super) fn converts(&self, rng: &mut Rng) -> bool {
        // Nothing is drawn where nobody shares or converts.
        self.plan.sharing > 0 && self.plan.converting > 0 && rng.u32(..10) < self.plan.converting
    }

    pub(super) async fn acquire_as_writer(&self, lock: &RwLock, rng: &mut Rng) -> Option<WriteGuard> {
        let limit = ms(rng.u64(..2 * self.plan.timeout_ms));
        let way = rng.u8(..4);
        let acquired = match way {
            0 => lock.write_timeout(limit).await,
            1 => match lock.try_write().await {
                Ok(None) => return None,
                Ok(Some(guard)) => Ok(guard),
                Err(error) => Err(error),
            },
            _ => lock.write().await,
        };
        acquired.map_err(|error| self.failed(&error, way == 0)).ok()
    }

    /// Converts a guard, or has it as it was; `None` if its future was dropped.
    pub(super) async fn convert(
        &self,
        attempt: &Attempt,
        guard: Arc<AnyGuard>,
        rng: &mut Rng,
    ) -> Option<Arc<AnyGuard>> {
        let (lock, token) = (attempt.lock, guard.fencing_token().as_i64());
        {
            let mut world = self.network.lock();
            world.observe(Fact::Converting { lock, token });
            world.book.unhold(lock, token);
        }
        // Dropped at an early await, or late, or not at all.
        let patience_ms = match rng.u8(..6) {
            0 => rng.u64(..=self.plan.latency_ms),
            1 => rng.u64(..=6 * self.plan.latency_ms),
            _ => u64::from(u32::MAX),
        };
        let guard = Arc::try_unwrap(guard).expect("nobody else keeps it");
        let converted = match guard {
            AnyGuard::Writing(writer) => match timeout(ms(patience_ms), writer.downgrade()).await {
                Ok(Ok(reader)) => Ok(AnyGuard::Shared(reader)),
                Ok(Err(refused)) => Err(self.not_converted(refused, AnyGuard::Writing)),
                Err(_) => return self.given_up(attempt, token),
            },
            AnyGuard::Shared(reader) => {
                // A second node for as long.
                let _second = Attempt::begin(&self.network, lock, attempt.client);
                match timeout(ms(patience_ms), reader.try_upgrade()).await {
                    Ok(Ok(writer)) => Ok(AnyGuard::Writing(writer)),
                    Ok(Err(refused)) => Err(self.not_converted(refused, AnyGuard::Shared)),
                    Err(_) => return self.given_up(attempt, token),
                }
            }
            other => unreachable!("it is not converted: {other:?}"),
        };
        Some(match converted {
            Ok(guard) => self.converted(attempt, token, Arc::new(guard)),
            Err(guard) => {
                let guard = Arc::new(guard);
                let mut world = self.network.lock();
                world.observe(Fact::NotConverted { lock, token });
                world.book.hold(lock, token, Arc::downgrade(&guard), guard.shares());
                drop(world);
                guard
            }
        })
    }

    fn converted(&self, attempt: &Attempt, from: Token, guard: Arc<AnyGuard>) -> Arc<AnyGuard> {
        let (lock, to) = (attempt.lock, guard.fencing_token().as_i64());
        if to != from {
            self.granted(attempt, &guard, Some(from));
        }
        let mut world = self.network.lock();
        world.observe(Fact::Converted { lock, from, to, valid: guard.is_valid() });
        if to == from {
            world.book.hold(lock, to, Arc::downgrade(&guard), guard.shares());
        } else {
            world.observe(Fact::Ended { lock, token: from });
        }
        drop(world);
        guard
    }

    fn not_converted<G>(&self, refused: NotConverted<G>, as_guard: impl FnOnce(G) -> AnyGuard) -> AnyGuard {
        let (guard, error) = refused.into_parts();
        match error {
            Error::UpgradeRefused { .. } | Error::LockLost { .. } => {}
            error => self.failed(&error, false),
        }
        as_guard(guard)
    }

    fn given_up<T>(&self, attempt: &Attempt, token: Token) -> Option<T> {
        let lock = attempt.lock;
        let mut world = self.network.lock();
        world.observe(Fact::NotConverted { lock, token });
        world.observe(Fact::Ended { lock, token });
        drop(world);
        self.cancelled()
    }
}
