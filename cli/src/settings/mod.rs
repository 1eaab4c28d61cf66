//! How to reach the servers: flags, environment and configuration file, in that order, and where each value came from.

mod encryption;
mod file;
mod origin;
mod secret;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fairlock::store::zookeeper::{Access, ZooKeeper};
use fairlock::{Builder, Fairlock, Identity};

use self::encryption::Encryption;
use self::file::{File, Profile};
pub(crate) use self::origin::{Origin, Sourced};
pub(crate) use self::secret::{Credential, exposure};
use crate::args::Connection;
use crate::args::values;
use crate::exit::{Exit, Failure};

const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The name of each setting in the environment.
mod variable {
    pub(super) const SERVERS: &str = "FAIRLOCK_SERVERS";
    pub(super) const PROFILE: &str = "FAIRLOCK_PROFILE";
    pub(super) const CONFIG: &str = "FAIRLOCK_CONFIG";
    pub(super) const CHROOT: &str = "FAIRLOCK_CHROOT";
    pub(super) const SESSION_TIMEOUT: &str = "FAIRLOCK_SESSION_TIMEOUT";
    pub(super) const CONNECT_TIMEOUT: &str = "FAIRLOCK_CONNECT_TIMEOUT";
    pub(super) const IDENTITY: &str = "FAIRLOCK_IDENTITY";
    pub(super) const AUTH: &str = "FAIRLOCK_AUTH";
    pub(super) const AUTH_FILE: &str = "FAIRLOCK_AUTH_FILE";
    pub(super) const ACCESS: &str = "FAIRLOCK_ACCESS";
    pub(super) const TLS_CA: &str = "FAIRLOCK_TLS_CA";
    pub(super) const TLS_CERTIFICATE: &str = "FAIRLOCK_TLS_CERTIFICATE";
    pub(super) const TLS_KEY: &str = "FAIRLOCK_TLS_KEY";
}

/// What holds, and why.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The configuration file that was read, if there is one.
    pub(crate) file: Option<PathBuf>,
    pub(crate) profile: Option<Sourced<String>>,
    pub(crate) servers: Option<Sourced<String>>,
    pub(crate) chroot: Option<Sourced<String>>,
    pub(crate) session_timeout: Sourced<Duration>,
    pub(crate) connect_timeout: Sourced<Duration>,
    /// `None`: what the command is called.
    pub(crate) identity: Option<Sourced<String>>,
    pub(crate) credentials: Vec<Sourced<Credential>>,
    pub(crate) access: Sourced<Access>,
    pub(crate) encryption: Encryption,
    /// Files with secrets, whose permissions matter.
    pub(crate) secret_files: Vec<PathBuf>,
}

/// What is wrong with a setting: told in one line, with the place where it was set.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongSetting(String);

