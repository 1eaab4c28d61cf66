//! On a real server, which is left as it was.

use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use fairlock_testcontainers::Server;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::sync::OnceCell;
use zookeeper_client as zk;

use super::{Outcome, program, run_expecting};

const PATIENCE: Duration = Duration::from_secs(30);

/// The server that all tests share. It ends with this process; what that leaves is removed by the next start.
async fn server() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            // The server must outlive the runtime of the test that happens to come first.
            let started = std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
                runtime.block_on(Server::start())
            });
            let server = tokio::task::spawn_blocking(|| started.join()).await.expect("no panic").expect("no panic");
            server.expect("a server can be started")
        })
        .await
}

async fn raw() -> Result<zk::Client, zk::Error> {
    zk::Client::connector().with_session_timeout(Duration::from_secs(10)).connect(&server().await.address()).await
}

const OPEN: zk::CreateOptions<'static> = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());

#[tokio::test(flavor = "multi_thread")]
async fn many_contend_for_several_locks_in_order_and_leave_nothing() -> Outcome {
    let (address, client) = (server().await.address(), raw().await?);
    client.create("/several", b"", &OPEN).await?;
    let args = ["-S", &address, "--root", "/several", "--json", "--duration", "1s"];
    let load = ["--clients", "6", "--contenders", "6", "--locks", "3", "--hold", "1ms"];
    let (text, warning) = run_expecting(0, &[&args[..], &load].concat())?;
    assert!(warning.contains(&format!("this loads {address} with 3 locks, 6 contenders each")), "{warning}");
    let report: Value = serde_json::from_str(&text)?;
    assert_eq!((&report["order_violations"], &report["overlaps"]), (&0.into(), &0.into()), "{report}");
    assert_eq!(report["failures"]["count"], 0, "{report}");
    assert_eq!(report["store_calls_per_acquisition"]["alone"], 2.0, "{report}");
    for name in ["read", "write", "acquire_alone", "release_alone", "wait", "hand_over"] {
        assert!(report["latencies_micros"][name]["max"].as_f64() > Some(0.0), "{name}: {report}");
    }
    assert!(client.list_children("/several").await?.is_empty(), "nothing is left behind");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usual_directory_goes_with_the_last_who_uses_it() -> Outcome {
    let (address, client) = (server().await.address(), raw().await?);
    run_expecting(0, &["-S", &address, "--duration", "200ms"])?;
    assert!(client.check_stat("/fairlock-bench").await?.is_none());
    Ok(())
}

/// Waits until this many contend for the first lock of the benchmark below `root`.
async fn wait_for_contenders(client: &zk::Client, root: &str, count: usize) -> Outcome {
    let seen = tokio::time::timeout(PATIENCE, async {
        loop {
            for run in client.list_children(root).await? {
                let queue = format!("{root}/{run}/lock-0/_fairlock");
                match client.list_children(&queue).await {
                    Ok(nodes) if nodes.len() >= count => return Ok::<_, zk::Error>(()),
                    Ok(_) | Err(zk::Error::NoNode) => {}
                    Err(error) => return Err(error),
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    Ok(seen.await??)
}

fn signal(child: &Child) -> Outcome {
    let pid = Pid::from_raw(i32::try_from(child.id())?).ok_or("a process has an id")?;
    Ok(kill_process(pid, Signal::INT)?)
}

fn interrupt(child: Child) -> Result<Output, Box<dyn std::error::Error>> {
    signal(&child)?;
    Ok(child.wait_with_output()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_interrupts_it_gets_a_report_and_finds_nothing_left() -> Outcome {
    let (address, client) = (server().await.address(), raw().await?);
    client.create("/interrupted", b"", &OPEN).await?;
    // Each holds the lock for so long that the others are certainly there.
    let args = ["-S", &address, "--root", "/interrupted", "--duration", "10m", "--hold", "1m", "--contenders", "5"];
    let child = program(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    wait_for_contenders(&client, "/interrupted", 5).await?;
    let output = interrupt(child)?;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("\ngrants           1 in ") && text.contains("\ninterrupted: "), "{text}");
    assert!(client.list_children("/interrupted").await?.is_empty(), "nothing is left behind");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_interrupts_it_twice_does_not_wait_for_servers_that_hang_and_gets_a_report() -> Outcome {
    let hanging = Server::start().await?;
    let address = hanging.address();
    let client = zk::Client::connector().with_session_timeout(Duration::from_secs(10)).connect(&address).await?;
    client.create("/hanging", b"", &OPEN).await?;
    let args = ["-S", &address, "--root", "/hanging", "--duration", "10m", "--hold", "1m", "--contenders", "3"];
    let mut child = program(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    wait_for_contenders(&client, "/hanging", 3).await?;
    hanging.pause().await?;
    let began = Instant::now();
    // Signals that come before the last one was seen are one.
    while child.try_wait()?.is_none() {
        signal(&child)?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(began.elapsed() < PATIENCE, "it waits");
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("\ngrants           1 in ") && text.contains("\ninterrupted: "), "{text}");
    let told = String::from_utf8(output.stderr)?;
    assert!(told.contains("could not be removed; the servers remove it within minutes (interrupted)"), "{told}");
    hanging.unpause().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_leave_in_one_lock_keeps_no_other_from_being_removed() -> Outcome {
    let (address, client) = (server().await.address(), raw().await?);
    client.create("/shared", b"", &OPEN).await?;
    let args = ["-S", &address, "--root", "/shared", "--duration", "10m", "--hold", "1m"];
    let load = ["--locks", "40", "--contenders", "1"];
    let child = program(&[&args[..], &load].concat()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    wait_for_contenders(&client, "/shared", 1).await?;
    let run = client.list_children("/shared").await?.pop().ok_or("a directory")?;
    client.create(&format!("/shared/{run}/lock-0/_fairlock/foreign"), b"", &OPEN).await?;
    let output = interrupt(child)?;
    let told = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains(&format!("/shared/{run} could not be removed")), "{told}");
    assert_eq!(client.list_children(&format!("/shared/{run}")).await?, ["lock-0"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_permitted_that_is_told() -> Outcome {
    let (address, client) = (server().await.address(), raw().await?);
    let read = [zk::Acl::new(zk::Permission::READ, zk::AuthId::anyone())];
    client.create("/forbidden", b"", &zk::CreateMode::Persistent.with_acls(zk::Acls::new(&read))).await?;
    let (_, told) = run_expecting(77, &["-S", &address, "--root", "/forbidden", "--duration", "200ms"])?;
    assert!(told.contains("no permission"), "{told}");
    Ok(())
}

#[test]
fn nobody_at_the_address_has_a_code_of_its_own() -> Outcome {
    let (stdout, told) = run_expecting(69, &["-S", "127.0.0.1:1", "--connect-timeout", "0.5", "--duration", "200ms"])?;
    assert!(stdout.is_empty() && told.contains("refused"), "{told}");
    Ok(())
}
