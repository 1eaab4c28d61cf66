//! One server, and what a lock needs of it.

use fairlock_testcontainers::{Close, Operation, Proxy, Server};
use zookeeper_client as zk;

use super::bed::{OPEN, Outcome, doctor, doctor_as, program, raw, server, unused_path};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_server_is_well_and_left_as_it_was() -> Outcome {
    let address = server().await.address();
    let (client, root) = (raw(&address).await?, unused_path());
    client.create(&root, b"", &OPEN).await?;
    let before = client.check_stat(&root).await?.ok_or("just made")?;

    let report = doctor(&["-S", &address, "--root", &root])?;
    assert_eq!(report.code, 0, "{}", report.document);
    assert_eq!(report.document["verdict"], "warning", "a single server is worth a warning");
    for check in ["server.contact", "server.version", "server.mode", "server.session"] {
        report.expect_about(Some(&address), check, "ok", "");
    }
    report.expect_about(Some(&address), "server.session", "ok", "from 1 s to 10 s");
    for check in [
        "ensemble.leader",
        "session.open",
        "session.timeout",
        "session.tick",
        "root.exists",
        "root.permissions",
        "root.containers",
        "root.quota",
        "clock",
    ] {
        report.expect(check, "ok", "");
    }
    report.expect("ensemble.members", "warning", "a single server");
    assert_eq!(report.document["servers"][0]["mode"], "standalone");
    assert_eq!(report.document["servers"][0]["session_timeout_max_millis"], 10_000);
    assert_eq!(report.document["ensemble"]["containers"], true);

    let after = client.check_stat(&root).await?.ok_or("still there")?;
    assert_eq!(after.num_children, 0, "nothing is left behind");
    assert_eq!(after.cversion - before.cversion, 2, "made and removed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_text_without_escape_codes_in_a_pipe() -> Outcome {
    let address = server().await.address();
    let output = program(&["-S", &address], None).output()?;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{text}");
    assert!(text.starts_with(&format!("{address}\n  OK       reachable\n")), "{text}");
    assert!(text.contains("\nno problem, ") && !text.contains('\u{1b}'), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_the_pipe_still_learns_how_it_ended() -> Outcome {
    let address = server().await.address();
    for (servers, code) in [(address.clone(), 0), (format!("{address},127.0.0.1:1"), 1)] {
        for args in [&["-S", &servers][..], &["-S", &servers, "--json"]] {
            let (reader, writer) = std::io::pipe()?;
            drop(reader);
            let output = program(args, None).stdout(writer).output()?;
            assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(code), &b""[..]), "{args:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_serves_nobody_without_credentials_is_well() -> Outcome {
    let strict = Server::builder()
        .property("enforce.auth.enabled", "true")
        .property("enforce.auth.schemes", "digest")
        .start()
        .await?;
    let address = strict.address();
    let report = doctor_as(Some("digest alice:s3cret"), &["-S", &address])?;
    assert_eq!((report.code, report.problems()), (0, vec![]), "{}", report.document);
    report.expect_about(Some(&address), "server.session", "ok", "grants session timeouts from");
    report.expect("root.permissions", "ok", "");
    assert!(report.document["servers"][0]["round_trip_micros"].is_u64(), "{}", report.document);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_under_two_names_is_told_and_no_problem() -> Outcome {
    let address = server().await.address();
    let port = address.rsplit_once(':').ok_or("a port")?.1;
    let report = doctor(&["-S", &format!("127.0.0.1:{port},localhost:{port}")])?;
    assert_eq!((report.code, report.problems()), (0, vec![]), "{}", report.document);
    report.expect("ensemble.leader", "ok", "is the whole ensemble");
    report.expect("ensemble.list", "warning", "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_not_there_yet_is_tried_where_it_would_be_made() -> Outcome {
    let address = server().await.address();
    let (client, root) = (raw(&address).await?, unused_path());
    client.create(&root, b"", &OPEN).await?;
    let report = doctor(&["-S", &address, "--root", &format!("{root}/a/b")])?;
    assert_eq!(report.code, 0, "{}", report.document);
    report.expect("root.exists", "ok", &format!("the first lock makes it in {root}"));
    assert_eq!(report.document["ensemble"]["place"], root);
    assert!(client.list_children(&root).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_others_own_is_a_problem() -> Outcome {
    let address = server().await.address();
    let (client, root) = (raw(&address).await?, unused_path());
    client.auth("digest", b"alice:s3cret").await?;
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::creator_all());
    client.create(&root, b"", &options).await?;

    let report = doctor(&["-S", &address, "--root", &root])?;
    assert_eq!((report.code, report.problems()), (1, vec!["root.permissions"]), "{}", report.document);
    report.expect("root.permissions", "problem", &format!("cannot create nodes in {root}: no permission"));
    report.expect("root.readable", "warning", "");

    // Every digest is accepted; a wrong password is told by what it may not do.
    let report = doctor_as(Some("digest alice:wr0ng"), &["-S", &address, "--root", &root])?;
    assert_eq!((report.code, report.problems()), (1, vec!["root.permissions"]), "{}", report.document);
    report.expect("session.credentials", "ok", "digest:alice");

    let report =
        doctor_as(Some("digest alice:s3cret"), &["-S", &address, "--root", &root, "--access", "creator-only"])?;
    assert_eq!(report.code, 0, "{}", report.document);
    report.expect("root.permissions", "ok", &root);
    assert!(client.list_children(&root).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_may_create_but_not_delete_the_servers_tidy_up() -> Outcome {
    let address = server().await.address();
    let (client, root) = (raw(&address).await?, unused_path());
    let acls = [zk::Acl::new(zk::Permission::CREATE | zk::Permission::READ, zk::AuthId::anyone())];
    client.create(&root, b"", &zk::CreateMode::Persistent.with_acls(zk::Acls::new(&acls))).await?;
    let report = doctor(&["-S", &address, "--root", &root])?;
    assert_eq!((report.code, report.problems()), (1, vec!["root.permissions"]), "{}", report.document);
    report.expect("root.permissions", "problem", &format!("cannot delete nodes in {root}"));
    let left = report.document["ensemble"]["left_behind"].as_str().ok_or("something is left")?;
    // A container that had a node is what servers remove by themselves.
    let stat = client.check_stat(left).await?.ok_or("still there")?;
    assert!(stat.num_children == 0 && stat.cversion > 0, "{stat:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_is_removed_even_if_nobody_said_that_it_was_made() -> Outcome {
    let address = server().await.address();
    let (client, root) = (raw(&address).await?, unused_path());
    client.create(&root, b"", &OPEN).await?;
    let proxy = Proxy::start(address).await?;
    let lost = proxy.drop_reply(Operation::Multi, Close::Rst);
    let report = doctor(&["-S", &proxy.address(), "--root", &root])?;
    assert!(lost.is_sprung());
    assert_eq!((report.code, report.problems()), (1, vec!["root.permissions"]), "{}", report.document);
    assert!(report.document["ensemble"]["left_behind"].is_null(), "{}", report.document);
    assert!(client.list_children(&root).await?.is_empty(), "nothing is left behind");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_that_servers_do_not_know_is_refused() -> Outcome {
    let address = server().await.address();
    let report = doctor_as(Some("bogus alice:s3cret"), &["-S", &address])?;
    assert_eq!((report.code, report.problems()), (1, vec!["session.open"]), "{}", report.document);
    report.expect("session.open", "problem", "refused the credentials");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chroot_has_to_exist() -> Outcome {
    let address = server().await.address();
    let (client, chroot) = (raw(&address).await?, unused_path());
    let servers = format!("{address}{chroot}");
    let report = doctor(&["-S", &servers])?;
    assert_eq!((report.code, report.problems()), (1, vec!["session.open"]), "{}", report.document);
    report.expect("session.open", "problem", &chroot);
    report.expect_about(Some(&address), "server.session", "ok", "");

    client.create(&chroot, b"", &OPEN).await?;
    let report = doctor(&["-S", &servers])?;
    assert_eq!(report.code, 0, "{}", report.document);
    report.expect("session.open", "ok", &format!("the root {chroot} exists"));
    assert!(client.list_children(&chroot).await?.is_empty());
    Ok(())
}

/// As ZooKeeper's `setquota` does.
async fn set_quota(client: &zk::Client, path: &str, limits: &str) -> Result<(), zk::Error> {
    let quota = format!("/zookeeper/quota{path}");
    client.mkdir(&quota, &OPEN).await?;
    client.create(&format!("{quota}/zookeeper_limits"), limits.as_bytes(), &OPEN).await?;
    client.create(&format!("{quota}/zookeeper_stats"), b"count=1,bytes=0", &OPEN).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_found_also_above_the_chroot() -> Outcome {
    let address = server().await.address();
    let (client, root) = (raw(&address).await?, unused_path());
    client.create(&root, b"", &OPEN).await?;
    client.create(&format!("{root}/app"), b"", &OPEN).await?;
    set_quota(&client, &root, "count=100,bytes=-1=;byteHardLimit=-1;countHardLimit=-1").await?;
    let report = doctor(&["-S", &format!("{address}{root}/app")])?;
    assert_eq!(report.code, 0, "{}", report.document);
    report.expect("root.quota", "ok", &format!("quota on {root}: "));
    report.expect("root.quota", "ok", "of 100 nodes");
    assert_eq!(report.document["ensemble"]["quotas"][0]["nodes_max"], 100);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_a_problem() -> Outcome {
    let address = server().await.address();
    let (client, root) = (raw(&address).await?, unused_path());
    client.create(&root, b"", &OPEN).await?;
    set_quota(&client, &root, "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1").await?;
    let report = doctor(&["-S", &address, "--root", &root])?;
    assert_eq!(report.code, 1, "{}", report.document);
    report.expect("root.quota", "problem", "1 of 1 nodes (hard limit)");
    Ok(())
}
