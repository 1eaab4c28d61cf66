//! One server: how it starts, stops and keeps its address and data.

use std::error::Error;
use std::time::Duration;

use fairlock_testcontainers::{Runtime, RuntimeChoice, Server};
use zookeeper_client::{Acls, Client, CreateMode};

type Outcome = Result<(), Box<dyn Error>>;

async fn lives_through_everything(server: Server) -> Outcome {
    let address = server.address();
    assert_eq!(server.four_letter("ruok").await?, "imok");
    assert!(server.four_letter("srvr").await?.contains("Mode: standalone"));
    let client = Client::connect(&address).await?;
    client.create("/kept", b"data", &CreateMode::Persistent.with_acls(Acls::anyone_all())).await?;

    let before = server.cpu_time().await?;
    let mut requests = 0;
    while server.cpu_time().await? <= before {
        requests += 1;
        assert!(requests < 100_000, "so many requests cost the server no time");
        client.get_data("/kept").await?;
    }

    server.kill().await?;
    assert!(server.cpu_time().await.is_err(), "there is no such process");
    assert!(server.four_letter("ruok").await.is_err());
    assert!(server.pause().await.is_err());
    server.start_again().await?;
    assert_eq!(server.address(), address);
    assert_eq!(Client::connect(&address).await?.get_data("/kept").await?.0, b"data");

    server.stop().await?;
    server.start_again().await?;
    server.restart().await?;
    assert_eq!(Client::connect(&address).await?.get_data("/kept").await?.0, b"data");

    server.pause().await?;
    let asked = tokio::time::timeout(Duration::from_millis(300), server.four_letter("ruok")).await;
    assert!(asked.is_err(), "a paused server does not answer");
    server.unpause().await?;
    assert_eq!(server.four_letter("ruok").await?, "imok");

    server.pause().await?;
    server.kill().await?;
    server.start_again().await?;
    server.pause().await?;
    Ok(())
}

#[tokio::test]
async fn in_a_container() -> Outcome {
    let server = Server::builder().runtime(RuntimeChoice::Container).start().await?;
    assert!(matches!(server.runtime(), Runtime::Container { .. }));
    assert!(server.runtime().to_string().starts_with("container of "));
    lives_through_everything(server).await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_process() -> Outcome {
    let server = Server::builder().runtime(RuntimeChoice::Process).start().await?;
    assert!(matches!(server.runtime(), Runtime::Process { .. }));
    lives_through_everything(server).await
}
