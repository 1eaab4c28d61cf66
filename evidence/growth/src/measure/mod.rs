//! Where one ensemble ends, measured on servers that this starts.

mod memory;
mod restart;
mod throughput;
mod width;

use std::error::Error;
use std::time::Duration;

use zookeeper_client as zk;

pub(crate) use memory::memory;
pub(crate) use restart::restart;
pub(crate) use throughput::throughput;
pub(crate) use width::{clean_up, width};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

async fn connect(servers: &str) -> Result<zk::Client> {
    Ok(zk::Client::connector().with_session_timeout(SESSION_TIMEOUT).connect(servers).await?)
}

fn everybody(mode: zk::CreateMode) -> zk::CreateOptions<'static> {
    mode.with_acls(zk::Acls::anyone_all())
}
