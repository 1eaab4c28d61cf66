//! The kinds of holders: what can be held, each behind the same object-safe traits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fairlock::recipes::{Election, FoldedGuard, FoldedMutex, Leadership, MultiGuard, MultiLock};
use fairlock::recipes::{ReentrantGuard, ReentrantMutex};
use fairlock::{AcquireOptions, Contender, DistributedLock, Error, Fairlock, FencingToken, Guard, HeldLock};
use fairlock::{LossReason, Mutex, Permit, ReadGuard, RwLock, Semaphore, WriteGuard};
use futures::FutureExt;
use futures::future::BoxFuture;

/// How many permits the semaphores have.
pub(crate) const PERMITS: u32 = 3;

/// How many of them those take who take several.
const SEVERAL: u32 = 2;

/// How often a process may take its turn in a folded lock, and an owner a reentrant one.
const OFTEN: u32 = 8;

type Made = Result<Arc<dyn Lock>, Error>;

/// What comes of waiting.
pub(crate) type Acquired = Result<Box<dyn Held>, Error>;

/// A kind of holder.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) company: Company,
    /// A handle on what is held at the path. Sends nothing.
    pub(crate) lock: fn(&Fairlock, &str) -> Made,
    /// Where the nodes of its contenders lie, below the path.
    directories: &'static [&'static str],
    /// How many nodes a holder has.
    pub(crate) nodes_held: usize,
    /// Who waits while as many of this kind as may hold at once do, and whom this kind waits for, if not others of its kind.
    rival: Option<&'static str>,
}

/// All kinds.
pub(crate) static ALL: [Kind; 10] = [
    Kind { name: "mutex", lock: |locks, path| Ok(Arc::new(locks.mutex(path)?)), ..ALONE },
    Kind { name: "writer", lock: |locks, path| Ok(Arc::new(Writer(locks.rw_lock(path)?))), ..ALONE },
    Kind {
        name: "reader",
        company: Company::Sharers,
        lock: |locks, path| Ok(Arc::new(Reader(locks.rw_lock(path)?))),
        rival: Some("writer"),
        ..ALONE
    },
    Kind { name: "leader", lock: Candidate::make, ..ALONE },
    Kind {
        name: "multi_lock",
        lock: Several::make,
        directories: &["/_fairlock", "-other/_fairlock"],
        nodes_held: 2,
        ..ALONE
    },
    Kind { name: "reentrant", lock: Owner::make, ..ALONE },
    Kind { name: "folded", lock: Folded::make, ..ALONE },
    Kind {
        name: "one_permit",
        company: Company::Permits(1),
        lock: |locks, path| Permits::make(locks, path, 1),
        ..PERMITTED
    },
    Kind {
        name: "several_permits",
        company: Company::Permits(SEVERAL),
        lock: |locks, path| Permits::make(locks, path, SEVERAL),
        ..PERMITTED
    },
    Kind { name: "behind_the_trait", lock: Unknown::make, ..ALONE },
];

/// What most kinds have in common.
const ALONE: Kind = Kind {
    name: "",
    company: Company::Nobody,
    lock: |locks, path| Ok(Arc::new(locks.mutex(path)?)),
    directories: &["/_fairlock"],
    nodes_held: 1,
    rival: None,
};

/// What contenders for permits have in common.
const PERMITTED: Kind = Kind { directories: &["/_fairlock_permits", "/_fairlock_turns"], ..ALONE };

impl Kind {
    pub(crate) fn named(name: &str) -> &'static Kind {
        ALL.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("there is no kind {name}"))
    }

    pub(crate) fn directories(&self, path: &str) -> Vec<String> {
        self.directories.iter().map(|directory| format!("{path}{directory}")).collect()
    }

    pub(crate) fn rival(&self) -> &'static Kind {
        Kind::named(self.rival.unwrap_or(self.name))
    }
}

/// Who may hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// Nobody else holds a lock at this path.
    Nobody,
    /// Others that share the lock.
    Sharers,
    /// Contenders for permits who want no more than there are, together; those for locks are not its concern.
    Permits(u32),
}

impl Company {
    /// How many of a kind may hold at once; as many as like where there is no limit.
    pub(crate) fn at_once(self) -> Option<usize> {
        match self {
            Company::Nobody => Some(1),
            Company::Sharers => None,
            Company::Permits(wanted) => Some((PERMITS / wanted) as usize),
        }
    }

