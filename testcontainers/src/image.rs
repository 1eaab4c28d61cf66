//! Decides which ZooKeeper image to use, and builds one where none can be pulled.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use futures_core::Stream;
use rustix::fs::{FlockOperation, flock};
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::CreateImageOptionsBuilder;
use tokio::sync::OnceCell;

use crate::error::Error;
use crate::ports;

/// The image that is pulled. 3.9.3 is avoided, since it can lose data.
const OFFICIAL: (&str, &str) = ("docker.io/library/zookeeper", "3.9.4");
const OFFICIAL_SHORT: &str = "zookeeper:3.9.4";

/// A pull that makes no progress for so long is given up.
const PULL_PATIENCE: Duration = Duration::from_secs(15);

const FILES: [(&str, &str); 3] = [
    ("build.sh", include_str!("../image/build.sh")),
    ("entrypoint.sh", include_str!("../image/entrypoint.sh")),
    ("zkServer.sh", include_str!("../image/zkServer.sh")),
];

/// The image to use, decided once per process. Without `FAIRLOCK_ZOOKEEPER_IMAGE` it is the first that can be had of:
/// the official image if it is on the machine, the built one if it is, the official one pulled, the built one built.
pub(crate) async fn choose(docker: &Docker) -> Result<String, Error> {
    static CHOICE: OnceCell<String> = OnceCell::const_new();
    if let Some(image) = std::env::var("FAIRLOCK_ZOOKEEPER_IMAGE").ok().filter(|image| !image.is_empty()) {
        return Ok(image);
    }
    CHOICE.get_or_try_init(|| find(docker)).await.cloned()
}

async fn find(docker: &Docker) -> Result<String, Error> {
    let built = built_name();
    if let Some(image) = present(docker, &built).await {
        return Ok(image);
    }
    // Test binaries run in parallel: one of them pulls or builds, the others wait and find the outcome.
    let lock =
        std::fs::File::create(ports::directory()?.join("image")).map_err(Error::io("create the image's lock file"))?;
    let lock = tokio::task::spawn_blocking(move || flock(&lock, FlockOperation::LockExclusive).map(|()| lock))
        .await
        .map_err(|e| Error::Engine { what: "lock the image", why: e.to_string() })?
        .map_err(|e| Error::Io { what: "lock the image", source: e.into() })?;
    if let Some(image) = present(docker, &built).await {
        return Ok(image);
    }
    let image = match pull(docker).await {
        Ok(()) => OFFICIAL_SHORT.to_owned(),
        Err(pull) => match build(&built).await {
            Ok(()) => built,
            Err(build) => return Err(Error::NoImage { official: OFFICIAL_SHORT.to_owned(), pull, build }),
        },
    };
    drop(lock);
    Ok(image)
}

async fn present(docker: &Docker, built: &str) -> Option<String> {
    for image in [OFFICIAL_SHORT, built] {
        if docker.inspect_image(image).await.is_ok() {
            return Some(image.to_owned());
        }
    }
    None
}

async fn pull(docker: &Docker) -> Result<(), String> {
    let options = CreateImageOptionsBuilder::new().from_image(OFFICIAL.0).tag(OFFICIAL.1).build();
    let mut progress = Box::pin(docker.create_image(Some(options), None, None));
    loop {
        let next = std::future::poll_fn(|context| progress.as_mut().poll_next(context));
        match tokio::time::timeout(PULL_PATIENCE, next).await {
            Err(_) => return Err(format!("no progress for {PULL_PATIENCE:?}")),
            Ok(None) => break,
            Ok(Some(step)) => {
                let step = step.map_err(|error| error.to_string())?;
                if let Some(error) = step.error_detail.and_then(|detail| detail.message) {
                    return Err(error);
                }
            }
        }
    }
    docker.inspect_image(OFFICIAL_SHORT).await.map(drop).map_err(|error| error.to_string())
}

/// The tag follows from the files, so that a change to them leads to a new image.
fn built_name() -> String {
    let mut hasher = DefaultHasher::new();
    FILES.hash(&mut hasher);
    format!("fairlock-zookeeper:{:016x}", hasher.finish())
}

async fn build(name: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    for (file, content) in FILES {
        let path = directory.path().join(file);
        std::fs::write(&path, content)
            .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)))
            .map_err(|error| error.to_string())?;
    }
    let output = tokio::process::Command::new("sh")
        .arg(directory.path().join("build.sh"))
        .arg(name)
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<_> = said.trim().lines().rev().take(5).collect();
    Err(last.into_iter().rev().collect::<Vec<_>>().join("; "))
}
