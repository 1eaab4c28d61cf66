//! `fairlock revoke`.

use std::time::Duration;

use crate::bed::{Outcome, client, run, start, unused_path, wait_for_contenders};

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_is_told_why_and_its_answer_is_passed_on() -> Outcome {
    let (path, holder) = (unused_path(), client("worker").await);
    let guard = holder.mutex(&path)?.acquire().await?;
    let token = guard.fencing_token();
    let asked = tokio::spawn(async move {
        let asked = guard.release_requested().await?;
        guard.acknowledge(&asked, "in a minute").await?;
        // Held on: an answer is not a release.
        Ok::<_, fairlock::Error>((asked.reason().to_owned(), guard))
    });
    let (told, errors) = run(0, &["revoke", &path, "--reason", "disk is full"]).await?;
    let who = holder.identity();
    assert_eq!(told, format!("asked {who}, fencing token {token}, for {path}\n{who} answers: in a minute\n"));
    assert_eq!(errors, "");
    let (reason, guard) = asked.await??;
    assert_eq!(reason, "disk is full");
    assert!(guard.is_valid());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_wait_it_ends_once_the_lock_was_given_back() -> Outcome {
    for wait in ["--wait", "--wait=60s"] {
        let (path, holder) = (unused_path(), client("worker").await);
        let guard = holder.mutex(&path)?.acquire().await?;
        tokio::spawn(async move {
            let asked = guard.release_requested().await?;
            guard.acknowledge(&asked, "yes").await?;
            guard.release().await
        });
        let (told, _) = run(0, &["revoke", wait, &path]).await?;
        assert!(told.ends_with(&format!("{} holds it no more\n", holder.identity())), "{told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_does_not_give_it_back_in_time_is_told() -> Outcome {
    let (path, holder) = (unused_path(), client("worker").await);
    let guard = holder.mutex(&path)?.acquire().await?;
    let (told, why) = run(1, &["revoke", "--wait=0.2", &path]).await?;
    assert!(told.starts_with("asked worker@"), "{told}");
    assert!(why.contains(&format!("still holds {path}")), "{why}");
    assert!(guard.is_valid());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_told_and_is_no_failure() -> Outcome {
    let (path, holder) = (unused_path(), client("worker").await);
    let _guard = holder.mutex(&path)?.acquire().await?;
    let (told, why) = run(0, &["revoke", &path]).await?;
    assert!(told.starts_with("asked worker@"), "{told}");
    assert!(why.starts_with("fairlock: no answer within 5s"), "{why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_yields_is_ended() -> Outcome {
    let (path, locks) = (unused_path(), client("observer").await);
    let held = start(&["run", "--yield-on-request", "--identity", "worker", &path, "--", "sleep", "1000"]).await?;
    wait_for_contenders(&locks, &path, 1).await;
    let (told, _) = run(0, &["revoke", "--wait", &path]).await?;
    assert!(told.contains("asked worker@") && told.ends_with("holds it no more\n"), "{told}");
    let output = tokio::task::spawn_blocking(move || held.wait_with_output()).await??;
    assert_eq!(output.status.code(), Some(75));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_can_be_asked_too() -> Outcome {
    let (path, holder) = (unused_path(), client("leader").await);
    let leadership = holder.election(&path)?.campaign("x").await?;
    tokio::spawn(async move {
        leadership.release_requested().await?;
        leadership.resign().await
    });
    let (told, _) = run(0, &["revoke", "--wait=60s", &path]).await?;
    assert!(told.contains("asked leader@") && told.ends_with("holds it no more\n"), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_asked_the_reason_is_told() -> Outcome {
    let locks = client("one").await;
    let (nobody, shared, some) = (unused_path(), unused_path(), unused_path());
    let _held = (locks.rw_lock(&shared)?.read().await?, locks.semaphore(&some, 2)?.acquire().await?);
    for (path, told) in [(nobody, "nobody holds"), (shared, "those who share"), (some, "is a semaphore")] {
        let (stdout, stderr) = run(1, &["revoke", &path]).await?;
        assert_eq!(stdout, "");
        assert!(stderr.contains(told) && stderr.contains(&path), "{stderr}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_that_is_no_line_of_text_is_refused() -> Outcome {
    let (path, holder) = (unused_path(), client("worker").await);
    let guard = holder.mutex(&path)?.acquire().await?;
    let (_, told) = run(64, &["revoke", "--reason", "a\u{1b}b", &path]).await?;
    assert!(told.contains("control characters"), "{told}");
    let (_, told) = run(64, &["revoke", "--reason", &"x".repeat(600), &path]).await?;
    assert!(told.contains("600 bytes"), "{told}");
    let asked = tokio::time::timeout(Duration::from_millis(100), guard.release_requested()).await;
    assert!(asked.is_err(), "nobody was asked: {asked:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_too_many_have_asked_is_no_mistake_of_the_next() -> Outcome {
    let (path, holder) = (unused_path(), client("worker").await);
    let lock = holder.mutex(&path)?;
    let _guard = lock.acquire().await?;
    for _ in 0..32 {
        lock.request_release("soon").await?.ok_or("nobody was asked")?;
    }
    let (stdout, told) = run(70, &["revoke", &path]).await?;
    assert!(stdout.is_empty() && told.contains(&format!("32 others have asked the holder of {path}")), "{told}");
    Ok(())
}