impl Settings {
    /// What holds for this command line in this process's environment.
    pub(crate) fn read(flags: &Connection) -> Result<Self, Failure> {
        // One that is no text must not be taken for one that is not set: it might be the credentials.
        let variables = std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"FAIRLOCK_"));
        for (name, value) in variables {
            if value.to_str().is_none() {
                let name = name.to_string_lossy();
                return Err(Failure::new(Exit::WrongConfig, WrongSetting(format!("the variable {name} is not UTF-8"))));
            }
        }
        let look_up = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::resolve(flags, &look_up).map_err(|error| Failure::new(Exit::WrongConfig, WrongSetting(error)))
    }

    fn resolve(flags: &Connection, look_up: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let named = flags.config_file.clone().or_else(|| look_up(variable::CONFIG).map(PathBuf::from));
        let (path, file) = File::read(named.as_deref(), file::usual_path(look_up))?;
        let profile_named = first(flags.profile.clone(), "profile", look_up, variable::PROFILE);
        let found = file.profile(profile_named.as_ref().map(|named| named.value.as_str())).map_err(|error| {
            let place = path.as_ref().map_or("no configuration file".to_owned(), |path| path.display().to_string());
            format!("{place}: {error}")
        })?;
        let (name, profile) = found.map_or((None, Profile::default()), |(name, profile)| (Some(name), profile));
        let of_profile = Origin::Profile(name.clone().unwrap_or_default());
        let sources = Sources { look_up, of_profile: of_profile.clone() };

        let mut secret_files = Vec::new();
        let credentials = credentials(flags, &profile, &sources, &mut secret_files)?;
        if profile.auth.iter().any(|auth| auth.secret.is_some()) {
            secret_files.extend(path.clone());
        }
        let encryption = Encryption::read(flags, &profile.tls, &sources)?;
        secret_files.extend(encryption.key.as_ref().map(|key| key.value.clone()));
        Ok(Self {
            profile: name.map(|name| profile_named.unwrap_or(Sourced::new(name, Origin::Default))),
            servers: sources.text(
                flags.servers.clone(),
                "servers",
                variable::SERVERS,
                profile.servers.as_ref().map(file::Servers::joined),
            ),
            chroot: sources.text(flags.chroot.clone(), "chroot", variable::CHROOT, profile.chroot.clone()),
            session_timeout: sources.duration(
                flags.session_timeout,
                "session-timeout",
                variable::SESSION_TIMEOUT,
                profile.session_timeout.as_ref(),
                SESSION_TIMEOUT,
            )?,
            connect_timeout: sources.duration(
                flags.connect_timeout,
                "connect-timeout",
                variable::CONNECT_TIMEOUT,
                profile.connect_timeout.as_ref(),
                CONNECT_TIMEOUT,
            )?,
            identity: sources.text(flags.identity.clone(), "identity", variable::IDENTITY, profile.identity.clone()),
            access: sources
                .text(flags.access.clone(), "access", variable::ACCESS, profile.access.clone())
                .map_or(Ok(Sourced::new(Access::Everyone, Origin::Default)), access)?,
            credentials,
            encryption,
            secret_files,
            file: path,
        })
    }

    /// The connect string: the servers and the root.
    pub(crate) fn connect_string(&self) -> Result<String, Failure> {
        let wrong = |reason: &str| {
            Failure::new(blame([origin(&self.servers), origin(&self.chroot)]), WrongSetting(reason.to_owned()))
        };
        let Some(servers) = &self.servers else {
            return Err(wrong(
                "which servers? Give --servers HOST:PORT, set FAIRLOCK_SERVERS, or write a profile (fairlock config --help)",
            ));
        };
        match &self.chroot {
            None => Ok(servers.value.clone()),
            Some(_) if servers.value.split(',').any(|server| address(server).contains('/')) => {
                Err(wrong("the root is given twice: in the servers' list and by itself; leave one of them out"))
            }
            Some(chroot) if !chroot.value.starts_with('/') => Err(wrong("the root does not start with /")),
            Some(chroot) => Ok(format!("{}{}", servers.value, chroot.value.trim_end_matches('/'))),
        }
    }

    /// A builder with everything but the servers. Unless it is set, the owner is called as said here.
    pub(crate) fn builder(&self, owner: &str) -> Result<Builder, Failure> {
        let owner = self.identity.as_ref().map_or(owner, |identity| &identity.value);
        let identity = Identity::new(owner).map_err(|error| Failure::new(blame([origin(&self.identity)]), error))?;
        let mut builder = Fairlock::builder()
            .session_timeout(self.session_timeout.value)
            .connect_timeout(self.connect_timeout.value)
            .access(self.access.value)
            .identity(identity);
        for credential in &self.credentials {
            builder = builder.credentials(&credential.value.scheme, credential.value.secret());
        }
        self.encryption.of_builder(builder)
    }

    /// The servers as a store, which has the credentials.
    pub(crate) fn store(&self) -> Result<ZooKeeper, Failure> {
        let credentials = self.credentials.iter().map(|credential| &credential.value);
        let credentials = credentials.map(|each| (each.scheme.clone(), each.secret().to_vec())).collect();
        self.encryption.of_store(ZooKeeper::new(self.connect_string()?, credentials, self.access.value)?)
    }

    /// Connects.
    pub(crate) async fn open(&self, owner: &str) -> Result<Fairlock, Failure> {
        let connect_string = self.connect_string()?;
        self.builder(owner)?.connect(&connect_string).await.map_err(|error| match error {
            fairlock::Error::InvalidConfig { .. } => {
                let of_others = [&self.session_timeout.origin, &self.connect_timeout.origin, &self.access.origin];
                let origins = [origin(&self.servers), origin(&self.chroot)].into_iter().chain(of_others.map(Some));
                Failure::new(blame(origins), error)
            }
            error => error.into(),
        })
    }
}

/// How to exit when something is wrong with these: the arguments are, if any of them is an argument, or nothing was said.
fn blame<'a>(origins: impl IntoIterator<Item = Option<&'a Origin>>) -> Exit {
    let mut said = origins.into_iter().flatten().filter(|origin| **origin != Origin::Default).peekable();
    let is_argument = |origin: &Origin| matches!(origin, Origin::Flag(_));
    if said.peek().is_none() || said.any(is_argument) { Exit::Usage } else { Exit::WrongConfig }
}

fn origin(setting: &Option<Sourced<String>>) -> Option<&Origin> {
    setting.as_ref().map(|setting| &setting.origin)
}

