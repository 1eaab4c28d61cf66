//! Encrypted connections: which files say whom to believe, and who one is.

#[cfg(feature = "tls")]
use std::path::Path;
use std::path::PathBuf;

use fairlock::Builder;
#[cfg(feature = "tls")]
use fairlock::store::zookeeper::Tls;
use fairlock::store::zookeeper::ZooKeeper;

use super::{Connection, Origin, Sourced, Sources, file, variable};
use crate::exit::Failure;

/// The files, as far as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Encryption {
    pub(crate) ca: Option<Sourced<PathBuf>>,
    pub(crate) certificate: Option<Sourced<PathBuf>>,
    pub(crate) key: Option<Sourced<PathBuf>>,
}

impl Encryption {
    pub(super) fn read(flags: &Connection, files: &file::Files, sources: &Sources<'_>) -> Result<Self, String> {
        let path = |flag: &Option<PathBuf>, name, variable| {
            let flag = flag.clone().map(|path| Sourced::new(path, Origin::Flag(name)));
            flag.or_else(|| sources.text(None, name, variable, None).map(|text| text.map(PathBuf::from)))
        };
        let of_profile =
            |path: &Option<PathBuf>| path.clone().map(|path| Sourced::new(path, sources.of_profile.clone()));
        let ca = path(&flags.tls_ca, "tls-ca", variable::TLS_CA).or_else(|| of_profile(&files.ca));
        // A certificate and its key are one thing: those of two sources would not fit.
        let mut certificate = path(&flags.tls_certificate, "tls-certificate", variable::TLS_CERTIFICATE);
        let mut key = path(&flags.tls_key, "tls-key", variable::TLS_KEY);
        if certificate.is_none() && key.is_none() {
            (certificate, key) = (of_profile(&files.certificate), of_profile(&files.key));
        }
        let found = Self { ca, certificate, key };
        match (&found.ca, &found.certificate, &found.key) {
            (_, Some(_), None) | (_, None, Some(_)) => {
                Err("a certificate for TLS needs its key, and a key its certificate; give both".to_owned())
            }
            (None, Some(_), _) => {
                Err("a certificate for TLS was given, but no authorities to believe: give tls-ca".to_owned())
            }
            _ if found.ca.is_some() && !cfg!(feature = "tls") => {
                Err("this program was built without TLS; build it with its default features".to_owned())
            }
            _ => Ok(found),
        }
    }

    /// The builder, with what these files say.
    #[cfg(feature = "tls")]
    pub(super) fn of_builder(&self, builder: Builder) -> Result<Builder, Failure> {
        Ok(match self.tls()? {
            Some(tls) => builder.tls(tls),
            None => builder,
        })
    }

    /// The store, with what these files say.
    #[cfg(feature = "tls")]
    pub(super) fn of_store(&self, store: ZooKeeper) -> Result<ZooKeeper, Failure> {
        Ok(match self.tls()? {
            Some(tls) => store.with_tls(tls),
            None => store,
        })
    }

    #[cfg(feature = "tls")]
    fn tls(&self) -> Result<Option<Tls>, Failure> {
        let Some(ca) = &self.ca else { return Ok(None) };
        let placed = |paths: &[&Path], error: fairlock::Error| {
            let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            wrong(format!("{}: {error}", names.join(", ")))
        };
        let mut tls = Tls::new(&content(&ca.value)?).map_err(|error| placed(&[&ca.value], error))?;
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            tls = tls
                .identity(&content(&certificate.value)?, &content(&key.value)?)
                .map_err(|error| placed(&[&certificate.value, &key.value], error))?;
        }
        Ok(Some(tls))
    }

    // Without the feature there is nothing that they could say: `read` has refused it.
    #[cfg(not(feature = "tls"))]
    pub(super) fn of_builder(&self, builder: Builder) -> Result<Builder, Failure> {
        Ok(builder)
    }

    #[cfg(not(feature = "tls"))]
    pub(super) fn of_store(&self, store: ZooKeeper) -> Result<ZooKeeper, Failure> {
        Ok(store)
    }
}

#[cfg(feature = "tls")]
fn content(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))
}

#[cfg(feature = "tls")]
fn wrong(text: String) -> Failure {
    Failure::new(crate::exit::Exit::WrongConfig, super::WrongSetting(text))
}
