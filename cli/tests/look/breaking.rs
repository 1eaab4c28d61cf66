//! `fairlock break`.

use fairlock::{Error, LossReason};

use crate::bed::{Outcome, client, run, unused_path, wait_for_contenders};
use crate::terminal::Terminal;

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_is_removed_and_the_next_one_granted() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let guard = one.mutex(&path)?.acquire().await?;
    let lock = two.mutex(&path)?;
    let waiting = tokio::spawn(async move { lock.acquire().await });
    wait_for_contenders(&one, &path, 2).await;
    let (told, warned) = run(0, &["break", "--yes", &path, "lock-0000000000"]).await?;
    assert_eq!(told, format!("removed lock-0000000000 ({}) from {path}\n", one.identity()));
    assert!(warned.contains("fencing token"), "{warned}");
    assert_eq!(guard.lost().await, LossReason::NodeDeleted);
    waiting.await??.release().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_is_removed_by_its_position() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let guard = one.mutex(&path)?.acquire().await?;
    let lock = two.mutex(&path)?;
    let waiting = tokio::spawn(async move { lock.acquire().await });
    wait_for_contenders(&one, &path, 2).await;
    let (told, warned) = run(0, &["break", "--yes", &path, "1"]).await?;
    assert!(told.contains("(two@") && warned.is_empty(), "{told}{warned}");
    assert!(matches!(waiting.await?, Err(Error::Removed { .. })));
    assert!(guard.is_valid());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_of_permits_is_removed() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let permit = one.semaphore(&path, 2)?.acquire().await?;
    let _other = one.semaphore(&path, 2)?.acquire().await?;
    let (told, _) = run(0, &["break", "--yes", &path, "0"]).await?;
    assert!(told.starts_with("removed permits-1-"), "{told}");
    assert_eq!(permit.lost().await, LossReason::NodeDeleted);
    assert_eq!(one.semaphore(&path, 2)?.contenders().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_lock_and_a_semaphore_share_a_path_it_asks_which() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let (guard, permit) = (one.mutex(&path)?.acquire().await?, one.semaphore(&path, 2)?.acquire().await?);
    let (_, told) = run(1, &["break", "--yes", &path, "0"]).await?;
    assert!(told.contains("--kind"), "{told}");
    run(0, &["break", "--yes", "--kind", "semaphore", &path, "0"]).await?;
    assert_eq!(permit.lost().await, LossReason::NodeDeleted);
    assert!(guard.is_valid());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_and_nobody_such_are_told() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let (_, told) = run(1, &["break", "--yes", &path, "0"]).await?;
    assert_eq!(told, format!("fairlock: nobody holds {path} or waits for it\n"));
    let guard = one.mutex(&path)?.acquire().await?;
    for contender in ["1", "-1", "lock-0000000007", "../x", "99999999999999999999999", "0\u{1b}[2J", ""] {
        let (stdout, told) = run(1, &["break", "--yes", "--", &path, contender]).await?;
        assert_eq!(stdout, "");
        assert!(told.contains("nobody at") && !told.contains('\u{1b}'), "{told}");
    }
    assert!(guard.is_valid());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_shows_whom_and_asks() -> Outcome {
    let (path, one) = (unused_path(), client("one").await);
    let guard = one.mutex(&path)?.acquire().await?;
    for (answer, code) in [("n\r", 1), ("\r", 1), ("\u{4}", 1), ("maybe\r", 1), ("y\r", 0)] {
        assert!(guard.is_valid(), "nothing is broken by anything but yes");
        let mut terminal = Terminal::run(100, 24, &[], &["break", &path, "0"]).await?;
        terminal.until_shown("[y/N]")?;
        let shown = terminal.contents();
        for text in ["who       one@", "role      holder, exclusive", "node      lock-0000000000", "session   0x"] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
        terminal.press(answer)?;
        assert_eq!(terminal.finish()?, code, "{answer:?}: {}", terminal.contents());
    }
    assert_eq!(guard.lost().await, LossReason::NodeDeleted);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_in_the_place_of_the_one_that_was_shown_is_left_alone() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let guard = one.mutex(&path)?.acquire().await?;
    let mut terminal = Terminal::run(100, 24, &[], &["break", &path, "0"]).await?;
    terminal.until_shown("[y/N]")?;
    guard.release().await?;
    let guard = two.mutex(&path)?.acquire().await?;
    terminal.press("y\r")?;
    assert_eq!(terminal.finish()?, 1);
    assert!(terminal.contents().contains("was not removed: it is gone"), "{}", terminal.contents());
    assert!(guard.is_valid());
    guard.release().await?;
    Ok(())
}
