//! Round trips made visible by a link of 10 ms each way; ratios within one run, of what a quarter of the rounds did not take longer
//! than, since a busy machine only ever makes something longer.

use std::time::Duration;

use tokio::time::Instant;
use zookeeper_client as zk;

use crate::bed::{self, QUIET, mutex, proxy, raw, soon, unused_path};

const EACH_WAY: Duration = Duration::from_millis(10);
const ROUNDS: usize = 15;

fn quartile(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 4]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uncontended_cycle_takes_two_round_trips() {
    let proxy = proxy().await;
    let lock = mutex(&proxy.address(), &unused_path(), QUIET).await;
    let client = raw(&proxy.address()).await;
    let floor_path = unused_path();
    client.mkdir(&floor_path, &zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all())).await.expect("made");
    lock.acquire().await.expect("free").release().await.expect("released");
    proxy.set_delay(EACH_WAY);
    let (mut round_trips, mut cycles, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        client.set_data(&floor_path, b"", None).await.expect("written");
        round_trips.push(started.elapsed());

        let started = Instant::now();
        lock.acquire().await.expect("free").release().await.expect("released");
        cycles.push(started.elapsed());

        let started = Instant::now();
        let node = format!("{floor_path}/n");
        let options = zk::CreateMode::Ephemeral.with_acls(zk::Acls::anyone_all());
        client.create(&node, b"", &options).await.expect("created");
        client.delete(&node, None).await.expect("deleted");
        floors.push(started.elapsed());
    }
    let (round_trip, cycle, floor) = (quartile(round_trips), quartile(cycles), quartile(floors));
    let ratio = cycle.as_secs_f64() / round_trip.as_secs_f64();
    eprintln!("uncontended cycle {cycle:?} = {ratio:.2} round trips of {round_trip:?}; create and delete {floor:?}");
    // Two, and the noise of a shared machine; one more round trip would make three.
    assert!(ratio <= 2.5, "{ratio:.2} round trips");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_takes_no_longer_than_an_event() {
    let proxy = proxy().await;
    let server = bed::server().await.address();
    let path = unused_path();
    // Who releases is near the server; who waits is behind the slow link, and so is who measures the floor.
    let near = mutex(&server, &path, QUIET).await;
    let far = mutex(&proxy.address(), &path, QUIET).await;
    let (near_raw, far_raw) = (raw(&server).await, raw(&proxy.address()).await);
    let floor_path = unused_path();
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    near_raw.mkdir(&floor_path, &options).await.expect("made");
    proxy.set_delay(EACH_WAY);
    let (mut hand_overs, mut events) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let node = format!("{floor_path}/n");
        near_raw.create(&node, b"", &options).await.expect("created");
        let (_, _, watcher) = far_raw.get_and_watch_data(&node).await.expect("watched");
        let started = Instant::now();
        let (deleted, _) = tokio::join!(near_raw.delete(&node, None), async {
            soon(watcher.changed()).await;
            events.push(started.elapsed());
        });
        deleted.expect("deleted");

        let guard = near.acquire().await.expect("free");
        let before = proxy.counts();
        let waiter = tokio::spawn({
            let far = far.clone();
            async move {
                let guard = far.acquire().await.expect("granted");
                (Instant::now(), guard)
            }
        });
        // Entered, and both watches are in place on the client's side: their replies have crossed the link.
        soon(proxy.wait_until(|counts| counts.replies() - before.replies() >= 3)).await;
        tokio::time::sleep(EACH_WAY * 3).await;
        let started = Instant::now();
        let released = tokio::spawn(guard.release());
        let (granted, guard) = soon(waiter).await.expect("no panic");
        hand_overs.push(granted - started);
        soon(released).await.expect("no panic").expect("released");
        guard.release().await.expect("released");
    }
    let (hand_over, event) = (quartile(hand_overs), quartile(events));
    let ratio = hand_over.as_secs_f64() / event.as_secs_f64();
    eprintln!("hand-over {hand_over:?} = {ratio:.2} x delete to event {event:?}");
    // One, and noise; a request before the grant would make two.
    assert!(ratio <= 1.5, "{ratio:.2}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_behind_a_reader_looks_for_both_forms_at_once() {
    let proxy = proxy().await;
    let server = bed::server().await.address();
    let path = unused_path();
    let near = bed::connect(&server, QUIET).await.rw_lock(&path).expect("a good path");
    let far = bed::connect(&proxy.address(), QUIET).await.rw_lock(&path).expect("a good path");
    let far_raw = raw(&proxy.address()).await;
    let floor_path = unused_path();
    far_raw.mkdir(&floor_path, &zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all())).await.expect("made");
    proxy.set_delay(EACH_WAY);
    let (mut waits, mut round_trips) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        far_raw.set_data(&floor_path, b"", None).await.expect("written");
        round_trips.push(started.elapsed());

        let reader = near.read().await.expect("free");
        let before = proxy.counts();
        let started = Instant::now();
        let waiter = tokio::spawn({
            let far = far.clone();
            async move { far.write().await }
        });
        // Its entry, its own watch, and one on either form of the one ahead.
        soon(proxy.wait_until(|counts| counts.replies() - before.replies() >= 4)).await;
        waits.push(started.elapsed());
        reader.release().await.expect("released");
        soon(waiter).await.expect("no panic").expect("granted").release().await.expect("released");
    }
    let (wait, round_trip) = (quartile(waits), quartile(round_trips));
    let ratio = wait.as_secs_f64() / round_trip.as_secs_f64();
    eprintln!("from entering to waiting {wait:?} = {ratio:.2} round trips of {round_trip:?}");
    // Two and a half: the client writes each request by itself, and its socket holds the second one back until the server has
    // answered the first. One look after the other, or a list and a look, would be one more.
    assert!(ratio <= 3.0, "{ratio:.2} round trips");
}
