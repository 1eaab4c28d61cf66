//! Locks spread over several ensembles: each path has one ensemble, which every process computes alike.
//!
//! An ensemble orders all its writes by one leader, so that more servers make it no faster; more ensembles do. The map is
//! rendezvous hashing: each ensemble gets a score from its name and the path, and the highest has the path. So another
//! ensemble takes its share of the paths from all others, and no path moves between those. The score is a fixed function of
//! bytes, pinned by test vectors: processes of any version and platform must agree, or two of them hold the same lock.

use std::fmt;

use futures_util::future;

use super::client::Fairlock;
use super::listing::LockList;
use super::mutex::Mutex;
use super::rw_lock::RwLock;
use super::semaphore::Semaphore;
use crate::error::Error;
use crate::path::LockPath;
use crate::recipes::{Election, MultiLock, Versioned};

/// Several ensembles, each with its share of the locks, for more hand-overs a second than one ensemble has writes for.
/// docs/SCALE.md has the figures: most applications need one ensemble.
///
/// **All processes must have the same names for the same ensembles.** Two that differ may hold the same lock at the same
/// time, and nobody can tell them. To change the set while locks are in use takes two steps: a release of the application
/// that acquires each lock by the old map and then by the new one, and, once nothing older runs, one that goes by the new map
/// alone. Where servers are, and in which order they are named, may change at any time.
///
/// * Fencing tokens of one path rise as ever; those of different ensembles, so of before and after a change of the map, cannot
///   be compared.
/// * A [`Guard::transaction`](crate::Guard::transaction) can only write to the ensemble of its lock. Values that it writes belong
///   there.
/// * When an ensemble is down, its share of the locks is; nothing moves.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// use fairlock::{Fairlock, Spread, store::memory::Memory};
///
/// // Fairlock::connect("zk1:2181,zk2:2181,zk3:2181/app") for ZooKeeper.
/// let one = Fairlock::builder().open(Memory::new()).await?;
/// let two = Fairlock::builder().open(Memory::new()).await?;
/// let locks = Spread::over([("one", one), ("two", two)])?;
/// let guard = locks.mutex("/orders/42")?.acquire().await?;
/// assert_eq!(locks.name_of("/orders/42")?, "one");
/// guard.release().await
/// # }
/// ```
#[derive(Clone)]
pub struct Spread {
    ensembles: Vec<(String, Fairlock)>,
}

