//! Options of an acquisition.

use std::time::Duration;

use tokio::sync::watch;

use crate::driver::{Progress, ProgressOptions};

/// How often a waiter's place is looked up, unless told otherwise.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How to acquire; for [`Mutex::acquire_with`](crate::Mutex::acquire_with).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// # use fairlock::{AcquireOptions, Fairlock, store::memory::Memory};
/// # use std::time::Duration;
/// # let lock = Fairlock::builder().open(Memory::new()).await?.mutex("/a")?;
/// let (options, mut progress) = AcquireOptions::default().timeout(Duration::from_secs(60)).progress();
/// tokio::spawn(async move {
///     while let Some(place) = progress.changed().await {
///         println!("{:?} ahead, held by {:?}", place.ahead, place.holder);
///     }
/// });
/// let guard = lock.acquire_with(options).await?;
/// # guard.release().await }
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct AcquireOptions {
    timeout: Option<Duration>,
    hold_limit: Option<Duration>,
    progress: Option<watch::Sender<Progress>>,
    progress_interval: Option<Duration>,
}

impl AcquireOptions {
    /// Gives up after this long, with [`Error::Timeout`](crate::Error::Timeout).
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Holds the lock for this long at most, counted from the grant: then the guard is lost, with
    /// [`LossReason::HoldLimitReached`](crate::LossReason::HoldLimitReached), and the lock passes on, so that work that hangs does
    /// not keep everybody else waiting for ever.
    ///
    /// As with every loss, the guard is invalid first and the lock free afterwards; what the work does meanwhile is not
    /// undone, and its late writes are refused where the fencing token is checked. [`Guard::protect`](crate::Guard::protect)
    /// drops the work at its next await point.
    pub fn hold_at_most(mut self, limit: Duration) -> Self {
        self.hold_limit = Some(limit);
        self
    }

    /// Asks for news of the place in the queue. Each look lists the queue and reads the holder's node: two requests
    /// per [interval](Self::progress_interval), which those who do not ask are spared.
    pub fn progress(mut self) -> (Self, ProgressReceiver) {
        let (sender, receiver) = watch::channel(Progress::default());
        self.progress = Some(sender);
        (self, ProgressReceiver { receiver })
    }

    /// How often to look up the place in the queue; every second by default.
    pub fn progress_interval(mut self, interval: Duration) -> Self {
        self.progress_interval = Some(interval);
        self
    }

    pub(crate) fn take_timeout(&mut self) -> Option<Duration> {
        self.timeout.take()
    }

    pub(super) fn hold_limit(&self) -> Option<Duration> {
        self.hold_limit
    }

    pub(super) fn take_progress(&mut self) -> Option<ProgressOptions> {
        let interval = self.progress_interval.unwrap_or(PROGRESS_INTERVAL);
        self.progress.take().map(|sender| ProgressOptions { sender, interval })
    }
}

/// News of a waiter's place.
#[derive(Debug)]
pub struct ProgressReceiver {
    receiver: watch::Receiver<Progress>,
}

impl ProgressReceiver {
    /// The place as known now.
    pub fn latest(&self) -> Progress {
        self.receiver.borrow().clone()
    }

    /// Waits until the place has changed; `None` once nothing is waited for any more: granted, failed or cancelled.
    ///
    /// # Cancel safety
    ///
    /// No news is lost by dropping the future.
    pub async fn changed(&mut self) -> Option<Progress> {
        self.receiver.changed().await.ok()?;
        Some(self.receiver.borrow_and_update().clone())
    }
}
