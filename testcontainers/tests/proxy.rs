//! The proxy in front of a real server, seen by an independent client.

use std::error::Error;
use std::time::{Duration, Instant};

use fairlock_testcontainers::{Close, Direction, EventKind, Operation, Proxy, Server, What, Which};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zookeeper_client::{Acls, Client, CreateMode, EventType};

type Outcome = Result<(), Box<dyn Error>>;

const SECOND: Duration = Duration::from_secs(1);

async fn create(client: &Client, path: &str) -> Result<(), zookeeper_client::Error> {
    client.create(path, b"", &CreateMode::Persistent.with_acls(Acls::anyone_all())).await.map(drop)
}

async fn connect(address: &str) -> Result<Client, zookeeper_client::Error> {
    Client::connector().with_session_timeout(4 * SECOND).connect(address).await
}

struct Bed {
    server: Server,
    proxy: Proxy,
    /// Through the proxy.
    client: Client,
    /// Past it.
    direct: Client,
}

async fn bed() -> Result<Bed, Box<dyn Error>> {
    let server = Server::start().await?;
    let proxy = Proxy::start(server.address()).await?;
    let client = connect(&proxy.address()).await?;
    let direct = connect(&server.address()).await?;
    Ok(Bed { server, proxy, client, direct })
}

#[tokio::test]
async fn counts_and_log_tell_what_passed() -> Outcome {
    let Bed { proxy, client, direct, server: _server } = bed().await?;
    proxy.reset_counts();
    proxy.clear_log();
    create(&client, "/a").await?;
    let (_, watch) = client.check_and_watch_stat("/a").await?;
    direct.delete("/a", None).await?;
    assert_eq!(watch.changed().await.event_type, EventType::NodeDeleted);
    assert!(client.get_data("/a").await.is_err());

    let counts = proxy.counts();
    assert_eq!(counts.requests(), 3, "{counts}");
    assert_eq!(counts.request(Operation::Create) + counts.request(Operation::Create2), 1, "{counts}");
    assert_eq!(counts.request(Operation::Exists), 1, "{counts}");
    assert_eq!(counts.reply(Operation::GetData), 1, "{counts}");
    assert_eq!(counts.events(), 1, "{counts}");
    assert_eq!(counts.event(EventKind::NodeDeleted), 1, "{counts}");
    assert!(counts.bytes_to_server() > 50 && counts.bytes_to_client() > 50, "{counts}");

    let log: Vec<_> = proxy.log().into_iter().map(|entry| entry.what).collect();
    let read = What::Request { operation: Operation::GetData, path: Some("/a".to_owned()) };
    assert!(log.contains(&read), "{log:?}");
    assert!(log.contains(&What::Reply { operation: Operation::GetData, err: -101 }), "{log:?}");
    assert!(log.contains(&What::Event { kind: EventKind::NodeDeleted, path: "/a".to_owned() }), "{log:?}");

    create(&client, "/b").await?;
    assert_eq!((proxy.counts() - counts).requests(), 1);
    Ok(())
}

#[tokio::test]
async fn a_delay_is_a_latency_and_not_a_queue() -> Outcome {
    let Bed { proxy, client, server: _server, .. } = bed().await?;
    proxy.set_delay(Duration::from_millis(40));
    let begin = Instant::now();
    client.check_stat("/").await?;
    let one = begin.elapsed();
    assert!(one >= Duration::from_millis(80), "{one:?}");

    let begin = Instant::now();
    let many = (0..20).map(|_| {
        tokio::spawn({
            let client = client.clone();
            async move { client.check_stat("/").await }
        })
    });
    for each in many.collect::<Vec<_>>() {
        each.await??;
    }
    let twenty = begin.elapsed();
    assert!(twenty >= Duration::from_millis(80) && twenty < Duration::from_millis(400), "{twenty:?}");
    Ok(())
}

#[tokio::test]
async fn a_lost_reply_leaves_the_node_and_a_lost_request_does_not() -> Outcome {
    let Bed { proxy, client, direct, server: _server } = bed().await?;
    for (close, path) in [(Close::Fin, "/fin"), (Close::Rst, "/rst")] {
        for operation in [Operation::Create, Operation::Create2] {
            proxy.drop_reply((operation, path), close);
        }
        assert!(create(&client, path).await.is_err());
        assert!(direct.check_stat(path).await?.is_some());
        client.check_stat(path).await?;
    }
    let lost = proxy.drop_request((Operation::SetData, "/fin"), Close::Rst);
    let other = client.set_data("/rst", b"passes", None).await;
    assert!(other.is_ok() && !lost.is_sprung());
    assert!(client.set_data("/fin", b"lost", None).await.is_err());
    timeout(SECOND, lost.sprung()).await?;
    assert_eq!(direct.get_data("/fin").await?.0, b"");
    Ok(())
}