    /// Whether one holder of this keeps one of the other out.
    pub(crate) fn excludes(self, other: Company) -> bool {
        match (self, other) {
            (Company::Permits(one), Company::Permits(another)) => one + another > PERMITS,
            (Company::Permits(_), _) | (_, Company::Permits(_)) => false,
            (one, another) => one == Company::Nobody || another == Company::Nobody,
        }
    }
}

/// A handle. What a kind does not offer panics: the table leaves it out.
#[async_trait]
pub(crate) trait Lock: Send + Sync {
    async fn acquire(&self) -> Acquired;

    async fn try_acquire(&self) -> Result<Option<Box<dyn Held>>, Error> {
        not_offered("a try")
    }

    async fn acquire_timeout(&self, _limit: Duration) -> Acquired {
        not_offered("a timed form")
    }

    async fn hold_at_most(&self, _limit: Duration) -> Acquired {
        not_offered("a limit to holding")
    }

    /// Handles that leave only a part of what this one wants, once all of them hold.
    fn leaving_a_part(&self) -> Vec<Arc<dyn Lock>> {
        not_offered("parts")
    }

    /// The queue in which it waits.
    fn queue(&self) -> &dyn Queue;
}

/// Where contenders stand.
#[async_trait]
pub(crate) trait Queue: Send + Sync {
    async fn contenders(&self) -> Result<Vec<Contender>, Error>;

    async fn break_contender(&self, contender: &Contender) -> Result<bool, Error>;
}

macro_rules! queue {
    ($queue:ty) => {
        #[async_trait]
        impl Queue for $queue {
            async fn contenders(&self) -> Result<Vec<Contender>, Error> {
                <$queue>::contenders(self).await
            }

            async fn break_contender(&self, contender: &Contender) -> Result<bool, Error> {
                <$queue>::break_contender(self, contender).await
            }
        }
    };
}

queue!(Mutex);
queue!(Semaphore);

/// Something that is held.
#[async_trait]
pub(crate) trait Held: Send + Sync {
    fn path(&self) -> String;

    /// The token of each lock of which it consists.
    fn tokens(&self) -> Vec<FencingToken>;

    fn is_valid(&self) -> bool;

    fn valid_for(&self) -> Duration;

    /// Why it is lost, without waiting for anything.
    fn loss(&self) -> Option<LossReason>;

    async fn lost(&self) -> LossReason;

    async fn protect<'a>(&self, _work: BoxFuture<'a, ()>) -> Result<(), Error> {
        not_offered("protection")
    }

    async fn release(self: Box<Self>) -> Result<(), Error>;
}

fn not_offered<T>(what: &str) -> T {
    panic!("this kind does not offer {what}; the table must leave it out")
}

fn held<H: Held + 'static>(held: H) -> Box<dyn Held> {
    Box::new(held)
}

// --- Handles ---

#[async_trait]
impl Lock for Mutex {
    async fn acquire(&self) -> Acquired {
        Mutex::acquire(self).await.map(held)
    }

    async fn try_acquire(&self) -> Result<Option<Box<dyn Held>>, Error> {
        Ok(Mutex::try_acquire(self).await?.map(held))
    }

    async fn acquire_timeout(&self, limit: Duration) -> Acquired {
        Mutex::acquire_timeout(self, limit).await.map(held)
    }

    async fn hold_at_most(&self, limit: Duration) -> Acquired {
        self.acquire_with(AcquireOptions::default().hold_at_most(limit)).await.map(held)
    }

    fn queue(&self) -> &dyn Queue {
        self
    }
}

struct Writer(RwLock);

#[async_trait]
impl Lock for Writer {
    async fn acquire(&self) -> Acquired {
        self.0.write().await.map(held)
    }

    async fn try_acquire(&self) -> Result<Option<Box<dyn Held>>, Error> {
        Ok(self.0.try_write().await?.map(held))
    }

    async fn acquire_timeout(&self, limit: Duration) -> Acquired {
        self.0.write_timeout(limit).await.map(held)
    }

    async fn hold_at_most(&self, limit: Duration) -> Acquired {
        self.0.write_with(AcquireOptions::default().hold_at_most(limit)).await.map(held)
    }

    fn queue(&self) -> &dyn Queue {
        self.0.as_mutex()
    }
}

struct Reader(RwLock);

#[async_trait]
impl Lock for Reader {
    async fn acquire(&self) -> Acquired {
        self.0.read().await.map(held)
    }

    async fn try_acquire(&self) -> Result<Option<Box<dyn Held>>, Error> {
        Ok(self.0.try_read().await?.map(held))
    }

    async fn acquire_timeout(&self, limit: Duration) -> Acquired {
        self.0.read_timeout(limit).await.map(held)
    }

