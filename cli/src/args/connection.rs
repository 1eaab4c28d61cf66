//! Which servers, and as whom: the options that every command has which connects.

use std::path::PathBuf;
use std::time::Duration;

use super::values;

/// Each may be given in the environment as well, and all but those that name the profile and the file in a profile of the
/// configuration file. A flag wins over the environment, the environment over the profile.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The ZooKeeper servers, as in zk1:2181,zk2:2181/app [env: FAIRLOCK_SERVERS]
    ///
    /// A list of HOST:PORT, separated by commas, perhaps with a root for all paths at its end.
    #[arg(short = 'S', long, value_name = "SERVERS")]
    pub(crate) servers: Option<String>,

    /// Which profile of the configuration file to use [env: FAIRLOCK_PROFILE]
    #[arg(short = 'p', long, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// The configuration file; by default ~/.config/fairlock/config.toml [env: FAIRLOCK_CONFIG]
    #[arg(long = "config-file", value_name = "FILE", hide_short_help = true)]
    pub(crate) config_file: Option<PathBuf>,

    /// The root below which all paths lie; it must exist [env: FAIRLOCK_CHROOT]
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    pub(crate) chroot: Option<String>,

    /// The session timeout to ask for; 10 s by default [env: FAIRLOCK_SESSION_TIMEOUT]
    ///
    /// It bounds how long a crashed holder blocks others, and how long a holder may be cut off before it loses its lock.
    #[arg(long, value_name = "TIME", value_parser = values::duration, hide_short_help = true)]
    pub(crate) session_timeout: Option<Duration>,

    /// How long to wait for a server; 10 s by default [env: FAIRLOCK_CONNECT_TIMEOUT]
    #[arg(long, value_name = "TIME", value_parser = values::duration, hide_short_help = true)]
    pub(crate) connect_timeout: Option<Duration>,

    /// Who this is to others in the queue; by default the command's name [env: FAIRLOCK_IDENTITY]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) identity: Option<String>,

    /// A file of credentials, one "SCHEME SECRET" a line [env: FAIRLOCK_AUTH_FILE]
    ///
    /// For example: digest user:password. The variable FAIRLOCK_AUTH may hold one itself. There is no flag for the secret:
    /// it would be visible in the list of processes.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) auth_file: Option<PathBuf>,

    /// Connect with TLS, and believe the authorities in this PEM file [env: FAIRLOCK_TLS_CA]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) tls_ca: Option<PathBuf>,

    /// With TLS: show the servers the certificate in this PEM file [env: FAIRLOCK_TLS_CERTIFICATE]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// With TLS: the key of the certificate, in this PEM file [env: FAIRLOCK_TLS_KEY]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) tls_key: Option<PathBuf>,

    /// Who may do what with new nodes: everyone, creator-only, creator-else-read [env: FAIRLOCK_ACCESS]
    #[arg(long, value_name = "RULE", value_parser = ["everyone", "creator-only", "creator-else-read"], hide_short_help = true)]
    pub(crate) access: Option<String>,
}
