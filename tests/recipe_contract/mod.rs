//! The promises of the recipes, as one suite that runs on every store.
//!
//! `kinds.rs` has the kinds of holders, `promises` what each of them keeps, `table.rs` which promise holds for which kind, and
//! why not for the others. A store brings a `stage::Ground`: processes, and means to harm their links.

pub(crate) mod kinds;
pub(crate) mod promises;
pub(crate) mod stage;
pub(crate) mod table;

use self::kinds::Kind;
use self::stage::{Ground, Stage};

/// Runs one case.
pub(crate) async fn check(ground: impl Ground + 'static, kind: &str, promise: impl AsyncFnOnce(&Stage)) {
    let stage = Stage::new(Box::new(ground), Kind::named(kind)).await;
    promise(&stage).await;
}
