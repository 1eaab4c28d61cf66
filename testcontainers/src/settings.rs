//! What a server is configured with, common to containers and processes.

use std::time::Duration;

use crate::error::Error;

/// Which way to run servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeChoice {
    /// Containers where an engine answers, else processes.
    #[default]
    Auto,
    /// Containers only.
    Container,
    /// Processes of a locally installed ZooKeeper only.
    Process,
}

impl RuntimeChoice {
    /// What was asked for in code, else the environment variable `FAIRLOCK_ZOOKEEPER_RUNTIME`, else [`Self::Auto`].
    pub(crate) fn resolve(chosen: Option<Self>) -> Result<Self, Error> {
        if let Some(chosen) = chosen {
            return Ok(chosen);
        }
        match std::env::var("FAIRLOCK_ZOOKEEPER_RUNTIME").unwrap_or_default().as_str() {
            "" | "auto" => Ok(Self::Auto),
            "container" => Ok(Self::Container),
            "process" => Ok(Self::Process),
            other => Err(Error::UnknownRuntime(other.to_owned())),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) runtime: Option<RuntimeChoice>,
    pub(crate) tick_time: Duration,
    pub(crate) init_limit: u32,
    pub(crate) sync_limit: u32,
    pub(crate) fsync: bool,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) jvm_flags: Vec<String>,
    pub(crate) start_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            runtime: None,
            tick_time: Duration::from_millis(500),
            init_limit: 10,
            sync_limit: 5,
            fsync: false,
            properties: Vec::new(),
            jvm_flags: Vec::new(),
            start_timeout: Duration::from_secs(60),
        }
    }
}

impl Settings {
    pub(crate) fn tick_millis(&self) -> u128 {
        self.tick_time.as_millis()
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let properties = self.properties.iter().map(|(key, value)| format!("{key}={value}"));
        match properties.chain(self.jvm_flags.iter().cloned()).find(|text| text.contains(char::is_whitespace)) {
            Some(text) => Err(Error::WhiteSpace(text)),
            None => Ok(()),
        }
    }

    /// Lines of zoo.cfg beyond those that have an environment variable of their own; the user's come last and win.
    pub(crate) fn extra_lines(&self) -> Vec<String> {
        let mut lines = vec!["extendedTypesEnabled=true".to_owned()];
        if !self.fsync {
            lines.push("forceSync=no".to_owned());
        }
        lines.extend(self.properties.iter().map(|(key, value)| format!("{key}={value}")));
        lines
    }

    /// The user's flags last, so that they win.
    pub(crate) fn jvm_flags(&self) -> Vec<String> {
        let mut flags = vec!["-XX:+UseSerialGC".to_owned(), "-Xmx256m".to_owned()];
        flags.extend(self.jvm_flags.iter().cloned());
        flags
    }
}

/// Gives a builder the knobs that servers and ensembles have in common; it must have a field `settings`.
macro_rules! knobs {
    ($builder:ty) => {
        impl $builder {
            /// How to run the servers. Default: the environment variable `FAIRLOCK_ZOOKEEPER_RUNTIME`
            /// (`container`, `process` or `auto`), else [`RuntimeChoice::Auto`](crate::RuntimeChoice::Auto).
            #[must_use]
            pub fn runtime(mut self, choice: crate::RuntimeChoice) -> Self {
                self.settings.runtime = Some(choice);
                self
            }

            /// The length of a tick, 500 ms by default. Sessions time out after two ticks at least and twenty at most,
            /// unless [`min_session_timeout`](Self::min_session_timeout) and
            /// [`max_session_timeout`](Self::max_session_timeout) say otherwise.
            #[must_use]
            pub fn tick_time(mut self, tick: std::time::Duration) -> Self {
                self.settings.tick_time = tick;
                self
            }

            /// How many ticks a follower may take to connect and catch up, 10 by default.
            #[must_use]
            pub fn init_limit(mut self, ticks: u32) -> Self {
                self.settings.init_limit = ticks;
                self
            }

            /// How many ticks leader and follower may go without hearing of each other, 5 by default.
            #[must_use]
            pub fn sync_limit(mut self, ticks: u32) -> Self {
                self.settings.sync_limit = ticks;
                self
            }

            /// The shortest session timeout that a client can get.
            #[must_use]
            pub fn min_session_timeout(self, timeout: std::time::Duration) -> Self {
                self.property("minSessionTimeout", timeout.as_millis().to_string())
            }

            /// The longest session timeout that a client can get.
            #[must_use]
            pub fn max_session_timeout(self, timeout: std::time::Duration) -> Self {
                self.property("maxSessionTimeout", timeout.as_millis().to_string())
            }

            /// Whether the transaction log is flushed to the disk before a write is acknowledged. Off by default:
            /// tests become much quicker, and what the server wrote still survives a kill of the server, though not a
            /// crash of the machine.
            #[must_use]
            pub fn fsync(mut self, on: bool) -> Self {
                self.settings.fsync = on;
                self
            }

            /// One line of zoo.cfg, neither part with white space in it. The last one given for a key wins, also over
            /// the defaults.
            #[must_use]
            pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
                self.settings.properties.push((key.into(), value.into()));
                self
            }

            /// One flag for the Java machine, such as `-Dreadonlymode.enabled=true`, without white space in it.
            #[must_use]
            pub fn jvm_flag(mut self, flag: impl Into<String>) -> Self {
                self.settings.jvm_flags.push(flag.into());
                self
            }

            /// How long to wait at most until the servers serve, 60 s by default.
            #[must_use]
            pub fn start_timeout(mut self, timeout: std::time::Duration) -> Self {
                self.settings.start_timeout = timeout;
                self
            }
        }
    };
}
pub(crate) use knobs;