impl Spread {
    /// Over these ensembles, each with a name that stays, also when its servers are replaced.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] without any, or if a name is empty or given twice.
    pub fn over<N: Into<String>>(ensembles: impl IntoIterator<Item = (N, Fairlock)>) -> Result<Self, Error> {
        let refused = |reason: String| Err(Error::InvalidConfig { reason });
        let mut ensembles: Vec<_> = ensembles.into_iter().map(|(name, locks)| (name.into(), locks)).collect();
        ensembles.sort_by(|one, two| one.0.cmp(&two.0));
        if ensembles.is_empty() {
            return refused("there is no ensemble to spread locks over; give at least one".into());
        }
        if ensembles[0].0.is_empty() {
            return refused("the name of an ensemble is empty; it decides which locks it has".into());
        }
        if let Some(pair) = ensembles.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return refused(format!("two ensembles are named {}; one of them would have no locks", pair[0].0));
        }
        Ok(Self { ensembles })
    }

    /// The ensemble that has all of the lock, semaphore, election or value at this path.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPath`] if the path is malformed.
    pub fn of(&self, path: &str) -> Result<&Fairlock, Error> {
        Ok(&self.find(path)?.1)
    }

    /// The name of that ensemble.
    ///
    /// # Errors
    ///
    /// As [`Spread::of`].
    pub fn name_of(&self, path: &str) -> Result<&str, Error> {
        Ok(&self.find(path)?.0)
    }

    /// All ensembles with their names.
    pub fn ensembles(&self) -> impl Iterator<Item = (&str, &Fairlock)> {
        self.ensembles.iter().map(|(name, locks)| (name.as_str(), locks))
    }

    /// As [`Fairlock::mutex`], on the path's ensemble.
    ///
    /// # Errors
    ///
    /// As [`Fairlock::mutex`].
    pub fn mutex(&self, path: &str) -> Result<Mutex, Error> {
        self.of(path)?.mutex(path)
    }

    /// As [`Fairlock::rw_lock`], on the path's ensemble.
    ///
    /// # Errors
    ///
    /// As [`Fairlock::rw_lock`].
    pub fn rw_lock(&self, path: &str) -> Result<RwLock, Error> {
        self.of(path)?.rw_lock(path)
    }

    /// As [`Fairlock::semaphore`], on the path's ensemble.
    ///
    /// # Errors
    ///
    /// As [`Fairlock::semaphore`].
    pub fn semaphore(&self, path: &str, permits: u32) -> Result<Semaphore, Error> {
        self.of(path)?.semaphore(path, permits)
    }

    /// As [`Fairlock::election`], on the path's ensemble.
    ///
    /// # Errors
    ///
    /// As [`Fairlock::election`].
    pub fn election(&self, path: &str) -> Result<Election, Error> {
        self.of(path)?.election(path)
    }

    /// As [`Fairlock::value`], on the path's ensemble.
    ///
    /// # Errors
    ///
    /// As [`Fairlock::value`].
    pub fn value(&self, path: &str) -> Result<Versioned, Error> {
        self.of(path)?.value(path)
    }

    /// As [`Fairlock::multi_lock`], each path on its own ensemble. That of one ensemble would take all paths there, where nobody else
    /// looks for them. The [transaction](crate::recipes::MultiGuard::transaction) of a guard of several ensembles is refused, since none
    /// of them could decide it.
    ///
    /// # Errors
    ///
    /// As [`Fairlock::multi_lock`].
    pub fn multi_lock<P: AsRef<str>>(&self, paths: impl IntoIterator<Item = P>) -> Result<MultiLock, Error> {
        MultiLock::new(paths, |path| self.mutex(path))
    }

    /// All locks at a path and below it, of all ensembles. Those below one path are anywhere.
    ///
    /// # Errors
    ///
    /// As [`Fairlock::locks_below`], of any of the ensembles.
    ///
    /// # Cancel safety
    ///
    /// Only reads; may be dropped at any time.
    pub async fn locks_below(&self, path: &str) -> Result<LockList, Error> {
        let lists = self.ensembles.iter().map(|(_, locks)| locks.locks_below(path));
        let mut all = LockList::default();
        for list in future::try_join_all(lists).await? {
            all.locks.extend(list.locks);
            all.unreadable.extend(list.unreadable);
            all.is_cut |= list.is_cut;
        }
        all.locks.sort_by(|one, two| one.path.cmp(&two.path));
        all.unreadable.sort_by(|one, two| one.path.cmp(&two.path));
        Ok(all)
    }

    /// Closes all ensembles' sessions; see [`Fairlock::close`].
    pub async fn close(&self) {
        future::join_all(self.ensembles.iter().map(|(_, locks)| locks.close())).await;
    }

    fn find(&self, path: &str) -> Result<&(String, Fairlock), Error> {
        let path = LockPath::new(path)?;
        let names = self.ensembles.iter().map(|(name, _)| name.as_str());
        Ok(&self.ensembles[owner(names, path.as_str())])
    }
}

impl fmt::Debug for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ensembles.iter().map(|(name, _)| name)).finish()
    }
}

/// The place of the name with the highest score; the first of equals, since names are in order.
fn owner<'a>(names: impl Iterator<Item = &'a str>, path: &str) -> usize {
    let scores = names.map(|name| score(name, path)).enumerate();
    scores.reduce(|best, next| if next.1 > best.1 { next } else { best }).map_or(0, |(at, _)| at)
}

