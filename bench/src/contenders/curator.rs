//! Curator's `InterProcessMutex`: a small Java program, compiled here, and jars that are installed, given, or got from Debian.

use std::path::Path;

use tokio::process::Command;

use super::Places;
use super::peer::{self, Peer};
use crate::debian;
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

/// What those need, if it is there.
const MORE_JARS: [&str; 5] = ["failureaccess", "jackson-", "metrics-core", "netty-", "slf4j-nop"];

pub(super) async fn open(address: &str, places: &Places<'_>) -> Result<Peer> {
    let folder = places.workshop.join("curator");
    std::fs::create_dir_all(&folder).map_err(Error::io(format!("make {}", folder.display())))?;
    let class_path = jars(&folder, places.curator_jars).await?.join(":");
    let program = folder.join("CuratorPeer.java");
    std::fs::write(&program, PROGRAM).map_err(Error::io(format!("write {}", program.display())))?;
    let classes = folder.join("classes");
    let mut compile = Command::new("javac");
    compile.args(["-nowarn", "-cp", &class_path, "-d"]).arg(&classes).arg(&program);
    peer::prepare(compile).await.map_err(|error| {
        Error::Missing(format!(
            "a Java program cannot be compiled; install a JDK such as default-jdk-headless ({error})"
        ))
    })?;
    let mut command = Command::new("java");
    // A thread for each waiter, and no threads of the collector that would compete with them.
    command.args(["-XX:+UseSerialGC", "-Xss256k", "-cp"]).arg(format!("{}:{class_path}", classes.display()));
    command.arg("CuratorPeer");
    Peer::start(command, address).await
}

/// The paths of all jars.
async fn jars(folder: &Path, given: Option<&Path>) -> Result<Vec<String>> {
    if let Some(given) = given {
        return jars_in(given);
    }
    if let Ok(installed) = jars_in(Path::new(INSTALLED)) {
        return Ok(installed);
    }
    let unpacked = folder.join("usr/share/java");
    if jars_in(&unpacked).is_err() {
        debian::get(&PACKAGES, folder).await.map_err(|error| {
            let packages = PACKAGES[..3].join(" ");
            Error::Missing(format!(
                "no jars of Curator; install {packages}, or give a folder with --curator-jars ({error})"
            ))
        })?;
    }
    jars_in(&unpacked)
}

/// Only what is needed: a folder of all that is installed may hold several of what there may be one of.
fn jars_in(folder: &Path) -> Result<Vec<String>> {
    let files = std::fs::read_dir(folder).map_err(Error::io(format!("read {}", folder.display())))?;
    let names: Vec<_> =
        files.filter_map(std::result::Result::ok).map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    let of = |jar: &'static str| names.iter().filter(move |name| name.starts_with(jar) && name.ends_with(".jar"));
    if let Some(missing) = JARS.iter().find(|jar| of(jar).next().is_none()) {
        return Err(Error::Missing(format!("{} has no {missing}.jar", folder.display())));
    }
    let chosen = JARS.iter().chain(&MORE_JARS).flat_map(|jar| of(jar));
    Ok(chosen.map(|name| folder.join(name).display().to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_jar_is_told_with_its_name() {
        let error = jars_in(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers"))).expect_err("no jars there");
        assert!(error.to_string().contains("has no curator-recipes.jar"), "{error}");
        let error = jars_in(Path::new("/nowhere")).expect_err("no folder there");
        assert!(error.to_string().starts_with("read /nowhere"), "{error}");
    }
}
