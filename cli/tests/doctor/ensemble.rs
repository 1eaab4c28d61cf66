//! Three servers, and two that are none.

use std::io;
use std::time::Duration;

use fairlock_testcontainers::{Ensemble, Server};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::bed::{Outcome, doctor, server};

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_are_one_ensemble_until_too_few_are_left() -> Outcome {
    let ensemble = Ensemble::start().await?;
    let servers = ensemble.connect_string();
    let addresses: Vec<_> = servers.split(',').collect();

    let report = doctor(&["-S", &servers])?;
    assert_eq!((report.code, report.problems()), (0, vec![]), "{}", report.document);
    report.expect("ensemble.leader", "ok", "leads");
    report.expect("ensemble.timeouts", "ok", "all 3 servers grant 10 s");
    report.expect("ensemble.unity", "ok", "all 3 servers");
    report.expect("ensemble.members", "ok", "3 servers vote, 1 may fail");

    let report = doctor(&["-S", addresses[0]])?;
    report.expect("ensemble.members", "warning", "names 1 of 3");

    ensemble.servers()[2].kill().await?;
    ensemble.wait_until_serving().await?;
    let report = doctor(&["-S", &servers])?;
    assert_eq!((report.code, report.problems()), (1, vec!["server.contact"]), "{}", report.document);
    // In a container, the engine goes on to accept connections for it.
    report.expect_about(Some(addresses[2]), "server.contact", "problem", "");
    report.expect("ensemble.leader", "ok", "");
    report.expect("root.permissions", "ok", "");

    ensemble.servers()[1].kill().await?;
    let report = doctor(&["-S", &servers, "--connect-timeout", "3"])?;
    assert_eq!(report.code, 1, "{}", report.document);
    report.expect("ensemble.leader", "problem", "none opens a session");
    report.expect_about(Some(addresses[0]), "server.session", "problem", "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_cut_off_from_the_others_serves_no_locks() -> Outcome {
    let ensemble = Ensemble::builder().isolatable().jvm_flag("-Dreadonlymode.enabled=true").start().await?;
    let cut_off = &ensemble.servers()[0];
    ensemble.isolate(0)?;
    let serves_reads = async { while cut_off.mode().await.as_deref() != Some("read-only") {} };
    tokio::time::timeout(Duration::from_secs(60), serves_reads).await?;
    ensemble.wait_until_serving().await?;

    let report = doctor(&["-S", &ensemble.connect_string()])?;
    assert_eq!((report.code, report.problems()), (1, vec!["server.mode"]), "{}", report.document);
    report.expect_about(Some(&cut_off.address()), "server.mode", "problem", "read-only");
    report.expect("ensemble.leader", "ok", "leads");
    report.expect("root.permissions", "ok", "");
    assert_eq!(report.document["servers"][0]["read_only"], true);

    let report = doctor(&["-S", &cut_off.address(), "--connect-timeout", "2"])?;
    assert_eq!(report.code, 1, "{}", report.document);
    report.expect("ensemble.leader", "problem", "none opens a session");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_know_nothing_of_each_other_are_no_ensemble() -> Outcome {
    let first = server().await.address();
    let other = Server::builder().max_session_timeout(Duration::from_secs(6)).start().await?;
    let second = other.address();
    let report = doctor(&["-S", &format!("{first},{second}")])?;
    assert_eq!(report.code, 1, "{}", report.document);
    report.expect("ensemble.leader", "problem", "on their own");
    report.expect("ensemble.unity", "problem", "not one ensemble");
    report.expect("ensemble.timeouts", "problem", &format!("{first} 10 s, {second} 6 s"));

    let sessions = other.four_letter("dump").await?;
    assert!(!sessions.contains("\n\t0x"), "every session is closed: {sessions}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_tell_nothing_of_themselves_are_examined_all_the_same() -> Outcome {
    let address = reticent(server().await.address()).await?;
    let report = doctor(&["-S", &address])?;
    assert_eq!((report.code, report.problems()), (0, vec![]), "{}", report.document);
    report.expect_about(Some(&address), "server.version", "unknown", "does not tell");
    report.expect_about(Some(&address), "server.mode", "unknown", "does not tell");
    report.expect_about(Some(&address), "server.session", "ok", "from 1 s to 10 s");
    report.expect("session.tick", "unknown", "do not tell their tickTime");
    report.expect("ensemble.leader", "ok", "sessions are opened");
    report.expect("root.permissions", "ok", "");
    Ok(())
}

/// An address at which the server refuses every four-letter word, as one does whose whitelist is empty.
async fn reticent(server: String) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                let mut word = [0; 4];
                // A frame begins with its length, which is far less than four letters are as a number.
                while client.peek(&mut word).await? < word.len() {}
                if word.iter().all(u8::is_ascii_lowercase) {
                    let refusal = format!(
                        "{} is not executed because it is not in the whitelist.\n",
                        String::from_utf8_lossy(&word)
                    );
                    return client.write_all(refusal.as_bytes()).await;
                }
                let mut server = TcpStream::connect(server).await?;
                copy_bidirectional(&mut client, &mut server).await.map(|_| ())
            });
        }
    });
    Ok(address)
}
