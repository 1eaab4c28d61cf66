//! Leader election: a lock whose holder says who it is, and whom others watch.
//!
//! # The argument
//!
//! Leadership is the lock of the same path: at most one, in order, fenced. What is added is the *record*, a plain node in
//! which a leader writes its node's name, its token and its payload. It is written only in transactions that check the
//! leader's node, so nobody writes it who leads no more. It is not deleted: a record counts only while the node that it names
//! lives **and** has the node's token that it names, and the servers delete that node with the leader's session. So there is no phantom
//! leader, whatever the record says, and nothing to clean up.
//!
//! Why not the leader's own node? A write to it is the baton (docs/PROTOCOL.md).
//!
//! An observer watches the record and the node that it names, and looks again at both whenever one changes. A change between
//! the look and the watch is no gap, since each look places its watch in the same request. What it does next is decided in
//! `watching`, and after each outcome of a proclamation in `proclaiming`; both are pure, and the model runs them.

mod leadership;
mod observer;
mod proclaiming;
mod record;
mod resumption;
mod watching;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

pub use self::leadership::Leadership;
pub use self::observer::Observer;
pub use self::record::Leader;
pub use self::resumption::Resumption;
use crate::error::{Error, Retry};
use crate::lock::{AcquireOptions, Contender, Fairlock, Guard, Mutex};
use crate::path::LockPath;
use crate::pauses;

/// The pauses between campaigns that failed.
const CAMPAIGN_PAUSE: Duration = Duration::from_millis(100);
const CAMPAIGN_PAUSE_MAX: Duration = Duration::from_secs(30);

/// An election, made by [`Fairlock::election`]: of all candidates one leads, and others can watch who.
///
/// * Candidates lead in the order in which they came. A new leader is told by one notification.
/// * A leader has a [`FencingToken`](crate::FencingToken), and learns [in time](Leadership) that it leads no more.
/// * Observers see who leads, or that nobody does, and never miss the last state.
/// * The lock is that of [`Fairlock::mutex`] at the same path: whoever holds that keeps leaders out, and is no leader to
///   observers.
///
/// What is not promised: that an observer's news are fresh. It sees what its server knows, and an observer that is cut off
/// sees what it saw last. Act on leadership with the token, not with what an observer said.
///
/// Clones are the same election.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// # use fairlock::{Fairlock, store::memory::Memory};
/// # let locks = Fairlock::builder().open(Memory::new()).await?;
/// let election = locks.election("/scheduler")?;
/// let leadership = election.campaign("http://10.0.0.7:8080").await?;
/// let leader = election.leader().await?.expect("somebody leads");
/// assert_eq!(leader.payload(), b"http://10.0.0.7:8080");
/// assert_eq!(leader.fencing_token(), leadership.fencing_token());
/// leadership.resign().await?;
/// assert!(election.leader().await?.is_none());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Election {
    mutex: Mutex,
    record: LockPath,
}

impl Fairlock {
    /// An election. Cheap: nothing is sent until somebody campaigns or observes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPath`] if the path is malformed.
    pub fn election(&self, path: &str) -> Result<Election, Error> {
        let mutex = self.mutex(path)?;
        let record = mutex.path().leader_record();
        Ok(Election { mutex, record })
    }
}

impl Election {
    /// The path of the election.
    pub fn path(&self) -> &LockPath {
        self.mutex.path()
    }

    /// Waits until this candidate leads, and proclaims the payload: an address, say, by which to reach the leader.
    ///
    /// On connection loss the place among the candidates is kept, and the wait goes on after the reconnect.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`]; [`Error::TooLarge`] if the payload does not fit one request, before anything is sent;
    /// [`Error::LockLost`] if the leadership was lost before it was proclaimed. No candidacy is left behind in any case.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the candidacy, or the leadership if it has just begun.
    pub async fn campaign(&self, payload: impl Into<Vec<u8>>) -> Result<Leadership, Error> {
        self.campaign_with(AcquireOptions::default(), payload).await
    }

    /// Campaigns with options: a time limit, news of the place among the candidates, a longest time to lead.
    ///
    /// # Errors
    ///
    /// As [`Election::campaign`], [`Error::Timeout`] if a time limit was given, and [`Error::InvalidConfig`] for a longest time of
    /// zero.
    ///
    /// # Cancel safety
    ///
    /// As [`Election::campaign`].
    pub async fn campaign_with(
        &self,
        mut options: AcquireOptions,
        payload: impl Into<Vec<u8>>,
    ) -> Result<Leadership, Error> {
        let payload = payload.into();
        record::check_size(&payload)?;
        // One limit for both halves.
        let limit = options.take_timeout();
        let guard = async { self.mutex.acquire_with(options).await };
        self.lead(guard, limit, payload).await
    }

