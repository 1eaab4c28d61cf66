//! Curator's `InterProcessMutex`: a small Java program, compiled here, and jars that are installed, given, or got from Debian.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::Places;
use super::peer::{self, Peer};
use crate::error::{Error, Result};

const PROGRAM: &str = include_str!("../../peers/CuratorPeer.java");

/// Where Debian's packages put jars.
const INSTALLED: &str = "/usr/share/java";

/// Debian's packages with the jars below.
const PACKAGES: [&str; 11] = [
    "libcurator-recipes-java",
    "libcurator-framework-java",
    "libcurator-client-java",
    "libzookeeper-java",
    "libguava-java",
    "libslf4j-java",
    "libnetty-java",
    "libdropwizard-metrics-java",
    "libjackson2-core-java",
    "libjackson2-databind-java",
    "libjackson2-annotations-java",
];

/// What must be there, each as the beginning of a file's name.
const JARS: [&str; 6] = ["curator-recipes", "curator-framework", "curator-client", "zookeeper", "guava", "slf4j-api"];

pub(super) async fn open(address: &str, places: &Places<'_>) -> Result<Peer> {
    let folder = places.workshop.join("curator");
    std::fs::create_dir_all(&folder).map_err(Error::io(format!("make {}", folder.display())))?;
    let jars = jars(&folder, places.curator_jars).await?;
    let program = folder.join("CuratorPeer.java");
    std::fs::write(&program, PROGRAM).map_err(Error::io(format!("write {}", program.display())))?;
    let classes = folder.join("classes");
    let class_path = format!("{}/*", jars.display());
    let mut compile = Command::new("javac");
    compile.args(["-nowarn", "-cp", &class_path, "-d"]).arg(&classes).arg(&program);
    peer::prepare(compile).await.map_err(|error| {
        Error::Missing(format!(
            "a Java program cannot be compiled; install a JDK such as default-jdk-headless ({error})"
        ))
    })?;
    let mut command = Command::new("java");
    // Warm after the warm-up, and no more threads for rubbish and compiling than two processors can bear.
    command.args(["-XX:+UseSerialGC", "-Xss256k", "-cp"]).arg(format!("{}:{class_path}", classes.display()));
    command.arg("CuratorPeer");
    Peer::start(command, address).await
}

/// A folder with all jars.
async fn jars(folder: &Path, given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given {
        return complete(given).map(|()| given.to_owned());
    }
    let installed = Path::new(INSTALLED);
    if complete(installed).is_ok() {
        return Ok(installed.to_owned());
    }
    let unpacked = folder.join("usr/share/java");
    if complete(&unpacked).is_err() {
        get(folder).await.map_err(|error| {
            let packages = PACKAGES[..3].join(" ");
            Error::Missing(format!(
                "no jars of Curator; install {packages}, or give a folder with --curator-jars ({error})"
            ))
        })?;
    }
    complete(&unpacked).map(|()| unpacked)
}

/// Downloads packages and unpacks them, without installing anything.
async fn get(folder: &Path) -> Result<()> {
    let mut download = Command::new("apt-get");
    download.arg("download").args(PACKAGES).current_dir(folder);
    peer::prepare(download).await?;
    let files = std::fs::read_dir(folder).map_err(Error::io(format!("read {}", folder.display())))?;
    for file in files.filter_map(std::result::Result::ok).map(|file| file.path()) {
        if file.extension().is_some_and(|extension| extension == "deb") {
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("--extract").arg(&file).arg(folder);
            peer::prepare(unpack).await?;
        }
    }
    Ok(())
}

fn complete(folder: &Path) -> Result<()> {
    let files = std::fs::read_dir(folder).map_err(Error::io(format!("read {}", folder.display())))?;
    let names: Vec<_> =
        files.filter_map(std::result::Result::ok).map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    let has = |jar: &str| names.iter().any(|name| name.starts_with(jar) && name.ends_with(".jar"));
    match JARS.iter().find(|jar| !has(jar)) {
        None => Ok(()),
        Some(jar) => Err(Error::Missing(format!("{} has no {jar}.jar", folder.display()))),
    }
}
