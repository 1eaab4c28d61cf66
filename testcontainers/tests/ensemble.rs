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
    let next = next_leader(&ensemble).await;
    assert_ne!(new, next);
    println!("a new leader after {:?} of a pause", begin.elapsed());
    ensemble.servers()[new].unpause().await?;
    ensemble.wait_until_serving().await?;
    assert_eq!(ensemble.leader().await?, next);
    Ok(())
}

/// The new leader once there is one.
async fn next_leader(ensemble: &Ensemble) -> usize {
    loop {
        match ensemble.leader().await {
            Ok(leader) => return leader,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn wait_for_mode(ensemble: &Ensemble, server: usize, wanted: Option<&str>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while ensemble.servers()[server].mode().await.as_deref() != wanted {
        assert!(Instant::now() < deadline, "server {server} never was {wanted:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn replaces_an_isolated_leader(ensemble: Ensemble) -> Outcome {
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    // Each server comes to be the isolated one, whichever id it has: some call the others, some are called.
    for round in 0..4 {
        ensemble.wait_until_serving().await?;
        let old = ensemble.leader().await?;
        let old_address = ensemble.servers()[old].address();
        ensemble.isolate(old)?;
        let begin = Instant::now();
        let new = next_leader(&ensemble).await;
        assert_ne!(old, new);
        println!("round {round}: server {new} leads instead of {old} after {:?}", begin.elapsed());
        ensemble.wait_until_serving().await?;
        wait_for_mode(&ensemble, old, None).await;

        let others = join_addresses((0..3).filter(|index| *index != old).map(|i| ensemble.servers()[i].address()));
        let client = Client::connect(&others).await?;
        client.create(&format!("/round-{round}"), b"", &persistent).await?;

        ensemble.heal(old)?;
        let begin = Instant::now();
        wait_for_mode(&ensemble, old, Some("follower")).await;
        println!("round {round}: it follows {:?} after it was healed", begin.elapsed());
        let healed = Client::connect(&old_address).await?;
        healed.sync("/").await?;
        assert!(healed.check_stat(&format!("/round-{round}")).await?.is_some());
    }
    let leader = ensemble.leader().await?;
    let follower = (0..3).find(|index| *index != leader).expect("there are three");
    ensemble.isolate(follower)?;
    wait_for_mode(&ensemble, follower, None).await;
    assert_eq!(ensemble.leader().await?, leader);
    ensemble.heal(follower)?;
    wait_for_mode(&ensemble, follower, Some("follower")).await;
    assert_eq!(ensemble.leader().await?, leader, "a follower that comes back does not move the leader");
    Ok(())
}

async fn isolatable(choice: RuntimeChoice) -> Result<Ensemble, fairlock_testcontainers::Error> {
    let tick = Duration::from_millis(200);
    Ensemble::builder().runtime(choice).tick_time(tick).isolatable().start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_leader_is_replaced_and_follows_in_containers() -> Outcome {
    replaces_an_isolated_leader(isolatable(RuntimeChoice::Container).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_leader_is_replaced_and_follows_as_processes() -> Outcome {
    replaces_an_isolated_leader(isolatable(RuntimeChoice::Process).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_isolatable_ensemble_can_be_isolated() -> Outcome {
    let ensemble = Ensemble::start().await?;
    let error = ensemble.isolate(0).expect_err("no relays");
    assert!(error.to_string().contains("isolatable()"), "{error}");
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
