//! One connection through a proxy: reads frames, asks the rules, and writes what is due.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::rules::{Close, Direction, Gate, Item, Shared, Verdict};
use super::wire::{self, Length};

/// How long a client may take to close its end of a connection that was closed in good order.
const LINGER: Duration = Duration::from_secs(5);

type Queue = mpsc::UnboundedSender<Item>;

/// Serves a connection until it is closed.
pub(super) async fn serve(shared: Arc<Shared>, upstream: Arc<str>, client: TcpStream) {
    let (to_client, client_items) = mpsc::unbounded_channel();
    let (close, mut closing) = watch::channel(None);
    let id = shared.change(|state| state.open(to_client.clone(), close));
    let server = tokio::select! {
        biased;
        _ = closing.wait_for(Option::is_some) => None,
        server = async {
            shared.wait_until(|state| !state.hold_connections).await;
            TcpStream::connect(&*upstream).await
        } => server.ok(),
    };
    let Some(server) = server else {
        // Nobody listens there, and a reset is the nearest to what the client would see without a proxy.
        let kind = closing.borrow().unwrap_or(Close::Rst);
        shared.change(|state| state.closed(id));
        return finish(client.into_split(), kind).await;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut client) = client.into_split();
    let (mut from_server, mut server) = server.into_split();
    let (to_server, server_items) = mpsc::unbounded_channel();

    let pump = async {
        let outcome = tokio::try_join!(
            read(&shared, id, Direction::ToServer, &mut from_client, &to_server, &to_client),
            read(&shared, id, Direction::ToClient, &mut from_server, &to_client, &to_client),
            write(&mut server, server_items),
            write(&mut client, client_items),
        );
        outcome.err().unwrap_or(Close::Fin)
    };
    let kind = tokio::select! {
        biased;
        kind = closing.wait_for(Option::is_some) => kind.ok().and_then(|kind| *kind).unwrap_or(Close::Fin),
        kind = pump => kind,
    };
    shared.change(|state| state.closed(id));
    tokio::join!(finish((from_client, client), kind), finish((from_server, server), kind));
}

/// Reads until the end. An error closes the whole connection.
async fn read(
    shared: &Shared,
    id: u64,
    direction: Direction,
    half: &mut OwnedReadHalf,
    onward: &Queue,
    to_client: &Queue,
) -> Result<(), Close> {
    let mut reader = BufReader::with_capacity(64 << 10, half);
    let mut framed = true;
    let end = loop {
        let read = next(&mut reader, &mut framed).await;
        let bytes = match read {
            Ok(bytes) if bytes.is_empty() => break None,
            Ok(bytes) => bytes,
            Err(_) => break Some(Close::Rst),
        };
        // Whatever is sent is queued under the same lock as it is judged, so that released events keep their place.
        let close = shared.change(|state| {
            let verdict = match (framed, direction) {
                (false, direction) => state.raw(direction, bytes.len()),
                (true, Direction::ToServer) => state.judge_client(id, &bytes),
                (true, _) => state.judge_server(id, &bytes),
            };
            let due = state.due();
            // A queue that is gone belongs to a connection that is closing.
            let _ = match verdict {
                Verdict::Keep => Ok(()),
                Verdict::Pass => onward.send(Item::Bytes(due, bytes)),
                Verdict::Twice => {
                    onward.send(Item::Bytes(due, bytes.clone())).and_then(|()| onward.send(Item::Bytes(due, bytes)))
                }
                Verdict::Answer(answer) => to_client.send(Item::Bytes(due.map(|due| due + state.delay), answer)),
                Verdict::PassThrough(gate) => {
                    onward.send(Item::Gate(gate)).and_then(|()| onward.send(Item::Bytes(due, bytes)))
                }
                Verdict::DropAndClose(close) => return Some(close),
            };
            None
        });
        if let Some(close) = close {
            // Behind what is on its way to the client already.
            let _ = to_client.send(Item::Close(close));
            return Ok(());
        }
    };
    shared.wait_until(|state| !state.holds_end(direction)).await;
    let due = shared.look().due();
    let _ = onward.send(end.map_or(Item::End(due), Item::Close));
    Ok(())
}

/// The next frame with its length field, or the next bytes of what is not this protocol; empty at the end.
async fn next(reader: &mut BufReader<&mut OwnedReadHalf>, framed: &mut bool) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if *framed {
        let mut field = [0; 4];
        match reader.read_exact(&mut field).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(bytes),
            read => read?,
        };
        bytes.extend(field);
        match wire::length(field) {
            Length::NoFrame => *framed = false,
            Length::Frame(length) => {
                // Grows as bytes arrive: a length alone makes nobody allocate.
                let read = (&mut *reader).take(length as u64).read_to_end(&mut bytes).await?;
                if read < length {
                    bytes.clear();
                }
            }
        }
    } else {
        reader.read_buf(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Writes what is queued until the end. After an error the rest is discarded: the reader of the same socket tells.
async fn write(half: &mut OwnedWriteHalf, mut items: mpsc::UnboundedReceiver<Item>) -> Result<(), Close> {
    let mut writer = BufWriter::with_capacity(64 << 10, half);
    loop {
        let item = match items.try_recv() {
            Ok(item) => item,
            Err(_) => {
                let _ = writer.flush().await;
                match items.recv().await {
                    Some(item) => item,
                    None => return Ok(()),
                }
            }
        };
        match item {
            Item::Bytes(due, bytes) => {
                wait(&mut writer, due).await;
                let _ = writer.write_all(&bytes).await;
            }
            Item::Gate(mut gate) => {
                let _ = writer.flush().await;
                let gate = gate.wait_for(|gate| *gate != Gate::Shut).await.map_or(Gate::Open, |gate| *gate);
                match gate {
                    Gate::Shut | Gate::Open => {}
                    Gate::Lose(close) => return Err(close),
                    Gate::CloseBehind(close) => {
                        while let Ok(Item::Bytes(_, bytes)) = items.try_recv() {
                            let _ = writer.write_all(&bytes).await;
                        }
                        let _ = writer.flush().await;
                        return Err(close);
                    }
                }
            }
            Item::End(due) => {
                wait(&mut writer, due).await;
                let _ = writer.shutdown().await;
                return Ok(());
            }
            Item::Close(close) => {
                let _ = writer.flush().await;
                return Err(close);
            }
        }
    }
}

/// Waits without keeping back what was due before. A timer is not asked in vain, since it rounds up.
async fn wait(writer: &mut BufWriter<&mut OwnedWriteHalf>, due: Option<Instant>) {
    if let Some(due) = due.filter(|due| *due > Instant::now()) {
        let _ = writer.flush().await;
        sleep_until(due).await;
    }
}

async fn finish((mut reader, mut writer): (OwnedReadHalf, OwnedWriteHalf), kind: Close) {
    match kind {
        Close::Rst => {
            let _ = reader.as_ref().set_zero_linger();
            // Dropped otherwise, it would send an end of file ahead of the reset.
            writer.forget();
        }
        Close::Fin => {
            let _ = writer.shutdown().await;
            // The kernel turns the close of a socket with unread bytes into a reset, so they are read.
            let mut rest = [0; 4096];
            let drain = async { while matches!(reader.read(&mut rest).await, Ok(1..)) {} };
            let _ = timeout(LINGER, drain).await;
        }
    }
}
