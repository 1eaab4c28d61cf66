//! Locks that are not on ZooKeeper: programs of a package of their own, which is built here when it is needed.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::Places;
use super::peer::{self, Peer};
use crate::debian::Program;
use crate::error::{Error, Result};

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/others/Cargo.toml");

/// etcd's client compiles descriptions of its protocol with this.
const PROTOC: [&str; 4] = ["protobuf-compiler", "libprotoc32", "libprotobuf32", "libprotobuf-dev"];

/// A hundred crates, on a machine that may have better to do.
const BUILDING: Duration = Duration::from_secs(3_600);

pub(super) async fn open_etcd(address: &str, places: &Places<'_>) -> Result<Peer> {
    let protoc = Program::find("protoc", &PROTOC, &places.workshop.join("protoc")).await?;
    let mut build = build("etcd", places.workshop);
    build.env("PROTOC", &protoc.path).envs(protoc.environment());
    if let Some(included) = protoc.unpacked("usr/include") {
        build.env("PROTOC_INCLUDE", included);
    }
    open("etcd", build, address, places.workshop).await
}

pub(super) async fn open_redis(address: &str, places: &Places<'_>) -> Result<Peer> {
    open("redis", build("redis", places.workshop), address, places.workshop).await
}

fn build(name: &str, workshop: &Path) -> Command {
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--release", "--locked", "--manifest-path", MANIFEST, "--features", name, "--bin"]);
    build.arg(format!("{name}_peer")).arg("--target-dir").arg(workshop.join("others"));
    build
}

async fn open(name: &str, build: Command, address: &str, workshop: &Path) -> Result<Peer> {
    let program = workshop.join("others/release").join(format!("{name}_peer"));
    if !program.exists() {
        eprintln!("building the program that drives {name}: that takes minutes, once");
    }
    peer::prepare_within(BUILDING, build).await.map_err(|error| {
        Error::Missing(format!("its program cannot be built; it needs cargo, and crates.io once ({error})"))
    })?;
    Peer::start(Command::new(program), address).await
}
