//! Relays between the servers of an ensemble, so that one can be cut off from the others and healed.
//!
//! Each server's configuration names a relay in place of each peer's ports for the quorum and for elections. A relay
//! belongs to one ordered pair of servers, hence knows which of them it cuts off. Cutting off is a black hole: nothing
//! is read any more, so bytes stall and connections stay open, and new connections are accepted by the system but lead
//! nowhere. At healing, stalled bytes arrive late, as retransmission makes them do; a connection that was opened
//! meanwhile is closed, since its other end would never have answered.
//!
//! There is one way around a relay: a server that opens a connection for elections says its own address first, and a
//! peer of higher id hangs up and calls back there. So that address is replaced by the one of the relay for calling
//! back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::Error;

/// How much is passed on at once.
const CHUNK: usize = 64 << 10;

/// How long a server that does not listen is tried.
const CONNECT_PATIENCE: Duration = Duration::from_millis(500);
const CONNECT_PAUSE: Duration = Duration::from_millis(10);

/// The longest list of addresses that a server may say first; ZooKeeper's own limit is 512.
const HELLO_BYTES_MAX: usize = 4_096;

/// A server's ports for its peers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerPorts {
    pub(crate) quorum: u16,
    pub(crate) election: u16,
}

/// All relays of an ensemble. Dropping them closes their connections.
#[derive(Debug)]
pub(crate) struct Relays {
    cut_off: watch::Sender<Vec<bool>>,
    /// By the server that calls and the server that is called; the diagonal is unused.
    ports: Vec<Vec<PeerPorts>>,
    _accepting: JoinSet<()>,
}

impl Relays {
    /// Starts the relays to servers that will listen on these ports of 127.0.0.1.
    pub(crate) async fn start(servers: &[PeerPorts]) -> Result<Self, Error> {
        let (cut_off, _) = watch::channel(vec![false; servers.len()]);
        let mut listeners = Vec::new();
        let mut ports = vec![servers.to_vec(); servers.len()];
        for (from, row) in ports.iter_mut().enumerate() {
            for (to, place) in row.iter_mut().enumerate().filter(|(to, _)| *to != from) {
                let (quorum, election) = (listen().await?, listen().await?);
                *place = PeerPorts { quorum: port(&quorum)?, election: port(&election)? };
                listeners.push((from, to, quorum, election));
            }
        }
        let mut accepting = JoinSet::new();
        for (from, to, quorum, election) in listeners {
            let gate = Gate { cut_off: cut_off.subscribe(), pair: [from, to] };
            let call_back = ports[to][from].election;
            accepting.spawn(accept(quorum, servers[to].quorum, gate.clone(), None));
            accepting.spawn(accept(election, servers[to].election, gate, Some(call_back)));
        }
        Ok(Self { cut_off, ports, _accepting: accepting })
    }

    /// Where this server finds that one.
    pub(crate) fn ports(&self, from: usize, to: usize) -> PeerPorts {
        self.ports[from][to]
    }

    pub(crate) fn set_cut_off(&self, server: usize, cut_off: bool) {
        self.cut_off.send_modify(|all| all[server] = cut_off);
    }

    pub(crate) fn is_cut_off(&self, server: usize) -> bool {
        self.cut_off.borrow()[server]
    }
}

async fn listen() -> Result<TcpListener, Error> {
    TcpListener::bind("127.0.0.1:0").await.map_err(Error::io("open a relay's socket"))
}

fn port(listener: &TcpListener) -> Result<u16, Error> {
    listener.local_addr().map(|address| address.port()).map_err(Error::io("open a relay's socket"))
}

/// Whether bytes may pass between two servers.
#[derive(Debug, Clone)]
struct Gate {
    cut_off: watch::Receiver<Vec<bool>>,
    pair: [usize; 2],
}

impl Gate {
    fn is_open(&self) -> bool {
        let cut_off = self.cut_off.borrow();
        self.pair.iter().all(|server| !cut_off[*server])
    }

    async fn open(&mut self) {
        let pair = self.pair;
        if self.cut_off.wait_for(|cut_off| pair.iter().all(|server| !cut_off[*server])).await.is_err() {
            // The ensemble is being dropped, and this task with it.
            std::future::pending().await
        }
    }
}

async fn accept(listener: TcpListener, server: u16, gate: Gate, call_back: Option<u16>) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = links.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((caller, _)) => {
                    links.spawn(serve(caller, server, gate.clone(), call_back));
                }
                // Out of file descriptors, most likely: others have to be closed first.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
}

async fn serve(caller: TcpStream, server: u16, mut gate: Gate, call_back: Option<u16>) {
    if !gate.is_open() {
        gate.open().await;
        return;
    }
    let Some(called) = connect(server).await else { return };
    let _ = (caller.set_nodelay(true), called.set_nodelay(true));
    let (mut from_caller, to_caller) = caller.into_split();
    let (from_called, mut to_called) = called.into_split();
    let there = {
        let gate = gate.clone();
        async move {
            if let Some(port) = call_back {
                pass_hello(&mut from_caller, &mut to_called, gate.clone(), port).await?;
            }
            pass(from_caller, to_called, gate).await
        }
    };
    // An error of one direction ends both; an end of file passes by itself.
    let _ = tokio::try_join!(there, pass(from_called, to_caller, gate));
}

/// A server that has just been elected may not listen yet. Its followers try again when a connection is refused, but a
/// relay has accepted theirs already; and if it were closed, they would start another election.
async fn connect(server: u16) -> Option<TcpStream> {
    let deadline = Instant::now() + CONNECT_PATIENCE;
    loop {
        match TcpStream::connect(("127.0.0.1", server)).await {
            Ok(called) => return Some(called),
            Err(_) if Instant::now() < deadline => tokio::time::sleep(CONNECT_PAUSE).await,
            Err(_) => return None,
        }
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut gate: Gate) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        gate.open().await;
        let read = from.read(&mut chunk).await;
        // What arrives after the cut waits as well, the end of the connection included.
        gate.open().await;
        match read? {
            0 => return to.shutdown().await,
            read => to.write_all(&chunk[..read]).await?,
        }
    }
}

