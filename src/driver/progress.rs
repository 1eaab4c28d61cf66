//! Telling a waiter where it stands, for those who ask: looks at the queue from time to time.

use std::time::Duration;

use tokio::sync::watch;

use super::BoxFuture;
use super::requests::Requests;
use crate::queue::{Machine, Sequence, read_children};
use crate::ticket::{Identity, Ticket};

/// Where a waiter stands in its queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many contenders are ahead, the holder included. `None`: not known yet.
    pub ahead: Option<usize>,
    /// Who holds the lock, if its node could be read.
    pub holder: Option<Identity>,
}

#[derive(Clone)]
pub(crate) struct ProgressOptions {
    pub(crate) sender: watch::Sender<Progress>,
    pub(crate) interval: Duration,
}

pub(super) struct Reporter {
    options: ProgressOptions,
    look: Option<BoxFuture<Option<Progress>>>,
    is_first: bool,
}

impl Reporter {
    pub(super) fn new(options: ProgressOptions) -> Self {
        Self { options, look: None, is_first: true }
    }
}

/// The own number, while waiting.
pub(super) fn target(machine: &Machine) -> Option<Sequence> {
    machine.waiting_for().and_then(|_| machine.node()).map(|node| node.sequence)
}

/// Does one look, and reports it. Never returns while nobody asks or nothing is waited for.
pub(super) async fn next(reporter: &mut Option<Reporter>, requests: &std::sync::Arc<Requests>, own: Option<Sequence>) {
    let (Some(reporter), Some(own)) = (reporter, own) else { return std::future::pending().await };
    let pause = if reporter.is_first { Duration::ZERO } else { reporter.options.interval };
    let requests = requests.clone();
    let look = reporter.look.get_or_insert_with(|| {
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            look(&requests, own).await
        })
    });
    let progress = look.await;
    reporter.look = None;
    reporter.is_first = false;
    if let Some(progress) = progress {
        reporter.options.sender.send_if_modified(|last| {
            let changed = *last != progress;
            *last = progress;
            changed
        });
    }
}

async fn look(requests: &Requests, own: Sequence) -> Option<Progress> {
    let session = requests.session();
    let names = session.read(session.store().survey(requests.queue())).await.ok()?;
    let contenders = read_children(&names).contenders;
    let head = contenders.iter().min()?.node_name();
    let node = session.read(session.store().inspect(requests.queue(), &head)).await.ok().flatten();
    Some(Progress {
        ahead: Some(contenders.iter().filter(|&&other| other < own).count()),
        holder: node.and_then(|node| Ticket::parse(&node.data)).map(|ticket| ticket.identity().clone()),
    })
}
