//! Encrypted connections: whom to believe, and who one is, as the client crate wants it.

pub(super) use self::connecting::connect;
#[cfg(feature = "tls")]
pub use self::with_feature::Tls;

/// What stands for [`Tls`] where it cannot be: there is never one.
#[cfg(not(feature = "tls"))]
#[derive(Clone, Debug)]
pub(crate) enum Tls {}

/// What stands in front of a server that is to be spoken to encrypted.
pub(super) const SCHEME: &str = "tcp+tls://";

#[cfg(feature = "tls")]
mod with_feature {
    use std::fmt;

    use zookeeper_client as zk;

    use crate::error::Error;

    /// How to encrypt connections to ZooKeeper, for [`Builder::tls`](crate::Builder::tls); with the feature `tls`.
    ///
    /// The servers' certificates must be valid for the names of the connect string; there is no way around that.
    #[derive(Clone)]
    pub struct Tls {
        pub(super) options: zk::TlsOptions,
    }

    impl Tls {
        /// Believes servers whose certificates these authorities have signed, given as PEM.
        ///
        /// # Errors
        ///
        /// [`Error::InvalidConfig`] if there is no usable certificate in it.
        pub fn new(authorities_pem: &str) -> Result<Self, Error> {
            let options = zk::TlsOptions::new().with_pem_ca(authorities_pem);
            options.map(|options| Self { options }).map_err(|error| invalid("the certificates of authorities", &error))
        }

        /// Shows servers this certificate, given as PEM with its key: with it, servers may know the client.
        ///
        /// # Errors
        ///
        /// [`Error::InvalidConfig`] if either cannot be read.
        pub fn identity(self, certificate_pem: &str, key_pem: &str) -> Result<Self, Error> {
            let options = self.options.with_pem_identity(certificate_pem, key_pem);
            options.map(|options| Self { options }).map_err(|error| invalid("the certificate or its key", &error))
        }
    }

    fn invalid(what: &str, error: &zk::Error) -> Error {
        Error::InvalidConfig { reason: format!("{what} cannot be read as PEM: {error}") }
    }

    impl fmt::Debug for Tls {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            // The key stays out.
            f.debug_struct("Tls").finish_non_exhaustive()
        }
    }
}

#[cfg(feature = "tls")]
mod connecting {
    use zookeeper_client as zk;

    use super::Tls;

    /// Connects, encrypted unless a server is marked otherwise, if there are certificates.
    pub(in super::super) async fn connect(
        connector: zk::Connector,
        tls: Option<&Tls>,
        servers: &str,
    ) -> Result<zk::Client, zk::Error> {
        match tls {
            Some(tls) => connector.with_tls(tls.options.clone()).secure_connect(servers).await,
            None => connector.connect(servers).await,
        }
    }
}

#[cfg(not(feature = "tls"))]
mod connecting {
    use zookeeper_client as zk;

    use super::Tls;

    pub(in super::super) async fn connect(
        connector: zk::Connector,
        _: Option<&Tls>,
        servers: &str,
    ) -> Result<zk::Client, zk::Error> {
        connector.connect(servers).await
    }
}
