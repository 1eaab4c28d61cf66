//! Lock paths: checked once, here, so that nothing behind this file meets a malformed one.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;

/// The child of a lock path that holds the queue. A name of its own keeps the queue private to this library: the
/// znode at the lock path may carry data or other children, a lock may lie below another lock, and nobody else has a
/// reason to write there. The protocol leans on that (docs/PROTOCOL.md, "Believing the baton").
pub(crate) const QUEUE_NAME: &str = "_fairlock";

/// The child of a semaphore's path where contenders for permits wait for their turn.
const TURNS_NAME: &str = "_fairlock_turns";

/// The child of a value that says which update has written it last. It also keeps a directory that a queue has made, and
/// that has become a value, from being removed with the queue.
pub(crate) const NOTE_NAME: &str = "_fairlock_note";

/// The longest lock path, in bytes. A session's watched paths have to fit one frame (`SET_WATCHES_MAX_BYTES` of the
/// client crate), so a path must not take up much of it.
pub(crate) const PATH_BYTES_MAX: usize = 1_024;

/// A checked, absolute path of a lock, such as `/orders/42`.
///
/// Cheap to clone. Two equal paths in one store (and below one chroot) are one lock.
///
/// ```
/// use fairlock::LockPath;
/// let path: LockPath = "/orders/42".parse()?;
/// assert_eq!(path.as_str(), "/orders/42");
/// assert!("orders/42".parse::<LockPath>().is_err());
/// # Ok::<(), fairlock::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockPath(Arc<str>);

impl LockPath {
    /// Checks a path.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPath`], which says what is wrong: the path is empty, relative, the root, ends with `/`, has an
    /// empty, `.` or `..` component or one that begins with the reserved `_fairlock`, a control character or another one that
    /// ZooKeeper refuses (`PathUtils.validatePath`), lies in `/zookeeper`, or is longer than 1,024 bytes.
    pub fn new(path: &str) -> Result<Self, Error> {
        match check(path) {
            Ok(()) => Ok(Self(path.into())),
            Err(reason) => Err(Error::InvalidPath { path: shorten(path), reason }),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the leader of an election at this path says who it is. Beside the queue, where it would cost the one-request grant.
    pub(crate) fn leader_record(&self) -> LockPath {
        LockPath(format!("{}/{QUEUE_NAME}_leader", self.0).into())
    }

    /// The path of something directly below; `parent` is `None` for the root.
    pub(crate) fn below(parent: Option<&LockPath>, name: &str) -> Result<Self, Error> {
        Self::new(&format!("{}/{name}", parent.map_or("", LockPath::as_str)))
    }

    /// Where a holder is asked to release the lock.
    pub(crate) fn release_requests(&self) -> LockPath {
        LockPath(format!("{}/{QUEUE_NAME}_requests", self.0).into())
    }

    /// Where the contenders' znodes of this lock lie.
    pub(crate) fn queue(&self) -> QueuePath {
        QueuePath([&*self.0, "/", QUEUE_NAME].concat().into())
    }

    /// Where the contenders for a semaphore's permits wait for their turn to look for room.
    pub(crate) fn turns(&self) -> QueuePath {
        QueuePath(format!("{}/{TURNS_NAME}", self.0).into())
    }

    /// Where those who have permits are; a value as well, which says how many permits there are.
    pub(crate) fn permits(&self) -> QueuePath {
        QueuePath(format!("{}/{QUEUE_NAME}_permits", self.0).into())
    }

    /// Where the note beside a value at this path lies.
    pub(crate) fn note(&self) -> Self {
        Self(format!("{}/{NOTE_NAME}", self.0).into())
    }

    /// The directories above, the outermost first, without the root.
    pub(crate) fn parents(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.match_indices('/').filter(|(at, _)| *at > 0).map(|(at, _)| &self.0[..at])
    }
}

impl std::str::FromStr for LockPath {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self, Error> {
        Self::new(path)
    }
}

impl fmt::Display for LockPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The directory that holds the contenders of one lock.
///
/// Only a checked [`LockPath`] leads to one, or [`QueuePath::of`] and its like, for code that implements or tests a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueuePath(Arc<str>);

impl QueuePath {
    /// The queue of a lock.
    pub fn of(lock: &LockPath) -> Self {
        lock.queue()
    }

    /// The directory of a semaphore's permits.
    pub fn of_permits(semaphore: &LockPath) -> Self {
        semaphore.permits()
    }

    /// The queue of those who wait for a semaphore's permits.
    pub fn of_turns(semaphore: &LockPath) -> Self {
        semaphore.turns()
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the queue's directory is a value.
    pub(crate) fn as_value(&self) -> LockPath {
        LockPath(self.0.clone())
    }

    /// Whether this is the queue of those who wait for permits. Their number is agreed on first, so the directory above exists.
    pub(crate) fn is_beside_permits(&self) -> bool {
        self.0.rsplit('/').next() == Some(TURNS_NAME)
    }

    /// The path of a node in this queue.
    pub fn join(&self, name: &str) -> String {
        // Joined, not formatted, which would take several times as many instructions.
        [&*self.0, "/", name].concat()
    }

    /// All directories that must exist for this queue, the outermost first, the queue itself last.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.char_indices().skip(1).filter(|&(_, c)| c == '/').map(|(at, _)| &self.0[..at]).chain([&*self.0])
    }
}

impl fmt::Display for QueuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("it is empty; give an absolute path such as /orders/42");
    }
    if !path.starts_with('/') {
        return Err("it is relative; start it with /");
    }
    if path == "/" {
        return Err("the root cannot be a lock; give a path below it");
    }
    if path.len() > PATH_BYTES_MAX {
        return Err("it is longer than 1024 bytes");
    }
    if path.ends_with('/') {
        return Err("it ends with /");
    }
    if path == "/zookeeper" || path.starts_with("/zookeeper/") {
        return Err("/zookeeper belongs to the servers");
    }
    if components(path).any(|component| component.starts_with(QUEUE_NAME.as_bytes())) {
        return Err("components that begin with _fairlock are reserved for this library");
    }
    check_components(&path[1..])
}