    async fn hold_at_most(&self, limit: Duration) -> Acquired {
        self.0.read_with(AcquireOptions::default().hold_at_most(limit)).await.map(held)
    }

    fn queue(&self) -> &dyn Queue {
        self.0.as_mutex()
    }
}

struct Candidate {
    election: Election,
    mutex: Mutex,
}

impl Candidate {
    fn make(locks: &Fairlock, path: &str) -> Made {
        Ok(Arc::new(Self { election: locks.election(path)?, mutex: locks.mutex(path)? }))
    }
}

#[async_trait]
impl Lock for Candidate {
    async fn acquire(&self) -> Acquired {
        self.election.campaign("here").await.map(held)
    }

    async fn acquire_timeout(&self, limit: Duration) -> Acquired {
        self.election.campaign_with(AcquireOptions::default().timeout(limit), "here").await.map(held)
    }

    async fn hold_at_most(&self, limit: Duration) -> Acquired {
        self.election.campaign_with(AcquireOptions::default().hold_at_most(limit), "here").await.map(held)
    }

    fn queue(&self) -> &dyn Queue {
        &self.mutex
    }
}

struct Several {
    multi_lock: MultiLock,
    /// Where those wait who wait for all of them.
    first: Mutex,
    last: Mutex,
}

impl Several {
    fn make(locks: &Fairlock, path: &str) -> Made {
        let other = format!("{path}-other");
        // Given in the order in which they are not taken.
        let multi_lock = locks.multi_lock([other.as_str(), path])?;
        Ok(Arc::new(Self { multi_lock, first: locks.mutex(path)?, last: locks.mutex(&other)? }))
    }
}

#[async_trait]
impl Lock for Several {
    async fn acquire(&self) -> Acquired {
        self.multi_lock.acquire().await.map(held)
    }

    async fn try_acquire(&self) -> Result<Option<Box<dyn Held>>, Error> {
        Ok(self.multi_lock.try_acquire().await?.map(held))
    }

    async fn acquire_timeout(&self, limit: Duration) -> Acquired {
        self.multi_lock.acquire_timeout(limit).await.map(held)
    }

    fn leaving_a_part(&self) -> Vec<Arc<dyn Lock>> {
        vec![Arc::new(self.last.clone())]
    }

    fn queue(&self) -> &dyn Queue {
        &self.first
    }
}

struct Owner {
    owner: ReentrantMutex,
    mutex: Mutex,
}

impl Owner {
    fn make(locks: &Fairlock, path: &str) -> Made {
        let mutex = locks.mutex(path)?;
        Ok(Arc::new(Self { owner: mutex.reentrant(OFTEN as usize), mutex }))
    }
}

#[async_trait]
impl Lock for Owner {
    async fn acquire(&self) -> Acquired {
        self.owner.acquire().await.map(held)
    }

    async fn try_acquire(&self) -> Result<Option<Box<dyn Held>>, Error> {
        Ok(self.owner.try_acquire().await?.map(held))
    }

    fn queue(&self) -> &dyn Queue {
        &self.mutex
    }
}

struct Folded {
    folded: FoldedMutex,
    mutex: Mutex,
}

impl Folded {
    fn make(locks: &Fairlock, path: &str) -> Made {
        let mutex = locks.mutex(path)?;
        Ok(Arc::new(Self { folded: mutex.folded(OFTEN), mutex }))
    }
}

#[async_trait]
impl Lock for Folded {
    async fn acquire(&self) -> Acquired {
        self.folded.acquire().await.map(held)
    }

    async fn acquire_timeout(&self, limit: Duration) -> Acquired {
        self.folded.acquire_timeout(limit).await.map(held)
    }

    fn queue(&self) -> &dyn Queue {
        &self.mutex
    }
}

struct Permits {
    semaphore: Semaphore,
    count: u32,
}

impl Permits {
    fn make(locks: &Fairlock, path: &str, count: u32) -> Made {
        Ok(Arc::new(Self { semaphore: locks.semaphore(path, PERMITS)?, count }))
    }
}

#[async_trait]
impl Lock for Permits {
    async fn acquire(&self) -> Acquired {
        self.semaphore.acquire_many(self.count).await.map(held)
    }

    async fn try_acquire(&self) -> Result<Option<Box<dyn Held>>, Error> {
        Ok(self.semaphore.try_acquire_many(self.count).await?.map(held))
    }

    async fn acquire_timeout(&self, limit: Duration) -> Acquired {
        self.semaphore.acquire_timeout(self.count, limit).await.map(held)
    }

