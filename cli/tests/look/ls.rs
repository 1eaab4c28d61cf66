//! `fairlock ls`.

use serde_json::json;
use zookeeper_client as zk;

use crate::bed::{
    Outcome, PROGRAM, address, client, create, expect, program, run, run_json, unused_path, wait_for_contenders,
};

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_one_line_with_its_holders_and_how_many_wait() -> Outcome {
    let (path, one, two) = (unused_path(), client("one").await, client("two").await);
    let held = one.mutex(&format!("{path}/held"))?.acquire().await?;
    let waits = two.mutex(&format!("{path}/held"))?;
    let waiting = tokio::spawn(async move { waits.acquire().await });
    wait_for_contenders(&one, &format!("{path}/held"), 2).await;
    let shared =
        (one.rw_lock(&format!("{path}/read"))?.read().await?, two.rw_lock(&format!("{path}/read"))?.read().await?);
    let permit = one.semaphore(&format!("{path}/some"), 3)?.acquire().await?;
    let leads = two.election(&format!("{path}/who"))?.campaign("http://two").await?;
    let free = format!("{path}/free");
    one.mutex(&free)?.acquire().await?.release().await?;

    let (table, errors) = run(0, &["ls", &path]).await?;
    assert_eq!(errors, "");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 5, "{table}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(lines[0]), ["LOCK", "KIND", "WAITING", "AGE", "HELD", "BY"]);
    for (line, starts, waiting, holder) in [
        (lines[1], format!("{path}/held"), " lock  ", one.identity()),
        (lines[2], format!("{path}/read"), " shared lock  ", one.identity()),
        (lines[3], format!("{path}/some"), " semaphore of 3  ", one.identity()),
        (lines[4], format!("{path}/who"), " election  ", two.identity()),
    ] {
        assert!(line.starts_with(&starts) && line.contains(waiting) && line.contains(&holder.to_string()), "{table}");
    }
    assert!(lines[4].ends_with(" (http://two)"), "{table}");
    assert!(lines[2].ends_with(&format!("{}, {}", one.identity(), two.identity())), "{table}");
    let kinds: Vec<_> = lines.iter().map(|line| line.find("lock").or(line.find("semaphore"))).collect();
    assert!(kinds[1] < kinds[2], "columns are aligned: {table}");

    let (table, _) = run(0, &["ls", "--all", &path]).await?;
    assert!(table.lines().any(|line| line.starts_with(&free) && line.ends_with(" 0        -    -")), "{table}");

    let document = run_json(&["ls", "--json", &path]).await?;
    assert_eq!(
        (&document["path"], &document["cut"], &document["unreadable"]),
        (&json!(path), &json!(false), &json!([]))
    );
    let locks = document["locks"].as_array().ok_or("an array")?;
    let fields = |at: usize| (locks[at]["kind"].as_str(), locks[at]["waiting"].as_u64(), locks[at]["foreign"].as_u64());
    assert_eq!(fields(0), (Some("lock"), Some(1), Some(0)));
    assert_eq!(fields(1).0, Some("shared"));
    assert_eq!((fields(2).0, &locks[2]["permits"]), (Some("semaphore"), &json!(3)));
    assert_eq!((fields(3).0, &locks[3]["leader"]["payload"]), (Some("election"), &json!("http://two")));
    let holder = &locks[0]["holders"][0];
    assert_eq!(holder["identity"]["owner"], json!("one"));
    assert_eq!(holder["token"], json!(held.fencing_token().as_i64()));
    for field in
        ["position", "role", "mode", "permits", "identity", "age_ms", "since_unix_ms", "session", "token", "node"]
    {
        assert!(holder.get(field).is_some(), "{field} is missing: {holder}");
    }
    waiting.abort();
    drop((shared, permit, leads));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_below_a_path_is_told_and_is_no_error() -> Outcome {
    let path = unused_path();
    let (table, told) = run(0, &["ls", &path]).await?;
    assert_eq!(table, "");
    assert!(told.starts_with(&format!("fairlock: nobody holds a lock below {path}")), "{told}");
    assert_eq!(run_json(&["ls", "--json", &path]).await?["locks"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_path_all_is_listed() -> Outcome {
    let (path, locks) = (unused_path(), client("one").await);
    let _guard = locks.mutex(&path)?.acquire().await?;
    let (table, _) = run(0, &["ls"]).await?;
    assert!(table.lines().any(|line| line.starts_with(&format!("{path} "))), "{table}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_written_reaches_no_terminal() -> Outcome {
    let (path, locks) = (unused_path(), client("a\u{202e}b").await);
    let _guard = locks.mutex(&format!("{path}/a"))?.acquire().await?;
    let ticket = r#"{"id":"1","owner":"x\u001b[2J","host":"h","pid":1,"since_unix_ms":1}"#;
    let queue = format!("{path}/b/_fairlock");
    create(&locks, &[(&*format!("{path}/b"), ""), (&*queue, ""), (&*format!("{queue}/lock-0000000007"), ticket)]).await;
    let _leads = locks.election(&format!("{path}/c"))?.campaign("\u{9b}31m\u{7f}").await?;
    for args in [&["ls", &path][..], &["ls", "--json", &path], &["queue", &format!("{path}/b")]] {
        let (stdout, stderr) = run(0, args).await?;
        assert!(!stdout.chars().chain(stderr.chars()).any(|c| c.is_control() && c != '\n'), "{args:?}: {stdout:?}");
    }
    let (table, _) = run(0, &["ls", &path]).await?;
    assert!(table.contains("a\u{fffd}b@") && table.contains("unknown, no session"), "{table}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_told_and_has_a_code_of_its_own() -> Outcome {
    let (path, locks) = (unused_path(), client("one").await);
    let _open = locks.mutex(&format!("{path}/open"))?.acquire().await?;
    let private = fairlock::Fairlock::builder()
        .credentials("digest", "user:secret")
        .access(fairlock::store::zookeeper::Access::CreatorOnly)
        .connect(&address().await)
        .await?;
    let closed = format!("{path}/closed");
    let _guard = private.mutex(&closed)?.acquire().await?;
    let (table, told) = run(0, &["ls", &path]).await?;
    assert!(table.contains(&format!("{path}/open")) && !table.contains(&closed), "{table}");
    assert!(told.starts_with(&format!("fairlock: {closed}: no permission")), "{told}");
    let document = run_json(&["ls", "--json", &path]).await?;
    assert_eq!(document["unreadable"][0]["path"], json!(closed));
    for args in [
        &["ls", &closed][..],
        &["ls", "--watch", &closed],
        &["ls", "--watch", "--json", &closed],
        &["queue", &closed],
        &["queue", "--watch", &closed],
        &["revoke", &closed],
        &["break", "--yes", &closed, "0"],
    ] {
        let (stdout, told) = run(77, args).await?;
        assert!(stdout.is_empty() && told.contains("no permission"), "{args:?}: {told}");
    }
    let file = std::env::temp_dir().join(format!("fairlock-look-{}", std::process::id()));
    std::fs::write(&file, "digest user:secret\n")?;
    let (table, _) = run(0, &["ls", "--auth-file", &file.to_string_lossy(), &path]).await?;
    std::fs::remove_file(&file)?;
    assert!(table.contains(&closed), "{table}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_not_all_may_be_read_nobody_is_not_said_to_be_there() -> Outcome {
    let (path, raw) = (unused_path(), zk::Client::connect(&address().await).await?);
    let nobody = [zk::Acl::new(zk::Permission::CREATE, zk::AuthId::anyone())];
    let closed = zk::CreateMode::Persistent.with_acls(zk::Acls::new(&nobody));
    let open = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    raw.mkdir(&path, &open).await?;
    raw.create(&format!("{path}/closed"), b"", &closed).await?;
    let (_, told) = run(0, &["ls", &path]).await?;
    assert!(told.contains("nobody that can be seen holds a lock"), "{told}");

    // What only the leader has said may be private.
    let (election, locks) = (format!("{path}/who"), client("one").await);
    let _guard = locks.mutex(&election)?.acquire().await?;
    let record = format!("{election}/_fairlock_leader");
    raw.create(&record, b"x", &closed).await?;
    let document = run_json(&["ls", "--json", &election]).await?;
    assert_eq!((&document["locks"][0]["kind"], &document["locks"][0]["leader"]), (&json!("election"), &json!(null)));
    assert_eq!(document["locks"][0]["holders"][0]["identity"]["owner"], json!("one"));
    assert_eq!(document["unreadable"][0]["path"], json!(record));
    let (table, _) = run(0, &["queue", &election]).await?;
    assert!(table.starts_with(&format!("{election}: election, 1 holds it")), "{table}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_error() -> Outcome {
    let (path, locks) = (unused_path(), client("one").await);
    let _guard = locks.mutex(&path)?.acquire().await?;
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let ls = program(&address().await, &["ls", &path]).stdout(writer).stderr(std::process::Stdio::piped()).spawn()?;
    let output = tokio::task::spawn_blocking(move || ls.wait_with_output()).await??;
    assert_eq!((output.status.code(), String::from_utf8(output.stderr)?), (Some(0), String::new()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_have_a_code_of_their_own() -> Outcome {
    for (args, told) in [
        (&["ls", "jobs"][..], "start it with /"),
        (&["ls", "/a", "/b"], "/b"),
        (&["ls", "--interval", "1s"], "--watch"),
        (&["ls", "--watch", "--interval", "soon"], "give seconds"),
        (&["ls", "--jsn"], "--json"),
        (&["queue"], "LOCK"),
        (&["queue", "/"], "the root cannot be a lock"),
        (&["queue", "/a/_fairlock"], "reserved"),
        (&["revoke"], "LOCK"),
        (&["revoke", "a"], "start it with /"),
        (&["revoke", "--wait=never", "/a"], "give seconds"),
        (&["break", "/a"], "NODE|POSITION"),
        (&["break", "--kind", "both", "/a", "1"], "semaphore"),
        (&["break", "--yes", "a", "1"], "start it with /"),
        (&["break", "/a", "1"], "give --yes"),
    ] {
        let (stdout, stderr) = run(64, args).await?;
        assert_eq!(stdout, "", "{args:?}");
        assert!(stderr.contains(told), "{args:?}: {stderr}");
    }
    Ok(())
}

#[test]
fn nobody_at_the_address_is_told_by_each_command() -> Outcome {
    for args in [
        &["ls"][..],
        &["ls", "--watch"],
        &["queue", "/a"],
        &["queue", "--watch", "/a"],
        &["revoke", "/a"],
        &["break", "--yes", "/a", "0"],
    ] {
        let mut all = args.to_vec();
        all.extend(["--servers", "127.0.0.1:1", "--connect-timeout", "0.5"]);
        let output = std::process::Command::new(PROGRAM).args(&all).env("HOME", "/nonexistent").output()?;
        let (_, told) = expect(69, &output, &all)?;
        assert!(told.starts_with("fairlock: no session with 127.0.0.1:1"), "{told}");
    }
    Ok(())
}

#[test]
fn each_command_has_help_with_examples() -> Outcome {
    for command in ["ls", "queue", "revoke", "break"] {
        let help = |flag: &str| -> Result<String, Box<dyn std::error::Error>> {
            let output = std::process::Command::new(PROGRAM).args([command, flag]).output()?;
            Ok(expect(0, &output, &[command, flag])?.0)
        };
        let (short, long) = (help("-h")?, help("--help")?);
        assert!(short.contains("Examples:") && !short.contains("Exit codes:"), "{short}");
        assert!(long.contains("Exit codes:") && long.len() > short.len(), "{long}");
    }
    Ok(())
}