#[tokio::test]
async fn replies_and_events_can_be_held() -> Outcome {
    let Bed { proxy, client, direct, server: _server } = bed().await?;
    create(&client, "/a").await?;
    create(&client, "/b").await?;
    let (_, first) = client.check_and_watch_stat("/a").await?;
    let (_, second) = client.check_and_watch_stat("/b").await?;
    proxy.hold_events();
    direct.delete("/a", None).await?;
    direct.delete("/b", None).await?;
    timeout(SECOND, proxy.wait_until(|counts| counts.events() == 2)).await?;
    // Replies pass meanwhile.
    assert!(client.check_stat("/a").await?.is_none());
    let mut first = std::pin::pin!(first.changed());
    assert!(timeout(Duration::from_millis(50), &mut first).await.is_err());
    proxy.release_events();
    timeout(SECOND, first).await?;
    timeout(SECOND, second.changed()).await?;

    let hold = proxy.hold_reply(Operation::GetChildren2);
    let also = proxy.hold_reply(Operation::GetChildren);
    let mut list = std::pin::pin!(client.list_children("/"));
    tokio::select! {
        _ = &mut list => return Err("the reply was not held".into()),
        () = hold.held() => {}
        () = also.held() => {}
    }
    assert!(timeout(Duration::from_millis(50), &mut list).await.is_err());
    hold.let_go();
    also.let_go();
    assert!(!timeout(SECOND, list).await??.is_empty());
    Ok(())
}

#[tokio::test]
async fn held_requests_pass_or_are_lost_as_decided() -> Outcome {
    let Bed { proxy, client, direct, server: _server } = bed().await?;
    create(&client, "/a").await?;
    create(&client, "/ab").await?;
    let write = |path: &'static str, data: &'static [u8]| {
        let client = client.clone();
        tokio::spawn(async move { client.set_data(path, data, None).await.map(drop) })
    };

    // A whole path, not the beginning of another.
    let hold = proxy.hold_request(Which::at(Operation::SetData, "/a"));
    timeout(SECOND, write("/ab", b"passes")).await???;
    let mut held = write("/a", b"late");
    timeout(SECOND, hold.held()).await?;
    assert!(timeout(Duration::from_millis(50), &mut held).await.is_err());
    assert_eq!(direct.get_data("/a").await?.0, b"");
    hold.let_go();
    timeout(SECOND, held).await???;
    assert_eq!(direct.get_data("/a").await?.0, b"late");

    let hold = proxy.hold_request(Which::at(Operation::SetData, "/a"));
    let lost = write("/a", b"lost");
    timeout(SECOND, hold.held()).await?;
    hold.lose(Close::Rst);
    assert!(timeout(SECOND, lost).await??.is_err());
    while client.check_stat("/").await.is_err() {}
    assert_eq!(direct.get_data("/a").await?.0, b"late");

    // In good order, the server reads the request before the end.
    let hold = proxy.hold_request(Which::at(Operation::SetData, "/a"));
    let unanswered = write("/a", b"executed");
    timeout(SECOND, hold.held()).await?;
    hold.let_go_and_close(Close::Fin);
    let _ = timeout(SECOND, unanswered).await??;
    let executed = async { while !matches!(direct.get_data("/a").await, Ok((data, _)) if data == b"executed") {} };
    timeout(5 * SECOND, executed).await?;

    let hold = proxy.hold_reply(Which::at(Operation::SetData, "/a"));
    let unanswered = write("/a", b"unanswered");
    timeout(SECOND, hold.held()).await?;
    assert_eq!(direct.get_data("/a").await?.0, b"unanswered");
    hold.lose(Close::Fin);
    assert!(timeout(SECOND, unanswered).await??.is_err());
    Ok(())
}

#[tokio::test]
async fn handshakes_can_be_trapped_and_connections_held() -> Outcome {
    let Bed { proxy, client, server: _server, .. } = bed().await?;
    let session = proxy.session().ok_or("a session")?;
    for trap in [
        proxy.drop_request(Operation::CreateSession, Close::Rst),
        proxy.drop_reply(Operation::CreateSession, Close::Fin),
    ] {
        proxy.cut(Close::Fin);
        timeout(SECOND, trap.sprung()).await?;
    }
    while client.check_stat("/").await.is_err() {}

    proxy.hold_connections();
    proxy.cut(Close::Rst);
    let mut look = std::pin::pin!(async { while client.check_stat("/").await.is_err() {} });
    assert!(timeout(Duration::from_millis(100), &mut look).await.is_err());
    proxy.release_connections();
    timeout(SECOND, look).await?;
    assert_eq!(proxy.session(), Some(session), "the same all along");
    Ok(())
}