/// As bytes, which are looked through with fewer instructions than text: paths are checked at each use of a lock that is not kept.
fn components(path: &str) -> impl Iterator<Item = &[u8]> {
    path.as_bytes().split(|byte| *byte == b'/')
}

/// Checks what `PathUtils.validatePath` of ZooKeeper checks behind the first slash.
pub(crate) fn check_components(path: &str) -> Result<(), &'static str> {
    for component in components(path) {
        match component {
            b"" => return Err("it has an empty component (//)"),
            b"." | b".." => return Err("it has a . or .. component"),
            _ => {}
        }
    }
    // Nearly all paths are plain, which a look at their bytes shows at a fraction of the cost.
    let is_plain = path.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !is_plain && path.chars().any(is_refused) {
        return Err("it has a null, control or private-use character, which ZooKeeper refuses");
    }
    Ok(())
}

/// The characters that `PathUtils.validatePath` of ZooKeeper refuses. Those outside the basic plane are refused too:
/// Java sees them as surrogate pairs, which lie in a refused range.
fn is_refused(c: char) -> bool {
    matches!(c, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

fn shorten(path: &str) -> String {
    const CHARS_MAX: usize = 120;
    let mut shown: String = path.chars().take(CHARS_MAX).collect();
    if shown.len() < path.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_paths_are_kept_as_they_are() {
        for path in ["/a", "/orders/42", "/übung/日本", "/a.b/..c/_fair", "/a/zookeeper"] {
            assert_eq!(LockPath::new(path).expect(path).as_str(), path);
        }
    }

    #[test]
    fn each_kind_of_bad_path_is_refused_with_its_reason() {
        let long = format!("/{}", "x".repeat(PATH_BYTES_MAX));
        for (path, part) in [
            ("", "empty"),
            ("orders/42", "relative"),
            ("/", "root"),
            ("/a/", "ends with /"),
            ("/a//b", "empty component"),
            ("/a/./b", ". or .."),
            ("/..", ". or .."),
            ("/a\0b", "control"),
            ("/a\nb", "control"),
            ("/a\u{7f}", "control"),
            ("/a\u{1f600}", "control"),
            ("/a\u{e000}", "private-use"),
            ("/zookeeper/quota", "servers"),
            ("/a/_fairlock", "reserved"),
            ("/_fairlock/b", "reserved"),
            ("/a/_fairlock_note", "reserved"),
            (&long, "1024"),
        ] {
            let error = LockPath::new(path).expect_err(path).to_string();
            assert!(error.contains(part), "{path:?}: {error}");
            assert!(error.len() < 400, "an error must not repeat a path of any length: {error}");
        }
    }

    #[test]
    fn queue_lies_below_the_lock_and_lists_its_ancestors() {
        let queue = LockPath::new("/orders/42").expect("a good path").queue();
        assert_eq!(queue.as_str(), "/orders/42/_fairlock");
        assert_eq!(queue.join("lock-0000000001"), "/orders/42/_fairlock/lock-0000000001");
        assert_eq!(queue.ancestors().collect::<Vec<_>>(), ["/orders", "/orders/42", "/orders/42/_fairlock"]);
    }
}
