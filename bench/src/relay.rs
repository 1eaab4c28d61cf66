//! A relay for protocols that the proxy does not know: it counts bytes and delays them, as the proxy does with frames.
//!
//! What is read is due when it was read and the delay later, and is written by its own task in order, which waits with
//! tokio's timers, as the proxy does. So a link is as slow for a contender behind this as for one behind a proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::error::{Error, Result};

/// How much is passed on at once.
const CHUNK: usize = 64 << 10;

/// A relay in front of one server. Dropping it closes its connections.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    delay_nanos: AtomicU64,
    arrived: AtomicU64,
    left: AtomicU64,
}

impl Relay {
    pub(crate) async fn start(server: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::io("open a relay's socket"))?;
        let address = listener.local_addr().map_err(Error::io("open a relay's socket"))?;
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), server));
        Ok(Self { shared, address, accepting })
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Of what is read from now on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.shared.delay_nanos.store(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Bytes that have arrived, of both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.arrived.load(Ordering::Relaxed)
    }

    /// Whether all that has arrived was passed on.
    pub(crate) fn is_idle(&self) -> bool {
        // What has left is looked at first: it has arrived before.
        let left = self.shared.left.load(Ordering::Acquire);
        left == self.shared.arrived.load(Ordering::Acquire)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The task owns the listener and the connections.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, server: String) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = links.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    links.spawn(serve(client, server.clone(), Arc::clone(&shared)));
                }
                // Out of file descriptors, most likely: others have to be closed first.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
}

async fn serve(client: TcpStream, server: String, shared: Arc<Shared>) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // An error of one way ends both; an end of file passes by itself.
    tokio::try_join!(pass(from_client, to_server, &shared), pass(from_server, to_client, &shared)).map(drop)
}

/// What arrived together. It has left when it is dropped, be it written or lost with its connection.
struct Item {
    due: Option<Instant>,
    bytes: Vec<u8>,
    shared: Arc<Shared>,
}

impl Drop for Item {
    fn drop(&mut self) {
        self.shared.left.fetch_add(self.bytes.len() as u64, Ordering::Release);
    }
}

async fn pass(from: OwnedReadHalf, to: OwnedWriteHalf, shared: &Arc<Shared>) -> io::Result<()> {
    let (onward, items) = mpsc::unbounded_channel();
    tokio::try_join!(read(from, onward, shared), write(to, items)).map(drop)
}

async fn read(mut from: OwnedReadHalf, onward: mpsc::UnboundedSender<Item>, shared: &Arc<Shared>) -> io::Result<()> {
    loop {
        let mut bytes = Vec::with_capacity(CHUNK);
        if from.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        shared.arrived.fetch_add(bytes.len() as u64, Ordering::Release);
        let delay = Duration::from_nanos(shared.delay_nanos.load(Ordering::Relaxed));
        let due = (!delay.is_zero()).then(|| Instant::now() + delay);
        bytes.shrink_to_fit();
        // A queue that is gone belongs to a connection that is closing.
        let _ = onward.send(Item { due, bytes, shared: Arc::clone(shared) });
    }
}

async fn write(mut to: OwnedWriteHalf, mut items: mpsc::UnboundedReceiver<Item>) -> io::Result<()> {
    while let Some(item) = items.recv().await {
        if let Some(due) = item.due.filter(|due| *due > Instant::now()) {
            sleep_until(due).await;
        }
        to.write_all(&item.bytes).await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client behind a relay, and the server's end.
    async fn bed() -> (Relay, TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let relay = Relay::start(listener.local_addr().expect("bound").to_string()).await.expect("a relay");
        let client = TcpStream::connect(relay.address()).await.expect("accepted");
        let (server, _) = listener.accept().await.expect("called");
        (relay, client, server)
    }

    async fn send(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
        from.write_all(bytes).await.expect("sent");
        let mut heard = vec![0; bytes.len()];
        to.read_exact(&mut heard).await.expect("passed on");
        assert_eq!(heard, bytes);
    }

    #[tokio::test]
    async fn bytes_of_both_ways_are_counted() {
        let (relay, mut client, mut server) = bed().await;
        send(&mut client, &mut server, b"PRI * HTTP/2.0").await;
        send(&mut server, &mut client, &[0, 0, 18, 4]).await;
        assert_eq!(relay.bytes(), 18);
    }

    #[tokio::test]
    async fn everything_is_late_by_the_delay_and_no_longer_once_there_is_none() {
        let (relay, mut client, mut server) = bed().await;
        let delay = Duration::from_millis(40);
        relay.set_delay(delay);
        let started = Instant::now();
        send(&mut client, &mut server, b"there").await;
        assert!(started.elapsed() >= delay);
        send(&mut server, &mut client, b"and back").await;
        assert!(started.elapsed() >= delay * 2);

        client.write_all(b"late").await.expect("sent");
        while relay.bytes() < 17 {
            tokio::task::yield_now().await;
        }
        assert!(!relay.is_idle(), "it is on its way");
        relay.set_delay(Duration::ZERO);
        // Behind what is late, since it is in order.
        client.write_all(b"soon").await.expect("sent");
        let mut heard = [0; 8];
        server.read_exact(&mut heard).await.expect("passed on");
        assert_eq!(&heard, b"latesoon");
        assert!(started.elapsed() >= delay * 3);
        while !relay.is_idle() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_lost_with_its_connection_is_not_waited_for() {
        let (relay, mut client, server) = bed().await;
        relay.set_delay(Duration::from_secs(3_600));
        client.write_all(b"lost").await.expect("sent");
        while relay.bytes() < 4 {
            tokio::task::yield_now().await;
        }
        assert!(!relay.is_idle());
        // A reset, which is an error of the way back and ends both.
        server.set_zero_linger().expect("a socket");
        drop(server);
        while !relay.is_idle() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_end_of_a_connection_passes() {
        let (_relay, client, mut server) = bed().await;
        drop(client);
        assert_eq!(server.read(&mut [0]).await.expect("an end"), 0);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let nobody = listener.local_addr().expect("bound").to_string();
        drop(listener);
        let relay = Relay::start(nobody).await.expect("a relay");
        let mut client = TcpStream::connect(relay.address()).await.expect("accepted");
        assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
    }
}