/// A server without what may stand in front of it.
fn address(server: &str) -> &str {
    server.split_once("://").map_or(server, |(_, address)| address)
}

/// Ends the session; whether that was certain in time. If no server can be told, it expires.
pub(crate) async fn close(locks: &Fairlock) -> bool {
    tokio::time::timeout(CLOSE_PATIENCE, locks.close()).await.is_ok()
}

/// Where values are looked for behind the flags.
struct Sources<'a> {
    look_up: &'a dyn Fn(&str) -> Option<String>,
    of_profile: Origin,
}

impl Sources<'_> {
    fn text(
        &self,
        flag: Option<String>,
        flag_name: &'static str,
        variable: &'static str,
        profile: Option<String>,
    ) -> Option<Sourced<String>> {
        first(flag, flag_name, self.look_up, variable)
            .or_else(|| profile.map(|value| Sourced::new(value, self.of_profile.clone())))
    }

    fn duration(
        &self,
        flag: Option<Duration>,
        flag_name: &'static str,
        variable: &'static str,
        profile: Option<&file::Seconds>,
        default: Duration,
    ) -> Result<Sourced<Duration>, String> {
        if let Some(value) = flag {
            return Ok(Sourced::new(value, Origin::Flag(flag_name)));
        }
        match self.text(None, flag_name, variable, profile.map(file::Seconds::text)) {
            None => Ok(Sourced::new(default, Origin::Default)),
            Some(Sourced { value, origin }) => match values::duration(&value) {
                Ok(duration) => Ok(Sourced::new(duration, origin)),
                Err(error) => Err(format!("{flag_name} from {origin} is {value:?}: {error}")),
            },
        }
    }
}

/// What the flag says, or else the environment.
fn first(
    flag: Option<String>,
    flag_name: &'static str,
    look_up: &dyn Fn(&str) -> Option<String>,
    variable: &'static str,
) -> Option<Sourced<String>> {
    let flag = flag.map(|value| Sourced::new(value, Origin::Flag(flag_name)));
    flag.or_else(|| look_up(variable).map(|value| Sourced::new(value, Origin::Environment(variable))))
}

/// Flags, environment and profile do not add up: the strongest that says something wins.
fn credentials(
    flags: &Connection,
    profile: &Profile,
    sources: &Sources<'_>,
    secret_files: &mut Vec<PathBuf>,
) -> Result<Vec<Sourced<Credential>>, String> {
    let mut read = |path: &Path, origin: Origin| -> Result<Vec<Sourced<Credential>>, String> {
        secret_files.push(path.to_owned());
        let all = Credential::read_all(path).map_err(|error| format!("{origin}: {error}"))?;
        Ok(all.into_iter().map(|credential| Sourced::new(credential, origin.clone())).collect())
    };
    if let Some(path) = &flags.auth_file {
        return read(path, Origin::Flag("auth-file"));
    }
    if let Some(text) = (sources.look_up)(variable::AUTH) {
        let origin = Origin::Environment(variable::AUTH);
        let credential = Credential::parse(&text).map_err(|error| format!("{origin}: {error}"))?;
        return Ok(vec![Sourced::new(credential, origin)]);
    }
    if let Some(path) = (sources.look_up)(variable::AUTH_FILE) {
        return read(Path::new(&path), Origin::Environment(variable::AUTH_FILE));
    }
    let mut found = Vec::new();
    for auth in &profile.auth {
        let origin = sources.of_profile.clone();
        match (&auth.scheme, &auth.secret, &auth.secret_env, &auth.file) {
            (None, None, None, Some(path)) => found.extend(read(path, origin)?),
            (Some(scheme), Some(secret), None, None) => {
                found.push(Sourced::new(Credential::new(scheme, secret), origin));
            }
            (Some(scheme), None, Some(name), None) => match (sources.look_up)(name) {
                Some(secret) => found.push(Sourced::new(Credential::new(scheme, secret), origin)),
                None => return Err(format!("{origin}: the variable {name}, which should have the secret, is not set")),
            },
            _ => {
                return Err(format!(
                    "{origin}: each of auth has either a file, or a scheme with one of secret and secret-env"
                ));
            }
        }
    }
    Ok(found)
}

