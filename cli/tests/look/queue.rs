//! `fairlock queue`.

use serde_json::json;

use crate::bed::{Outcome, client, create, run, run_json, unused_path, wait_for_contenders};

#[tokio::test(flavor = "multi_thread")]
async fn holder_and_waiters_are_listed_in_their_order() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let guard = one.mutex(&path)?.acquire().await?;
    let lock = two.rw_lock(&path)?;
    let waiting = tokio::spawn(async move { lock.read().await });
    wait_for_contenders(&one, &path, 2).await;
    let (table, errors) = run(0, &["queue", &path]).await?;
    assert_eq!(errors, "");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert_eq!(lines[0], format!("{path}: shared lock, 1 holds it, 1 waits"));
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(lines[1]), ["POS", "ROLE", "MODE", "AGE", "SESSION", "TOKEN", "NODE", "WHO"]);
    let holder = words(lines[2]);
    assert_eq!((&*holder[0], &*holder[1], &*holder[2]), ("0", "holder", "exclusive"));
    assert_eq!((&*holder[5], &*holder[6]), (&*guard.fencing_token().to_string(), "lock-0000000000"));
    assert_eq!(holder[7], one.identity().to_string());
    let waiter = words(lines[3]);
    assert_eq!((&*waiter[0], &*waiter[1], &*waiter[2], &*waiter[6]), ("1", "waiter", "shared", "read-0000000001"));

    let document = run_json(&["queue", "--json", &path]).await?;
    let lock = &document["locks"][0];
    assert_eq!((&lock["kind"], &lock["waiting"]), (&json!("shared"), &json!(1)));
    assert_eq!(lock["contenders"][1]["identity"]["owner"], json!("two"));
    assert_eq!(lock["contenders"][1]["role"], json!("waiter"));
    waiting.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_semaphore_permits_are_told() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let _permits = one.semaphore(&path, 3)?.acquire_many(2).await?;
    let semaphore = two.semaphore(&path, 3)?;
    let listed = semaphore.clone();
    let waiting = tokio::spawn(async move { semaphore.acquire_many(2).await });
    let has_its_turn = async {
        while listed.contenders().await?.iter().filter(|contender| contender.permits() == Some(2)).count() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Ok::<(), fairlock::Error>(())
    };
    tokio::time::timeout(crate::bed::PATIENCE, has_its_turn).await??;
    let (table, _) = run(0, &["queue", &path]).await?;
    assert!(table.starts_with(&format!("{path}: semaphore of 3, 1 holds it, 1 waits\n")), "{table}");
    assert_eq!(table.matches("2 permits").count(), 2, "{table}");
    let document = run_json(&["queue", "--json", &path]).await?;
    let lock = &document["locks"][0];
    assert_eq!((&lock["kind"], &lock["permits"]), (&json!("semaphore"), &json!(3)));
    let member = &lock["contenders"][0];
    assert_eq!(
        (&member["mode"], &member["permits"], &member["role"]),
        (&json!("permits"), &json!(2), &json!("holder"))
    );
    waiting.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_and_a_semaphore_at_one_path_are_both_listed() -> Outcome {
    let (path, locks) = (unused_path(), client("one").await);
    let _held = (locks.mutex(&path)?.acquire().await?, locks.semaphore(&path, 2)?.acquire().await?);
    let (table, _) = run(0, &["queue", &path]).await?;
    assert!(
        table.contains(": lock, 1 holds it") && table.contains("\n\n") && table.contains(": semaphore of 2, 1"),
        "{table}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_told_and_is_no_error() -> Outcome {
    let path = unused_path();
    let (table, told) = run(0, &["queue", &path]).await?;
    assert_eq!((table, told), (String::new(), format!("fairlock: nobody holds {path} or waits for it\n")));
    let document = run_json(&["queue", "--json", &path]).await?;
    assert_eq!((&document["path"], &document["locks"]), (&json!(path), &json!([])));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_nodes_are_counted_and_not_listed() -> Outcome {
    let (path, locks) = (unused_path(), client("one").await);
    let _guard = locks.mutex(&path)?.acquire().await?;
    create(&locks, &[(&*format!("{path}/_fairlock/con\u{202e}fig"), "x"), (&*format!("{path}/_fairlock/write-1"), "")])
        .await;
    let (table, told) = run(0, &["queue", &path]).await?;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(told.contains("2 foreign nodes among them") && !told.contains('\u{202e}'), "{told}");
    assert_eq!(run_json(&["queue", "--json", &path]).await?["locks"][0]["foreign"], json!(2));
    Ok(())
}
