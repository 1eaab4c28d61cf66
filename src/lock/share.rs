//! What a guard of a share tells, of whatever kind: all that a [`Guard`](super::Guard) tells, and no transactions.

/// Gives a type with a `guard` that guard's news, and its release.
macro_rules! tells_like_a_guard {
    ($share:ident) => {
        impl $share {
            /// The path that it was acquired at.
            pub fn path(&self) -> &$crate::LockPath {
                self.guard.path()
            }

            /// Whether it may be relied upon now; see [`Guard::is_valid`](crate::Guard::is_valid).
            pub fn is_valid(&self) -> bool {
                self.guard.is_valid()
            }

            /// Why it is lost; `None` while it may be relied upon.
            pub fn loss(&self) -> Option<$crate::LossReason> {
                self.guard.loss()
            }

            /// Whether it is held, in doubt, or lost.
            pub fn validity(&self) -> $crate::Validity {
                self.guard.validity()
            }

            /// How much longer it may be relied upon if nothing more is heard from the servers; zero once it is lost.
            pub fn valid_for(&self) -> std::time::Duration {
                self.guard.valid_for()
            }

            /// Waits until it is lost, and says why.
            ///
            /// # Cancel safety
            ///
            /// May be dropped and called again; a loss is never missed.
            pub async fn lost(&self) -> $crate::LossReason {
                self.guard.lost().await
            }

            /// Runs the work as long as it is held; see [`Guard::protect`](crate::Guard::protect).
            ///
            /// # Errors
            ///
            /// [`Error::LockLost`](crate::Error::LockLost) if it was lost before the work was done.
            ///
            /// # Cancel safety
            ///
            /// Dropping the future drops the work's future; what is held stays held.
            pub async fn protect<T>(&self, work: impl Future<Output = T>) -> Result<T, $crate::Error> {
                self.guard.protect(work).await
            }

            /// Gives it back and waits until that is certain; see [`Guard::release`](crate::Guard::release).
            ///
            /// # Errors
            ///
            /// As [`Guard::release`](crate::Guard::release).
            ///
            /// # Cancel safety
            ///
            /// As [`Guard::release`](crate::Guard::release).
            pub fn release(self) -> impl Future<Output = Result<(), $crate::Error>> + Send {
                self.guard.release()
            }
        }
    };
}

pub(super) use tells_like_a_guard;
