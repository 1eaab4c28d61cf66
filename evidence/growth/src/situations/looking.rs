//! Those who only look: trying, places in the queue, lists, and news of one lock.

use std::time::Duration;

use fairlock::{AcquireOptions, Guard};

use super::Book;
use super::stage::{Line, Stage, path};
use crate::formula;

pub(super) async fn all(book: &mut Book) {
    let size = book.size;
    let mut stage = Stage::set(size).await;
    let mut lines: Vec<(Guard, Line<Guard>)> = Vec::new();
    for lock in 0..size.locks {
        let mutex = |place| stage.session(lock, place).mutex(&path(lock)).expect("a good path");
        let guard = mutex(0).acquire().await.expect("free");
        let mut line = Line::new();
        for place in 1..=size.waiters {
            let mutex = mutex(place);
            line.come(async move { mutex.acquire().await });
        }
        lines.push((guard, line));
    }
    stage.cost().await;

    let mutex = stage.sessions[0].mutex(&path(0)).expect("a good path");
    assert!(mutex.try_acquire().await.expect("no error").is_none());
    book.cost("try a held lock", formula::try_held(size), stage.cost().await);

    mutex.contenders().await.expect("listed");
    book.cost("list the contenders of one lock", formula::contenders(size), stage.cost().await);

    let found = stage.sessions[0].locks_below("/locks").await.expect("listed").locks;
    assert_eq!(found.len() as u64, size.locks);
    book.cost("list all locks", formula::locks_below(size), stage.cost().await);

    let change = stage.sessions[0].watch_lock(&found[0]).await.expect("watched");
    let lock = found[0].path.to_string();
    let watched = stage.cost().await;
    let entering = stage.sessions[0].mutex(&lock).expect("a good path");
    let (options, progress) = AcquireOptions::default().progress();
    let options = options.progress_interval(Duration::from_secs(2));
    let last = tokio::spawn(async move { entering.acquire_with(options).await });
    change.happened().await;
    // The last one enters like any waiter, and looks where it stands.
    let entered = formula::Size { locks: 1, waiters: 1, ..size };
    let with_it = formula::Size { waiters: size.waiters + 1, ..size };
    let expected = formula::watch_lock(size) + formula::gather(entered) + formula::progress(with_it, 1);
    book.cost("watch one lock until somebody comes", expected, watched + stage.cost().await);
    tokio::time::sleep(Duration::from_secs(6)).await;
    book.cost("see one's place every 2 s, for 6 s", formula::progress(with_it, 3), stage.cost().await);
    last.abort();
    drop(progress);
}