/// FNV-1a of name, a byte that is in no text, and path; then mixed, since the last bytes of a path, which differ most, hardly
/// reach the highest bits otherwise. **Never to be changed**: locks would move.
fn score(name: &str, path: &str) -> u64 {
    let bytes = name.bytes().chain([0xff]).chain(path.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
    const PATHS: usize = 20_000;

    fn owners(names: &[&str]) -> Vec<usize> {
        (0..PATHS).map(|number| owner(names.iter().copied(), &format!("/orders/{number}"))).collect()
    }

    async fn spread(names: &[&str]) -> (Spread, Vec<Memory>) {
        let (mut stores, mut ensembles) = (Vec::new(), Vec::new());
        for name in names {
            let store = Memory::new();
            ensembles.push((*name, Fairlock::builder().open(store.clone()).await.expect("there")));
            stores.push(store);
        }
        (Spread::over(ensembles).expect("good names"), stores)
    }

    /// Computed by another implementation. Should one differ, two versions would hold the same lock.
    #[test]
    fn scores_are_the_same_for_ever() {
        for (name, path, expected) in VECTORS {
            assert_eq!(score(name, path), expected, "{name} {path}");
        }
    }

    const VECTORS: [(&str, &str, u64); 4] = [
        ("a", "/orders/42", 0x0954_b259_77b7_5ab4),
        ("b", "/orders/42", 0x447d_ab17_6294_9147),
        ("eu-1", "/übung/日本", 0x9276_5d5a_e8b4_cbe1),
        ("", "", 0x4f2d_b50f_1240_40cd),
    ];

    #[test]
    fn each_ensemble_has_its_share() {
        for count in 2..=NAMES.len() {
            let owners = owners(&NAMES[..count]);
            for ensemble in 0..count {
                let share = owners.iter().filter(|owner| **owner == ensemble).count();
                let fair = PATHS / count;
                assert!(share.abs_diff(fair) < fair / 20, "{ensemble} of {count}: {share} of {PATHS}");
            }
        }
    }

    #[test]
    fn another_ensemble_takes_its_share_and_nothing_else_moves() {
        for count in 1..NAMES.len() {
            let (before, after) = (owners(&NAMES[..count]), owners(&NAMES[..=count]));
            let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
            assert!(moved.iter().all(|(_, after)| **after == count), "only to the new one");
            let fair = PATHS / (count + 1);
            assert!(moved.len().abs_diff(fair) < fair / 20, "{} of {PATHS} moved", moved.len());
        }
    }

    #[tokio::test]
    async fn all_of_a_lock_is_on_one_ensemble_whatever_the_order_of_the_names() {
        let ((locks, stores), (turned, _)) = (spread(&["a", "b", "c"]).await, spread(&["c", "a", "b"]).await);
        let mut used = [0; 3];
        for number in 0..50 {
            let path = format!("/orders/{number}");
            let name = locks.name_of(&path).expect("a good path");
            assert_eq!(turned.name_of(&path).expect("a good path"), name);
            let _lock = locks.mutex(&path).expect("a good path").acquire().await.expect("free");
            let _permit = locks.semaphore(&path, 1).expect("a good path").acquire().await.expect("free");
            for (at, store) in stores.iter().enumerate() {
                let is_there = !store.children(&path).is_empty();
                assert_eq!(is_there, ["a", "b", "c"][at] == name, "{path} at {at}");
                used[at] += usize::from(is_there);
            }
        }
        assert!(used.iter().all(|used| *used > 5), "{used:?}");
    }

    #[tokio::test]
    async fn several_locks_at_once_are_each_on_the_ensemble_of_its_path() {
        let (locks, _) = spread(&["a", "b", "c"]).await;
        let paths: Vec<_> = (0..10).map(|number| format!("/orders/{number}")).collect();
        let guard = locks.multi_lock(&paths).expect("good paths").acquire().await.expect("free");
        for path in &paths {
            let tried = locks.mutex(path).expect("a good path").try_acquire().await.expect("no error");
            assert!(tried.is_none(), "{path} is held elsewhere");
        }
        // Although nodes of the same paths are there as well: somebody goes by another map.
        let first = locks.of(&paths[0]).expect("a good path");
        let mut elsewhere = Vec::new();
        for path in paths.iter().filter(|path| locks.name_of(path).ok() != locks.name_of(&paths[0]).ok()) {
            elsewhere.push(first.mutex(path).expect("a good path").acquire().await.expect("free there"));
        }
        assert!(!elsewhere.is_empty());
        let written = guard.transaction().create("/written", "").commit().await;
        assert!(matches!(written, Err(Error::InvalidConfig { .. })), "{written:?}");
        guard.release().await.expect("held");
    }

    #[tokio::test]
    async fn a_list_has_the_locks_of_all_ensembles_in_order() {
        let (locks, _) = spread(&["a", "b", "c"]).await;
        let mut guards = Vec::new();
        for number in 10..40 {
            let mutex = locks.mutex(&format!("/orders/{number}")).expect("a good path");
            guards.push(mutex.acquire().await.expect("free"));
        }
        let found = locks.locks_below("/orders").await.expect("listed").locks;
        let expected: Vec<_> = (10..40).map(|number| format!("/orders/{number}")).collect();
        assert_eq!(found.iter().map(|lock| lock.path.to_string()).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn names_that_say_nothing_are_refused() {
        let one = Fairlock::builder().open(Memory::new()).await.expect("there");
        for names in [&[][..], &[""], &["a", "a"]] {
            let ensembles = names.iter().map(|name| (*name, one.clone()));
            assert!(matches!(Spread::over(ensembles), Err(Error::InvalidConfig { .. })), "{names:?}");
        }
        let locks = Spread::over([("a", one)]).expect("a good name");
        assert!(matches!(locks.mutex("no/slash"), Err(Error::InvalidPath { .. })));
    }
}
