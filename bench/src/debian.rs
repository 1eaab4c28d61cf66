//! Programs that are installed, or else those of Debian's packages, which are unpacked and not installed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::contenders::prepare;
use crate::error::{Error, Result};

/// A program that can be started.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// Where its packages are unpacked, unless it is installed.
    unpacked: Option<PathBuf>,
}

impl Program {
    /// Looks where programs are installed, and else gets the packages into this folder, once.
    pub(crate) async fn find(name: &str, packages: &[&str], folder: &Path) -> Result<Self> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        if let Some(path) = std::env::split_paths(&paths).map(|path| path.join(name)).find(|path| path.is_file()) {
            return Ok(Self { path, unpacked: None });
        }
        let path = folder.join("usr/bin").join(name);
        if !path.is_file() {
            std::fs::create_dir_all(folder).map_err(Error::io(format!("make {}", folder.display())))?;
            get(packages, folder).await.map_err(|error| {
                let package = packages.first().copied().unwrap_or(name);
                Error::Missing(format!("there is no {name}; install {package} ({error})"))
            })?;
        }
        Ok(Self { path, unpacked: Some(folder.to_owned()) })
    }

    /// What must be set for it to find what came with it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let Some(folder) = &self.unpacked else { return vec![] };
        // One for each kind of processor, of which there is one.
        let libraries = std::fs::read_dir(folder.join("usr/lib")).into_iter().flatten().flatten();
        let libraries = std::env::join_paths(libraries.map(|entry| entry.path()));
        libraries.map(|libraries| vec![("LD_LIBRARY_PATH", libraries)]).unwrap_or_default()
    }

    /// Something else of its packages.
    pub(crate) fn unpacked(&self, path: &str) -> Option<PathBuf> {
        self.unpacked.as_ref().map(|folder| folder.join(path)).filter(|path| path.exists())
    }

    /// What it prints.
    pub(crate) async fn says(&self, argument: &str) -> Result<String> {
        let mut command = Command::new(&self.path);
        command.arg(argument).envs(self.environment()).kill_on_drop(true);
        let said = command.output().await.map_err(Error::io(format!("run {}", self.path.display())))?;
        Ok(format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr)))
    }
}

/// Downloads packages and unpacks them, without installing anything.
pub(crate) async fn get(packages: &[&str], folder: &Path) -> Result<()> {
    let mut download = Command::new("apt-get");
    download.arg("download").args(packages).current_dir(folder);
    prepare(download).await?;
    let files = std::fs::read_dir(folder).map_err(Error::io(format!("read {}", folder.display())))?;
    for file in files.filter_map(std::result::Result::ok).map(|file| file.path()) {
        if file.extension().is_some_and(|extension| extension == "deb") {
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("--extract").arg(&file).arg(folder);
            prepare(unpack).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_cannot_be_had_is_told_with_the_package_to_install() {
        let folder = std::env::temp_dir().join(format!("fairlock-benchmarks-debian-{}", std::process::id()));
        let error = Program::find("no-such-program", &["no-such-package"], &folder).await.expect_err("there is none");
        let _ = std::fs::remove_dir_all(&folder);
        let told = error.to_string();
        assert!(told.starts_with("there is no no-such-program; install no-such-package ("), "{told}");
        assert!(told.contains("apt-get"), "the reason is told too: {told}");
    }

    #[tokio::test]
    async fn what_is_installed_is_taken_as_it_is() {
        let program = Program::find("sh", &[], Path::new("/nowhere")).await.expect("installed");
        assert!(program.path.is_absolute() && program.environment().is_empty(), "{program:?}");
        assert_eq!(program.unpacked("usr/include"), None);
    }
}
