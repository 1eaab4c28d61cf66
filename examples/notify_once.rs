//! Several instances of a service receive the same event, and one of them sends the notification, whoever dies.
//!
//! "Exactly once" cannot be had from a lock alone: to send and to note that it was sent are two steps, and a process
//! may die between them. So there are two variants, and one has to choose:
//!
//! * **At most once**: note first, then send. A death in between sends nothing.
//! * **At least once**: send first, then note. A death in between sends twice, and the receiver drops the second by its
//!   idempotency key, which is made of the event and so the same from every sender. The fencing token cannot do that:
//!   the second sender's is higher. It is for the opposite case, a sender that was paused and comes late.
//!
//! `cargo run --example notify_once` runs in this process;
//! `ZOOKEEPER=localhost:2181 cargo run --example notify_once` uses a server.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairlock::store::{SessionId, StoreErrorKind, memory::Memory};
use fairlock::{Error as LockError, Fairlock, FencingToken, Guard};
use tokio::sync::Notify;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const INSTANCES: usize = 3;

/// Before a write whose reply was lost is tried again.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    AtMostOnce,
    AtLeastOnce,
}

/// Where the first instance is when something happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    Granted,
    BeforeSending,
    AfterSending,
}

/// What happens to it there. Its session ends in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Dies,
    /// It goes on where it was once the others are through, and knows nothing of it.
    IsPaused,
}

/// Who receives the notifications: a bank, a mail service.
#[derive(Default)]
struct Receiver {
    arrived: usize,
    /// By idempotency key, with the token of the sender.
    accepted: BTreeMap<String, FencingToken>,
}

impl Receiver {
    fn receive(&mut self, key: &str, token: FencingToken) -> String {
        self.arrived += 1;
        match self.accepted.get(key) {
            Some(first) if token < *first => format!("dropped: {token} comes later than {first}, and is older"),
            Some(first) => format!("dropped: a duplicate of what {first} has sent"),
            None => {
                self.accepted.insert(key.to_owned(), token);
                "accepted".to_owned()
            }
        }
    }
}

/// What happens around one event.
struct Story {
    variant: Variant,
    fate: Option<(Point, Fate)>,
    /// The lock of the event.
    path: String,
    receiver: Mutex<Receiver>,
    memory: Memory,
    first_has_it: Notify,
    others_are_through: Notify,
}

/// A process of its own, as far as the store can tell.
struct Instance {
    number: usize,
    locks: Fairlock,
    /// None on a server.
    session: Option<SessionId>,
}

/// Whether the instance lives on.
#[derive(PartialEq, Eq)]
enum Life {
    GoesOn,
    Ends,
}

impl Story {
    fn receiver(&self) -> MutexGuard<'_, Receiver> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The note that the notification was sent. It lies below the lock's path, which exists while the lock is held.
    fn note(&self) -> String {
        format!("{}/sent", self.path)
    }