fn access(text: Sourced<String>) -> Result<Sourced<Access>, String> {
    let access = match text.value.as_str() {
        "everyone" => Access::Everyone,
        "creator-only" => Access::CreatorOnly,
        "creator-else-read" => Access::CreatorElseRead,
        other => {
            let origin = &text.origin;
            return Err(format!("access from {origin} is {other:?}: give everyone, creator-only or creator-else-read"));
        }
    };
    Ok(text.map(|_| access))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: Connection, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let look_up =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Settings::resolve(&flags, &look_up)
    }

    fn file(text: &str) -> (std::path::PathBuf, impl Drop) {
        struct Remove(PathBuf);
        impl Drop for Remove {
            fn drop(&mut self) {
                let _ = std::fs::remove_file(&self.0);
            }
        }
        let path = std::env::temp_dir().join(format!("fairlock-{}-{}.toml", std::process::id(), fastrand::u64(..)));
        std::fs::write(&path, text).expect("a writable folder");
        (path.clone(), Remove(path))
    }

    const FILE: &str = "default-profile = 'a'\n[profiles.a]\nservers = 'a:1'\nsession-timeout = 20\nchroot = '/a'\n\
                        auth = [{ scheme = 'digest', secret-env = 'PW' }]\n[profiles.b]\nservers = 'b:1'\n";

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_profile() {
        let (path, _remove) = file(FILE);
        let flags = Connection { config_file: Some(path), ..Connection::default() };
        let settings = resolve(flags.clone(), &[("PW", "u:p")]).expect("good settings");
        assert_eq!(settings.servers, Some(Sourced::new("a:1".into(), Origin::Profile("a".into()))));
        assert_eq!(settings.session_timeout, Sourced::new(Duration::from_secs(20), Origin::Profile("a".into())));
        assert_eq!(settings.connect_timeout.origin, Origin::Default);
        assert_eq!(settings.connect_string().ok().as_deref(), Some("a:1/a"));
        assert_eq!(settings.credentials.len(), 1);

        let both = [("FAIRLOCK_SERVERS", "e:1"), ("FAIRLOCK_PROFILE", "b"), ("FAIRLOCK_SESSION_TIMEOUT", "3")];
        let settings = resolve(flags.clone(), &both).expect("good settings");
        assert_eq!(settings.servers, Some(Sourced::new("e:1".into(), Origin::Environment("FAIRLOCK_SERVERS"))));
        assert_eq!(settings.session_timeout.value, Duration::from_secs(3));
        assert!(settings.credentials.is_empty() && settings.chroot.is_none(), "of the other profile");

        let flags = Connection { servers: Some("f:1".into()), session_timeout: Some(Duration::from_secs(4)), ..flags };
        let settings = resolve(flags, &both).expect("good settings");
        assert_eq!(settings.servers, Some(Sourced::new("f:1".into(), Origin::Flag("servers"))));
        assert_eq!(settings.session_timeout.origin, Origin::Flag("session-timeout"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let (path, _remove) = file(FILE);
        let flags = Connection { config_file: Some(path), ..Connection::default() };
        for (variables, told) in [
            (&[][..], "the variable PW, which should have the secret, is not set"),
            (&[("PW", "u:p"), ("FAIRLOCK_SESSION_TIMEOUT", "soon")], "FAIRLOCK_SESSION_TIMEOUT is \"soon\""),
            (&[("PW", "u:p"), ("FAIRLOCK_ACCESS", "all")], "FAIRLOCK_ACCESS is \"all\""),
            (&[("FAIRLOCK_PROFILE", "c")], "no profile \"c\", but a, b"),
            (&[("FAIRLOCK_AUTH", "s3cret")], "FAIRLOCK_AUTH: credentials are"),
            (&[("FAIRLOCK_AUTH_FILE", "/not/there")], "cannot read /not/there"),
        ] {
            let error = resolve(flags.clone(), variables).map(|_| ()).expect_err(told);
            assert!(error.contains(told) && !error.contains("s3cret"), "{error}");
        }
        let missing = Connection { config_file: Some("/not/there".into()), ..Connection::default() };
        assert!(resolve(missing, &[]).is_err(), "a file that was named must be there");
        let usual = resolve(Connection::default(), &[("HOME", "/not/there")]).expect("the usual one need not");
        assert!(usual.file.is_none() && usual.connect_string().is_err());
    }

    #[test]
    fn a_root_is_given_once() {
        let flags = |servers: &str, chroot: &str| Connection {
            servers: Some(servers.into()),
            chroot: Some(chroot.into()),
            ..Connection::default()
        };
        let of = |flags| resolve(flags, &[]).expect("good settings").connect_string();
        assert_eq!(of(flags("a:1,b:2", "/x/")).ok().as_deref(), Some("a:1,b:2/x"));
        assert_eq!(of(flags("tcp://a:1", "/x")).ok().as_deref(), Some("tcp://a:1/x"));
        assert!(of(flags("a:1/x", "/x")).is_err() && of(flags("a:1", "x")).is_err());
    }
}
