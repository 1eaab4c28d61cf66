//! From the client's session states to those of the store.

use tokio::sync::watch;
use zookeeper_client as zk;

use crate::error::LossReason;
use crate::store::SessionState;

/// Passes the client's states on, until the session has ended.
pub(super) async fn forward_states(mut watcher: zk::StateWatcher, states: watch::Sender<SessionState>) {
    loop {
        // Each look consumes the change, so none is seen twice and the latest is never missed.
        let state = watcher.changed().await;
        match state {
            zk::SessionState::SyncConnected => set(&states, SessionState::Connected),
            zk::SessionState::Disconnected | zk::SessionState::ConnectedReadOnly => {
                set(&states, SessionState::Suspended);
            }
            zk::SessionState::Expired => return end(&states, LossReason::SessionExpired),
            zk::SessionState::AuthFailed => return end(&states, LossReason::AuthenticationFailed),
            zk::SessionState::Closed => return end(&states, LossReason::Closed),
        }
    }
}

fn set(states: &watch::Sender<SessionState>, state: SessionState) {
    states.send_if_modified(|present| {
        // The end is final, also against a late word of the client.
        let changes = !matches!(present, SessionState::Ended(_)) && *present != state;
        if changes {
            *present = state;
        }
        changes
    });
}

/// Says that the session is over, which is final.
pub(super) fn end(states: &watch::Sender<SessionState>, reason: LossReason) {
    set(states, SessionState::Ended(reason));
}