    /// All that an instance does when it receives the event.
    async fn on_event(&self, instance: &Instance) -> Result<()> {
        let guard = instance.locks.mutex(&self.path)?.acquire().await?;
        if self.reach(instance, Point::Granted).await == Life::Ends {
            return Ok(());
        }
        match self.variant {
            Variant::AtMostOnce => self.note_then_send(instance, &guard).await?,
            Variant::AtLeastOnce => self.send_then_note(instance, &guard).await?,
        }
        match guard.release().await {
            Ok(()) | Err(LockError::LockLost { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn note_then_send(&self, instance: &Instance, guard: &Guard) -> Result<()> {
        // The store decides, and only for who holds the lock: nothing was read that might be old, and an instance that
        // was paused for an hour cannot note any more, even if the note has been tidied up since.
        match self.write_note(instance, guard).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(LockError::LockLost { reason, .. }) => {
                println!("  instance {}: notes nothing and sends nothing: {reason}", instance.number);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        if self.reach(instance, Point::BeforeSending).await == Life::GoesOn {
            self.send(instance, guard);
            self.reach(instance, Point::AfterSending).await;
        }
        Ok(())
    }

    async fn send_then_note(&self, instance: &Instance, guard: &Guard) -> Result<()> {
        // A server that lags behind may not know the note yet: then it is sent again, and dropped by the receiver.
        if instance.locks.value(&self.note())?.read().await?.is_some() {
            return Ok(());
        }
        if self.reach(instance, Point::BeforeSending).await == Life::Ends {
            return Ok(());
        }
        self.send(instance, guard);
        if self.reach(instance, Point::AfterSending).await == Life::Ends {
            return Ok(());
        }
        match self.write_note(instance, guard).await {
            // Whoever holds the lock now sends again.
            Ok(_) | Err(LockError::LockLost { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes that it was sent, unless somebody else has; whether the note is this guard's.
    async fn write_note(&self, instance: &Instance, guard: &Guard) -> std::result::Result<bool, LockError> {
        let own = guard.fencing_token().to_string().into_bytes();
        loop {
            match guard.transaction().create(self.note(), own.clone()).commit().await {
                Ok(()) => return Ok(true),
                Err(LockError::TransactionRefused { source, .. }) if source.kind() == StoreErrorKind::NodeExists => {
                    let note = instance.locks.value(&self.note())?.read().await?;
                    return Ok(note.is_some_and(|note| note.data() == own));
                }
                // Tried again; if the lost one was executed, the note that is found is the own one.
                Err(LockError::UnknownOutcome { .. }) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&self, instance: &Instance, guard: &Guard) {
        let key = format!("payment-received:{}", self.path);
        let answer = self.receiver().receive(&key, guard.fencing_token());
        println!("  instance {}: sends with token {}; {answer}", instance.number, guard.fencing_token());
    }

    /// A point at which something may happen to the first instance.
    async fn reach(&self, instance: &Instance, point: Point) -> Life {
        let Some((_, fate)) = self.fate.filter(|(at, _)| instance.number == 0 && *at == point) else {
            if instance.number == 0 {
                self.first_has_it.notify_one();
            }
            return Life::GoesOn;
        };
        println!("  instance {}: {fate:?} at {point:?}", instance.number);
        match instance.session {
            Some(session) => self.memory.expire(session),
            // A server cannot be told to expire a session at once; to close it from aside has the same effect there.
            None => instance.locks.close().await,
        }
        self.first_has_it.notify_one();
        if fate == Fate::Dies {
            return Life::Ends;
        }
        self.others_are_through.notified().await;
        Life::GoesOn
    }
}

/// Tells one story; how many notifications have arrived, and how many were accepted.
async fn tell(variant: Variant, fate: Option<(Point, Fate)>) -> Result<(usize, usize)> {
    let servers = std::env::var("ZOOKEEPER").ok();
    let memory = Memory::new();
    let mut instances = Vec::new();
    for number in 0..INSTANCES {
        let locks = match &servers {
            Some(servers) => Fairlock::connect(servers).await?,
            None => Fairlock::builder().open(memory.clone()).await?,
        };
        instances.push(Instance { number, locks, session: memory.sessions().last().copied() });
    }
    let story = Story {
        variant,
        fate,
        path: format!("/examples/notify_once/{:016x}", fastrand::u64(..)),
        receiver: Mutex::default(),
        memory,
        first_has_it: Notify::new(),
        others_are_through: Notify::new(),
    };
    println!("{variant:?}, {}", fate.map_or("all live".to_owned(), |(at, fate)| format!("one {fate:?} at {at:?}")));

    let others = async {
        story.first_has_it.notified().await;
        // They wait in line while the first is at it.
        tokio::try_join!(story.on_event(&instances[1]), story.on_event(&instances[2]))?;
        // A note is kept for as long as the event may come again. Here that is over, also for one who is paused.
        let guard = instances[1].locks.mutex(&story.path)?.acquire().await?;
        guard.transaction().delete(story.note(), None).commit().await?;
        guard.release().await?;
        story.others_are_through.notify_one();
        Ok(())
    };
    tokio::try_join!(story.on_event(&instances[0]), others)?;

    for instance in &instances {
        instance.locks.close().await;
    }
    let receiver = story.receiver();
    Ok((receiver.arrived, receiver.accepted.len()))
}

#[tokio::main]
async fn main() -> Result<()> {
    use Fate::{Dies, IsPaused};
    use Point::{AfterSending, BeforeSending, Granted};
    let expected = [
        // Never two arrive, and it may be that none does.
        (Variant::AtMostOnce, None, (1, 1)),
        (Variant::AtMostOnce, Some((Granted, Dies)), (1, 1)),
        (Variant::AtMostOnce, Some((Granted, IsPaused)), (1, 1)),
        (Variant::AtMostOnce, Some((BeforeSending, Dies)), (0, 0)),
        (Variant::AtMostOnce, Some((BeforeSending, IsPaused)), (1, 1)),
        (Variant::AtMostOnce, Some((AfterSending, Dies)), (1, 1)),
        // One is always accepted, and it may be that two arrive.
        (Variant::AtLeastOnce, None, (1, 1)),
        (Variant::AtLeastOnce, Some((Granted, Dies)), (1, 1)),
        (Variant::AtLeastOnce, Some((BeforeSending, Dies)), (1, 1)),
        (Variant::AtLeastOnce, Some((BeforeSending, IsPaused)), (2, 1)),
        (Variant::AtLeastOnce, Some((AfterSending, Dies)), (2, 1)),
        (Variant::AtLeastOnce, Some((AfterSending, IsPaused)), (2, 1)),
    ];
    for (variant, fate, arrived_and_accepted) in expected {
        let told = tell(variant, fate).await?;
        if told != arrived_and_accepted {
            return Err(format!("{told:?} have arrived and were accepted, not {arrived_and_accepted:?}").into());
        }
    }
    println!("at most once: never two; at least once: always one, and duplicates are dropped");
    Ok(())
}