    async fn hold_at_most(&self, limit: Duration) -> Acquired {
        self.semaphore.acquire_with(self.count, AcquireOptions::default().hold_at_most(limit)).await.map(held)
    }

    fn leaving_a_part(&self) -> Vec<Arc<dyn Lock>> {
        let one = || Arc::new(Permits { semaphore: self.semaphore.clone(), count: 1 }) as Arc<dyn Lock>;
        (0..=PERMITS - self.count).map(|_| one()).collect()
    }

    fn queue(&self) -> &dyn Queue {
        &self.semaphore
    }
}

struct Unknown {
    lock: Arc<dyn DistributedLock>,
    /// For what the trait does not have.
    mutex: Mutex,
}

impl Unknown {
    fn make(locks: &Fairlock, path: &str) -> Made {
        let mutex = locks.mutex(path)?;
        Ok(Arc::new(Self { lock: Arc::new(mutex.clone()), mutex }))
    }
}

#[async_trait]
impl Lock for Unknown {
    async fn acquire(&self) -> Acquired {
        Ok(held(Anything { path: self.lock.name().to_owned(), held: self.lock.acquire().await? }))
    }

    async fn try_acquire(&self) -> Result<Option<Box<dyn Held>>, Error> {
        let path = self.lock.name().to_owned();
        Ok(self.lock.try_acquire().await?.map(|lock| held(Anything { path, held: lock })))
    }

    async fn acquire_timeout(&self, limit: Duration) -> Acquired {
        let path = self.lock.name().to_owned();
        Ok(held(Anything { path, held: self.lock.acquire_timeout(limit).await? }))
    }

    fn queue(&self) -> &dyn Queue {
        &self.mutex
    }
}

// --- What is held ---

/// What tells like the type that is named second, which may be itself.
macro_rules! held {
    ($held:ty as $face:ty, $release:ident) => {
        #[async_trait]
        impl Held for $held {
            fn path(&self) -> String {
                <$face>::path(self).to_string()
            }

            fn tokens(&self) -> Vec<FencingToken> {
                vec![<$face>::fencing_token(self)]
            }

            fn is_valid(&self) -> bool {
                <$face>::is_valid(self)
            }

            fn valid_for(&self) -> Duration {
                <$face>::valid_for(self)
            }

            fn loss(&self) -> Option<LossReason> {
                <$face>::loss(self)
            }

            async fn lost(&self) -> LossReason {
                <$face>::lost(self).await
            }

            async fn protect<'a>(&self, work: BoxFuture<'a, ()>) -> Result<(), Error> {
                <$face>::protect(self, work).await
            }

            async fn release(self: Box<Self>) -> Result<(), Error> {
                <$held>::$release(*self).await
            }
        }
    };
}

held!(Guard as Guard, release);
held!(WriteGuard as Guard, release);
held!(Leadership as Guard, resign);
held!(ReentrantGuard as Guard, release);
held!(FoldedGuard as Guard, release);
held!(ReadGuard as ReadGuard, release);
held!(Permit as Permit, release);

#[async_trait]
impl Held for MultiGuard {
    fn path(&self) -> String {
        self.guards()[0].path().to_string()
    }

    fn tokens(&self) -> Vec<FencingToken> {
        self.guards().iter().map(Guard::fencing_token).collect()
    }

    fn is_valid(&self) -> bool {
        MultiGuard::is_valid(self)
    }

    fn valid_for(&self) -> Duration {
        MultiGuard::valid_for(self)
    }

    fn loss(&self) -> Option<LossReason> {
        MultiGuard::lost(self).now_or_never().map(|(_, reason)| reason)
    }

    async fn lost(&self) -> LossReason {
        MultiGuard::lost(self).await.1
    }

    async fn protect<'a>(&self, work: BoxFuture<'a, ()>) -> Result<(), Error> {
        MultiGuard::protect(self, work).await
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        MultiGuard::release(*self).await
    }
}

struct Anything {
    path: String,
    held: Box<dyn HeldLock>,
}

#[async_trait]
impl Held for Anything {
    fn path(&self) -> String {
        self.path.clone()
    }

    fn tokens(&self) -> Vec<FencingToken> {
        self.held.fencing_token().into_iter().collect()
    }

    fn is_valid(&self) -> bool {
        self.held.is_valid()
    }

    fn valid_for(&self) -> Duration {
        self.held.valid_for()
    }

    fn loss(&self) -> Option<LossReason> {
        self.held.lost().now_or_never()
    }

    async fn lost(&self) -> LossReason {
        self.held.lost().await
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        self.held.release().await
    }
}
