//! From nothing to the first lock: a connection, a session, a grant, and the lock's directory if nobody has used it before.

use std::time::Duration;

use crate::plan::Plan;
use crate::results::{Directory, Results, Shot, Work};
use crate::stage::{Entrant, Observer, Stage};

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    for link in plan.links.iter().copied() {
        for directory in [Directory::Exists, Directory::IsNew] {
            let shoot = async |entrant: &mut Entrant, _: &Observer| {
                let lock = match directory {
                    Directory::Exists => entrant.lock("cold"),
                    Directory::IsNew => entrant.unused_lock(),
                };
                let connections = entrant.connections();
                // What comes after the one is part of the other, since nobody waits in between.
                let (connecting, connection) =
                    entrant.counted_so_far(async |contender| contender.connect().await).await?;
                let (granting, grant) =
                    entrant.counted_so_far(async |contender| contender.first_grant(&lock).await).await?;
                entrant.contender.disconnect().await?;
                entrant.disconnected(connections).await?;
                entrant.settle(link, Duration::ZERO).await;
                let mut parts = vec![(Work::FirstGrant(directory), Shot::new(granting, vec![("grant", grant)]))];
                if directory == Directory::Exists {
                    parts.push((Work::Connecting, Shot::new(connecting, vec![("connecting", connection)])));
                }
                Ok(Some(Shot { time: connecting + granting, costs: vec![], parts }))
            };
            stage.rounds((Work::ColdStart(directory), link), plan.rounds, true, results, shoot).await;
        }
    }
}