#[tokio::test]
async fn a_session_is_ended_at_once_and_its_client_told() -> Outcome {
    let Bed { proxy, client, direct, server: _server } = bed().await?;
    let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    client.create("/mine", b"", &ephemeral).await?;
    let ended = Instant::now();
    proxy.end_session().await?;
    assert!(direct.check_stat("/mine").await?.is_none());
    let mut watcher = client.state_watcher();
    let told = async {
        while !client.state().is_terminated() {
            watcher.changed().await;
        }
    };
    timeout(2 * SECOND, told).await?;
    assert_eq!(client.state(), zookeeper_client::SessionState::Expired);
    assert!(ended.elapsed() < 2 * SECOND, "long before the session timeout");
    let unused = Proxy::start("127.0.0.1:1").await?;
    assert!(unused.end_session().await.is_err(), "there is none");
    Ok(())
}

/// A connection without a session, to see closely what a client would.
async fn raw(proxy: &Proxy) -> Result<TcpStream, Box<dyn Error>> {
    let before = proxy.connections();
    let stream = TcpStream::connect(proxy.address()).await?;
    timeout(SECOND, proxy.wait_for_connections(|count| count > before)).await?;
    Ok(stream)
}

#[tokio::test]
async fn cuts_and_refusals_look_as_asked_for() -> Outcome {
    let Bed { server, proxy, client, .. } = bed().await?;
    let mut stream = raw(&proxy).await?;
    proxy.cut(Close::Fin);
    assert_eq!(timeout(SECOND, stream.read(&mut [0; 8])).await??, 0);
    // Bytes that nobody read must not turn the end into a reset.
    let mut stream = raw(&proxy).await?;
    stream.write_all(&[0, 0]).await?;
    proxy.cut(Close::Fin);
    assert_eq!(timeout(SECOND, stream.read(&mut [0; 8])).await??, 0);

    let mut stream = raw(&proxy).await?;
    proxy.cut(Close::Rst);
    let error = timeout(SECOND, stream.read(&mut [0; 8])).await?.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    proxy.refuse(true);
    let mut stream = TcpStream::connect(proxy.address()).await?;
    assert_eq!(timeout(SECOND, stream.read(&mut [0; 8])).await??, 0);
    proxy.refuse(false);
    // The same session lives on.
    while client.check_stat("/").await.is_err() {}

    // What is no frame passes as it is.
    let mut stream = raw(&proxy).await?;
    stream.write_all(b"ruok").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert_eq!(answer, "imok");

    server.kill().await?;
    let mut stream = TcpStream::connect(proxy.address()).await?;
    let read = timeout(SECOND, stream.read(&mut [0; 8])).await?;
    assert!(read.is_err() || matches!(read, Ok(0)));
    Ok(())
}

#[tokio::test]
async fn a_swallowing_link_stays_open_and_silent() -> Outcome {
    let Bed { proxy, client, direct, server: _server } = bed().await?;
    proxy.swallow(Direction::ToServer);
    let mut writing = std::pin::pin!(create(&client, "/lost"));
    assert!(timeout(Duration::from_millis(100), &mut writing).await.is_err());
    assert!(direct.check_stat("/lost").await?.is_none());
    proxy.pass();
    proxy.cut(Close::Rst);
    assert!(writing.await.is_err());

    while client.check_stat("/").await.is_err() {}
    proxy.swallow(Direction::ToClient);
    let mut writing = std::pin::pin!(create(&client, "/unanswered"));
    assert!(timeout(Duration::from_millis(100), &mut writing).await.is_err());
    assert!(direct.check_stat("/unanswered").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn on_a_zombie_link_the_session_ends_unnoticed() -> Outcome {
    let Bed { proxy, client, direct, server: _server } = bed().await?;
    let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    client.create("/mine", b"", &ephemeral).await?;
    let (_, theirs) = direct.check_and_watch_stat("/mine").await?;
    let (_, watch) = client.check_and_watch_stat("/other").await?;
    proxy.swallow_replies_except_pings();
    // The client still gets events, though perhaps not of what the end of its session brings about: the server closes
    // the connection at the same time.
    create(&direct, "/other").await?;
    let event = timeout(SECOND, watch.changed()).await?;
    assert_eq!(event.event_type, EventType::NodeCreated);
    let event = timeout(10 * SECOND, theirs.changed()).await?;
    assert_eq!(event.event_type, EventType::NodeDeleted);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(client.state(), zookeeper_client::SessionState::SyncConnected);
    // With the link alive again, the server's end of the connection gets through.
    proxy.pass();
    timeout(10 * SECOND, client.state_watcher().changed()).await?;
    Ok(())
}
