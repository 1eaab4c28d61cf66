//! The demo as a picture.
use tokio::sync::mpsc;
use super::{Failure, news::News, plan::Plan};
pub(super) async fn show(plan: &Plan, feed: mpsc::UnboundedReceiver<News>) -> Result<(), Failure> {
    super::plain::show(plan, feed).await
}
