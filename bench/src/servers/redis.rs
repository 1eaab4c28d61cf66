//! Redis: one server that keeps nothing.

use std::path::Path;

use fairlock_testcontainers::Port;

use super::Running;
use super::process::{self, Process};
use crate::debian::Program;
use crate::error::{Error, Result};

/// The server itself is in the second, and the others are what that needs.
const PACKAGES: [&str; 5] = ["redis-server", "redis-tools", "libatomic1", "libjemalloc2", "liblzf1"];

pub(super) async fn start(workshop: &Path) -> Result<Running> {
    let workshop = workshop.join("redis");
    let program = Program::find("redis-server", &PACKAGES, &workshop).await?;
    std::fs::create_dir_all(&workshop).map_err(Error::io(format!("make {}", workshop.display())))?;
    let version = version(&program.says("--version").await?);
    let port = Port::reserve()?;
    let folder = process::folder(&std::env::temp_dir())?;
    let options = [
        ("bind", "127.0.0.1".to_owned()),
        ("port", port.number().to_string()),
        ("dir", folder.display().to_string()),
        // Nothing is kept: a server that ends forgets who holds what.
        ("save", String::new()),
        ("appendonly", "no".to_owned()),
    ];
    let arguments: Vec<_> = options.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]).collect();
    let mut process = Process::start(&program, &arguments, &folder, workshop.join("server.log"))?;
    process.wait_until(async || answers(port.number()).await).await?;
    let told = format!("Redis {version} (in memory only)");
    Ok(Running { address: format!("127.0.0.1:{}", port.number()), told, _processes: vec![process] })
}

async fn answers(port: u16) -> bool {
    let said = process::ask(port, "PING\r\n", |said| said.ends_with("\r\n")).await;
    said.is_some_and(|said| said.starts_with("+PONG"))
}

/// `7.0.15` of `Redis server v=7.0.15 sha=…`.
fn version(said: &str) -> String {
    let version = said.split_whitespace().find_map(|word| word.strip_prefix("v="));
    version.unwrap_or("of an unknown version").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_one_word_of_what_it_says() {
        assert_eq!(version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"), "7.0.15");
        assert_eq!(version(""), "of an unknown version");
    }
}
