//! The requests that put one node in the place of another, and that find out which of the two there is.

use super::{Answer, Requests, STUBBORN_PAUSE, refused};
use crate::driver::{Claim, Earlier};
use crate::queue::{Event, Mode};
use crate::store::{Entered, Neighbours, Node, OwnNode, StoreError, StoreErrorKind};
use crate::ticket::Ticket;

impl Requests {
    pub(in crate::driver) async fn downgrade(&self, own: OwnNode) -> Answer {
        // Not repeated here: by the time of a repetition, the name may be another's.
        let store = self.session.store();
        match self.session.write(store.replace(&self.queue, own.sequence, Mode::Shared, &self.ticket)).await {
            Ok(node) => Event::Downgraded(node).into(),
            // Executed before and not answered, or deleted by somebody else: a look tells.
            Err(error) if error.kind() == StoreErrorKind::NoNode => Event::Unknown.into(),
            Err(error) if error.kind() == StoreErrorKind::NodeExists => refused(
                "put a shared node in place of the exclusive one, whose name is taken by a node made by hand (delete it),",
                error,
            ),
            Err(error) => self.failed("put a shared node in place of the exclusive one", error).await,
        }
    }

    pub(in crate::driver) async fn locate(&self, own: OwnNode) -> Answer {
        loop {
            let answer = match self.own_or_its_share(own).await {
                Ok(found) => return Event::Recovered(found.into_iter().collect()).into(),
                Err(error) => self.failed_for_now("look at the lock's node", error).await,
            };
            if answer.event != Event::Refused {
                return answer;
            }
            // Somebody may be waiting for this contender, and nobody else can tell which node to delete.
            tokio::time::sleep(STUBBORN_PAUSE).await;
            self.close_if_abandoned().await;
        }
    }

    /// The own node, or the share that has come in its place. Not by the ticket alone: somebody may have overwritten it.
    async fn own_or_its_share(&self, own: OwnNode) -> Result<Option<OwnNode>, StoreError> {
        let store = self.session.store();
        self.session.write(store.write_barrier()).await?;
        if self.is_there(Claim { node: own, session: store.id() }).await? {
            return Ok(Some(own));
        }
        let sequence = own.sequence.as_shared();
        let node = self.session.read(store.inspect(&self.queue, &sequence.node_name())).await?;
        let is_this = |node: &Node| {
            node.owner == Some(store.id()) && (node.data == self.ticket || Ticket::parse(&node.data).is_none())
        };
        Ok(node.filter(is_this).map(|node| OwnNode { sequence, token: node.token }))
    }

    /// Enters in the place of an earlier node of the same user, if that is still there.
    pub(super) async fn take_over(&self, earlier: Earlier) -> Answer {
        let Claim { node: old, .. } = earlier.claim;
        let store = self.session.store();
        // By its name alone, another's might be deleted; and a server that lags behind may not know it yet, or know it still.
        let is_there = async {
            self.session.write(store.write_barrier()).await?;
            self.is_there(earlier.claim).await
        };
        match is_there.await {
            Ok(true) => {}
            Ok(false) => return gone(),
            Err(error) => return self.failed("look at the earlier node", error).await,
        }
        match self.session.write(store.replace(&self.queue, old.sequence, self.mode, &self.ticket)).await {
            // Whoever is ahead of it, if anybody is, is found by a survey.
            Ok(OwnNode { sequence, token }) => {
                Event::Entered(Entered { sequence, token, neighbours: Neighbours::Unknown }).into()
            }
            Err(error) if error.kind() == StoreErrorKind::NoNode => gone(),
            Err(error) => self.failed("take a place over", error).await,
        }
    }
}

/// A place that is gone is no error of the store.
fn gone() -> Answer {
    Event::Refused.into()
}
