//! An ensemble: it elects, survives the loss of its leader, and keeps its addresses.

use std::error::Error;
use std::time::{Duration, Instant};

use fairlock_testcontainers::{Ensemble, Operation, RuntimeChoice, join_addresses};
use zookeeper_client::{Acls, Client, CreateMode};

type Outcome = Result<(), Box<dyn Error>>;

async fn survives(ensemble: Ensemble) -> Outcome {
    let connect_string = ensemble.connect_string();
    let client = Client::connect(&connect_string).await?;
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    client.create("/before", b"", &persistent).await?;

    let old = ensemble.leader().await?;
    ensemble.servers()[old].kill().await?;
    let begin = Instant::now();
    ensemble.wait_until_serving().await?;
    let new = ensemble.leader().await?;
    assert_ne!(old, new);
    println!("a new leader after {:?}", begin.elapsed());
    // The first attempts may still meet the loss of the connection.
    while client.check_stat("/before").await?.is_none() {}
    client.create("/between", b"", &persistent).await?;

    ensemble.servers()[old].start_again().await?;
    assert_eq!(ensemble.connect_string(), connect_string);
    let rejoined = Client::connect(&ensemble.servers()[old].address()).await?;
    rejoined.sync("/").await?;
    assert!(rejoined.check_stat("/between").await?.is_some());

    ensemble.servers()[new].pause().await?;
    let begin = Instant::now();
    let next = loop {
        match ensemble.leader().await {
            Ok(leader) => break leader,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_ne!(new, next);
    println!("a new leader after {:?} of a pause", begin.elapsed());
    ensemble.servers()[new].unpause().await?;
    ensemble.wait_until_serving().await?;
    assert_eq!(ensemble.leader().await?, next);
    Ok(())
}

#[tokio::test]
async fn in_containers() -> Outcome {
    let begin = Instant::now();
    let ensemble = Ensemble::builder().runtime(RuntimeChoice::Container).start().await?;
    println!("{} after {:?}", ensemble.runtime(), begin.elapsed());
    let proxies = ensemble.proxies().await?;
    let through = Client::connect(&join_addresses(proxies.iter().map(|proxy| proxy.address()))).await?;
    through.check_stat("/").await?;
    assert_eq!(proxies.iter().map(|proxy| proxy.counts().request(Operation::Exists)).sum::<u64>(), 1);
    survives(ensemble).await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_processes() -> Outcome {
    let ensemble = Ensemble::builder().runtime(RuntimeChoice::Process).start().await?;
    println!("{}", ensemble.runtime());
    survives(ensemble).await
}
