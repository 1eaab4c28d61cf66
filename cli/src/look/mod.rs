//! `fairlock ls` and `fairlock queue`: what is seen at a path, as a table, as JSON, or again and again.

mod document;
mod kind;
mod member;
mod queue;
mod table;
pub(crate) mod text;
mod tree;
mod watch;

use fairlock::{Fairlock, LockChange, LockInfo};

pub(crate) use self::kind::Kind;
pub(crate) use self::member::{Member, Mode};
use crate::args::{LookArgs, LsArgs, QueueArgs};
use crate::exit::{Exit, Failure};
use crate::settings::{self, Settings};

/// Runs `fairlock ls`.
pub(crate) async fn ls(args: LsArgs, settings: Settings) -> Result<Exit, Failure> {
    if args.path != "/" {
        fairlock::LockPath::new(&args.path)?;
    }
    look_at(&Subject::Tree { path: args.path, with_empty: args.all }, &args.look, &settings).await
}

/// Runs `fairlock queue`.
pub(crate) async fn queue(args: QueueArgs, settings: Settings) -> Result<Exit, Failure> {
    fairlock::LockPath::new(&args.lock)?;
    look_at(&Subject::Queue { path: args.lock }, &args.look, &settings).await
}

/// Looks once, or again and again.
async fn look_at(subject: &Subject, args: &LookArgs, settings: &Settings) -> Result<Exit, Failure> {
    let locks = settings.open("fairlock").await?;
    let outcome = match subject {
        _ if args.watch => watch::run(&locks, subject, args).await,
        Subject::Tree { .. } => tree::show(&locks, subject, args.json).await,
        Subject::Queue { .. } => queue::show(&locks, subject, args.json).await,
    };
    settings::close(&locks).await;
    outcome.map_err(Failure::without_a_lock)
}

/// What to look at.
#[derive(Clone, Debug)]
enum Subject {
    /// All that is at a path and below it: the holders, and how many wait.
    Tree { path: String, with_empty: bool },
    /// One lock: everybody.
    Queue { path: String },
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
struct Look {
    locks: Vec<Seen>,
    /// What may not be read, and why.
    unreadable: Vec<(String, String)>,
    is_cut: bool,
}

/// A lock as it was seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// Everybody, or only the holders; see [`Subject`].
    pub(crate) members: Vec<Member>,
    pub(crate) waiting: usize,
    pub(crate) foreign: usize,
    pub(crate) foreign_example: Option<String>,
}

impl Seen {
    fn new(info: &LockInfo) -> Self {
        let kind = Kind::of(&info.kind);
        Self {
            path: info.path.to_string(),
            members: info.holders.iter().map(|holder| Member::new(holder, &kind)).collect(),
            kind,
            waiting: info.waiting,
            foreign: info.foreign,
            foreign_example: info.foreign_example.clone(),
        }
    }

    fn with_all(info: &LockInfo, contenders: &[fairlock::Contender]) -> Self {
        let seen = Self::new(info);
        let members: Vec<_> = contenders.iter().map(|contender| Member::new(contender, &seen.kind)).collect();
        Self { waiting: members.iter().filter(|member| !member.holds).count(), members, ..seen }
    }

    fn holders(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.holds)
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.waiting == 0
    }
}

impl Look {
    /// Whether what was asked for may not be read at all.
    fn is_denied(&self, subject: &Subject) -> bool {
        self.unreadable.iter().any(|(path, _)| path == subject.path())
    }

    /// Whether nothing can be there that is not in it.
    fn is_whole(&self) -> bool {
        self.unreadable.is_empty() && !self.is_cut
    }
}

impl Subject {
    fn path(&self) -> &str {
        match self {
            Subject::Tree { path, .. } | Subject::Queue { path } => path,
        }
    }

    async fn look(&self, locks: &Fairlock) -> Result<Look, fairlock::Error> {
        self.look_then_wait(locks, &mut None).await
    }

    /// Looks, having asked for news of whoever comes or goes afterwards if `changes` is there. Of a whole tree there are none: that
    /// would be a watch for each lock.
    async fn look_then_wait(
        &self,
        locks: &Fairlock,
        changes: &mut Option<Vec<LockChange>>,
    ) -> Result<Look, fairlock::Error> {
        match self {
            Subject::Tree { path, with_empty } => {
                let list = locks.locks_below(path).await?;
                let mut seen: Vec<_> = list.locks.iter().map(Seen::new).collect();
                seen.retain(|seen| *with_empty || !seen.is_empty());
                let unreadable = list.unreadable.into_iter();
                let unreadable = unreadable.map(|unreadable| (unreadable.path, unreadable.error.to_string())).collect();
                Ok(Look { locks: seen, unreadable, is_cut: list.is_cut })
            }
            Subject::Queue { path } => {
                let mut seen = Vec::new();
                for info in locks.locks_at(path).await? {
                    // Before it is listed, so that nothing is missed.
                    if let Some(changes) = changes {
                        changes.push(locks.watch_lock(&info).await?);
                    }
                    let contenders = locks.contenders_of(&info).await?;
                    seen.push(Seen::with_all(&info, &contenders));
                }
                Ok(Look { locks: seen, ..Look::default() })
            }
        }
    }
}

/// What holds for the milliseconds since 1970, on this host's clock.
fn now_unix_ms() -> u64 {
    use fairlock::clock::{Clock as _, HostClock};
    HostClock.unix_millis()
}