    /// Goes on with the leadership of an earlier run of this process, which has ended without resigning, and proclaims the payload.
    /// `None` if the earlier run's place is gone, because its session has timed out for example: then campaign.
    ///
    /// As long as the earlier run's session lives (up to the session timeout after it has ended), its place is taken over in one
    /// transaction: nobody else leads in between, and candidates go on waiting. The [fencing token](crate::FencingToken) is that
    /// of before. Observers see that nobody leads until the payload is proclaimed, or the leader's new payload at once.
    ///
    /// **The earlier run must have ended.** If it goes on, paused or cut off, both lead until it is connected and told that its node
    /// is gone, or until its own clock says that it may not rely on it, and no resource can tell them apart. Where one cannot be sure, campaign.
    ///
    /// On connection loss it waits for the reconnect and finds out whether the place was taken over. A longest time to lead
    /// ([`AcquireOptions::hold_at_most`]) of the earlier run is not carried over.
    ///
    /// A run that wants to be resumed keeps [`Leadership::resumption`] in a file as soon as it leads. A crash leaves its node; so does
    /// `std::process::exit` without dropping the leadership or the handle, which a planned restart may use.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
    /// # use fairlock::{Fairlock, recipes::Resumption, store::memory::Memory};
    /// # let store = Memory::new();
    /// # let earlier_run = Fairlock::builder().open(store.clone()).await?;
    /// # let earlier = earlier_run.election("/scheduler")?.campaign("first run").await?;
    /// # let (file, token) = (earlier.resumption().to_string(), earlier.fencing_token());
    /// # let locks = Fairlock::builder().open(store.clone()).await?;
    /// let election = locks.election("/scheduler")?;
    /// let resumption: Resumption = file.parse()?;
    /// let leadership = match election.resume(&resumption, "second run").await? {
    ///     Some(leadership) => leadership,
    ///     None => election.campaign("second run").await?,
    /// };
    /// // Keep leadership.resumption() in the file.
    /// # assert_eq!(leadership.fencing_token(), token);
    /// # drop(earlier); Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Election::campaign`], and [`Error::InvalidConfig`] if the resumption is of another election. An error before the place was
    /// taken over leaves it as it was; one after that gives it up.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the place up if it was taken over, or if that was under way already.
    pub async fn resume(
        &self,
        resumption: &Resumption,
        payload: impl Into<Vec<u8>>,
    ) -> Result<Option<Leadership>, Error> {
        let payload = payload.into();
        record::check_size(&payload)?;
        if resumption.path() != self.path() {
            let reason =
                format!("the resumption is of {}, and this is the election {}", resumption.path(), self.path());
            return Err(Error::InvalidConfig { reason });
        }
        let guard = self.mutex.take_over(resumption.earlier(), AcquireOptions::default());
        match self.lead(guard, None, payload).await {
            Ok(leadership) => Ok(Some(leadership)),
            Err(Error::Removed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Leads once there is a guard, and proclaims the payload.
    async fn lead(
        &self,
        guard: impl Future<Output = Result<Guard, Error>>,
        limit: Option<Duration>,
        payload: Vec<u8>,
    ) -> Result<Leadership, Error> {
        let elected = async {
            let leadership = Leadership::new(guard.await?, self.record.clone(), self.mutex.identity().clone());
            leadership.proclaim(payload).await?;
            Ok::<_, Error>(leadership)
        };
        let leadership = match limit {
            None => elected.await?,
            Some(limit) => match tokio::time::timeout(limit, elected).await {
                Ok(elected) => elected?,
                Err(_) => return Err(Error::Timeout { path: self.path().to_string(), waited: limit }),
            },
        };
        info!(election = %self.path(), token = %leadership.fencing_token(), "leads");
        Ok(leadership)
    }

    /// Leads whenever it can, until the work is done: campaigns, runs the work while leading, drops its future when the leadership
    /// is lost, and campaigns again. When a run of the work ends by itself, resigns and returns what it returned.
    ///
    /// Errors that may pass ([`Error::retry`]) are waited out, with pauses that grow to half a minute.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
    /// # use fairlock::{Fairlock, store::memory::Memory};
    /// # let locks = Fairlock::builder().open(Memory::new()).await?;
    /// let done = locks
    ///     .election("/scheduler")?
    ///     .run("host-7", async |leadership| format!("scheduled with token {}", leadership.fencing_token()))
    ///     .await?;
    /// # assert!(done.starts_with("scheduled")); Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Election::campaign`] that do not pass by themselves, and [`Error::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work's future and ends the candidacy or the leadership.
    pub async fn run<W, F, T>(&self, payload: impl Into<Vec<u8>>, mut work: W) -> Result<T, Error>
    where
        W: FnMut(Arc<Leadership>) -> F,
        F: Future<Output = T>,
    {
        let payload = payload.into();
        let mut pauses = pauses::growing(CAMPAIGN_PAUSE, CAMPAIGN_PAUSE_MAX);
        loop {
            let error = match self.campaign(payload.clone()).await {
                Ok(leadership) => {
                    pauses = pauses::growing(CAMPAIGN_PAUSE, CAMPAIGN_PAUSE_MAX);
                    let leadership = Arc::new(leadership);
                    match leadership.protect(work(leadership.clone())).await {
                        Ok(output) => {
                            // The work may have kept a reference: then the leadership ends when that goes.
                            if let Some(leadership) = Arc::into_inner(leadership)
                                && let Err(error) = leadership.resign().await
                            {
                                // The work was done while it led; what came afterwards, nobody can undo.
                                warn!(election = %self.path(), %error, "the leadership ended before it was resigned");
                            }
                            return Ok(output);
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            let is_passing = error.retry() == Retry::Yes || matches!(error, Error::LockLost { .. });
            if !is_passing || self.mutex.pool().is_closed() {
                return Err(error);
            }
            let pause = pauses.next().unwrap_or(CAMPAIGN_PAUSE_MAX);
            warn!(election = %self.path(), %error, pause_ms = pause.as_millis(), "leads no more, campaigns again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Who leads now, as far as the server at hand knows; `None` if nobody does.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped at any time.
    pub async fn leader(&self) -> Result<Option<Leader>, Error> {
        self.observe().next().await
    }

    /// Watches who leads.
    pub fn observe(&self) -> Observer {
        Observer::new(self.mutex.clone(), self.record.clone())
    }

    /// Lists the candidates in their order, the leader first; see [`Mutex::contenders`].
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped at any time.
    pub async fn candidates(&self) -> Result<Vec<Contender>, Error> {
        self.mutex.contenders().await
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Election").field(&self.path().as_str()).finish()
    }
}