/// Passes on what a server says first on a connection for elections: a protocol version (negative), its id, and its
/// addresses with their length; with the addresses replaced.
async fn pass_hello(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, mut gate: Gate, port: u16) -> io::Result<()> {
    let mut head = [0; 8];
    from.read_exact(&mut head).await?;
    let mut said = head.to_vec();
    if i64::from_be_bytes(head) < 0 {
        let mut id_and_length = [0; 12];
        from.read_exact(&mut id_and_length).await?;
        let [.., a, b, c, d] = id_and_length;
        let length = usize::try_from(i32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > HELLO_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        from.read_exact(&mut vec![0; length]).await?;
        let address = SocketAddr::from(([127, 0, 0, 1], port)).to_string();
        said.extend(&id_and_length[..8]);
        said.extend(u32::try_from(address.len()).unwrap_or_default().to_be_bytes());
        said.extend(address.as_bytes());
    }
    gate.open().await;
    to.write_all(&said).await
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(50);

    struct Bed {
        relays: Relays,
        /// For the quorum and for elections, of each of two servers.
        servers: Vec<[TcpListener; 2]>,
    }

    async fn bed() -> Bed {
        let mut servers = Vec::new();
        let mut ports = Vec::new();
        for _ in 0..2 {
            let server = [listen().await.expect("a port"), listen().await.expect("a port")];
            ports.push(PeerPorts {
                quorum: port(&server[0]).expect("bound"),
                election: port(&server[1]).expect("bound"),
            });
            servers.push(server);
        }
        Bed { relays: Relays::start(&ports).await.expect("relays"), servers }
    }

    async fn call(port: u16) -> TcpStream {
        TcpStream::connect(("127.0.0.1", port)).await.expect("accepted")
    }

    #[tokio::test]
    async fn bytes_stall_while_cut_off_and_arrive_after_healing() {
        let bed = bed().await;
        let mut caller = call(bed.relays.ports(0, 1).quorum).await;
        let (mut called, _) = bed.servers[1][0].accept().await.expect("called");
        let mut byte = [0];
        caller.write_all(b"a").await.expect("sent");
        called.read_exact(&mut byte).await.expect("passed on");

        bed.relays.set_cut_off(1, true);
        caller.write_all(b"b").await.expect("sent");
        drop(caller);
        assert!(timeout(SHORT, called.read(&mut byte)).await.is_err(), "neither the byte nor the end passes");
        bed.relays.set_cut_off(1, false);
        timeout(LONG, called.read_exact(&mut byte)).await.expect("in time").expect("passed on");
        assert_eq!(&byte, b"b");
        assert_eq!(timeout(LONG, called.read(&mut byte)).await.expect("in time").expect("the end"), 0);
    }

    #[tokio::test]
    async fn a_connection_opened_while_cut_off_hangs_and_is_closed_at_healing() {
        let bed = bed().await;
        bed.relays.set_cut_off(0, true);
        let mut caller = call(bed.relays.ports(0, 1).quorum).await;
        let mut byte = [0];
        assert!(timeout(SHORT, caller.read(&mut byte)).await.is_err(), "it hangs");
        assert!(timeout(SHORT, bed.servers[1][0].accept()).await.is_err(), "the server was not called");
        bed.relays.set_cut_off(0, false);
        assert!(matches!(timeout(LONG, caller.read(&mut byte)).await.expect("in time"), Ok(0) | Err(_)));
    }

    #[tokio::test]
    async fn the_address_for_calling_back_is_that_of_a_relay() {
        let bed = bed().await;
        let mut caller = call(bed.relays.ports(0, 1).election).await;
        let mut hello = (-65_536_i64).to_be_bytes().to_vec();
        hello.extend(1_i64.to_be_bytes());
        hello.extend(11_u32.to_be_bytes());
        hello.extend(b"10.0.0.1:42rest");
        caller.write_all(&hello).await.expect("sent");
        let (mut called, _) = bed.servers[1][1].accept().await.expect("called");
        let address = format!("127.0.0.1:{}", bed.relays.ports(1, 0).election);
        let mut expected = hello[..16].to_vec();
        expected.extend(u32::try_from(address.len()).expect("short").to_be_bytes());
        expected.extend(address.as_bytes());
        expected.extend(b"rest");
        let mut heard = vec![0; expected.len()];
        called.read_exact(&mut heard).await.expect("passed on");
        assert_eq!(heard, expected);
    }

    #[tokio::test]
    async fn a_server_that_listens_a_little_later_is_reached() {
        let mut bed = bed().await;
        let address = bed.servers[1][0].local_addr().expect("bound");
        drop(bed.servers.pop());
        let mut caller = call(bed.relays.ports(0, 1).quorum).await;
        caller.write_all(b"a").await.expect("sent");
        assert!(timeout(SHORT, caller.read(&mut [0])).await.is_err(), "not closed yet");
        let listener = TcpListener::bind(address).await.expect("free again");
        let (mut called, _) = timeout(LONG, listener.accept()).await.expect("in time").expect("called");
        called.read_exact(&mut [0]).await.expect("passed on");
    }

    #[tokio::test]
    async fn only_the_server_that_is_cut_off_is() {
        let bed = bed().await;
        assert!(!bed.relays.is_cut_off(0));
        bed.relays.set_cut_off(0, true);
        assert!(bed.relays.is_cut_off(0) && !bed.relays.is_cut_off(1));
    }
}
