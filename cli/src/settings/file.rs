//! The configuration file: profiles in TOML.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The file as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct File {
    /// The profile that holds if none is named.
    pub(crate) default_profile: Option<String>,
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// How to reach one ensemble.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Profile {
    pub(crate) servers: Option<Servers>,
    pub(crate) chroot: Option<String>,
    pub(crate) session_timeout: Option<Seconds>,
    pub(crate) connect_timeout: Option<Seconds>,
    pub(crate) identity: Option<String>,
    pub(crate) access: Option<String>,
    #[serde(default)]
    pub(crate) auth: Vec<Auth>,
    #[serde(default)]
    pub(crate) tls: Files,
}

/// The files for TLS.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Files {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// `"zk1:2181,zk2:2181"` or `["zk1:2181", "zk2:2181"]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Servers {
    One(String),
    Several(Vec<String>),
}

impl Servers {
    pub(crate) fn joined(&self) -> String {
        match self {
            Servers::One(text) => text.clone(),
            Servers::Several(list) => list.join(","),
        }
    }
}

/// `10`, `0.5` or `"10s"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Seconds {
    Whole(u64),
    Fraction(f64),
    Text(String),
}

impl Seconds {
    pub(crate) fn text(&self) -> String {
        match self {
            Seconds::Whole(seconds) => seconds.to_string(),
            Seconds::Fraction(seconds) => seconds.to_string(),
            Seconds::Text(text) => text.clone(),
        }
    }
}

/// Where one credential, or a file of them, is to be found.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Auth {
    pub(crate) scheme: Option<String>,
    /// In the file itself, which nobody else should be able to read then.
    pub(crate) secret: Option<String>,
    /// The variable that has it.
    pub(crate) secret_env: Option<String>,
    /// A file of credentials, as for `--auth-file`.
    pub(crate) file: Option<PathBuf>,
}

impl File {
    /// Reads the file that was named, or the usual one if there is one. The path tells which was read.
    pub(crate) fn read(named: Option<&Path>, usual: Option<PathBuf>) -> Result<(Option<PathBuf>, Self), String> {
        let Some(path) = named.map(Path::to_owned).or(usual) else { return Ok((None, Self::default())) };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let mut file = Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
                file.beside(&path);
                Ok((Some(path), file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok((None, Self::default())),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The error's long form repeats the line, and the short one a value of the wrong type: either may be a secret.
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let message = error.message();
            let is_about_value = message.starts_with("invalid type") || message.starts_with("invalid value");
            let told = message.find("expected ").filter(|_| is_about_value).map_or(message, |at| &message[at..]);
            format!("{place}{told}")
        })
    }

    /// Where a path of the file is: beside the file, unless it is absolute.
    fn beside(&mut self, file: &Path) {
        let Some(folder) = file.parent() else { return };
        for profile in self.profiles.values_mut() {
            let of_auth = profile.auth.iter_mut().map(|auth| &mut auth.file);
            let of_tls = [&mut profile.tls.ca, &mut profile.tls.certificate, &mut profile.tls.key];
            for path in of_auth.chain(of_tls).filter_map(Option::as_mut) {
                *path = folder.join(&path);
            }
        }
    }

    /// The profile that was named, or the default one; its name and its content.
    pub(crate) fn profile(&self, named: Option<&str>) -> Result<Option<(String, Profile)>, String> {
        let Some(name) = named.or(self.default_profile.as_deref()) else { return Ok(None) };
        match self.profiles.get(name) {
            Some(profile) => Ok(Some((name.to_owned(), profile.clone()))),
            None if self.profiles.is_empty() => Err(format!("there is no profile {name:?}, and no other either")),
            None => {
                let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
                Err(format!("there is no profile {name:?}, but {}", names.join(", ")))
            }
        }
    }
}

/// Where the file is usually: `$XDG_CONFIG_HOME/fairlock/config.toml`, else below `~/.config`.
pub(crate) fn usual_path(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = variable("XDG_CONFIG_HOME")
        .filter(|folder| folder.starts_with('/'))
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(folder.join("fairlock").join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_profiles() {
        let file = File::parse(
            "default-profile = 'a'\n[profiles.a]\nservers = ['x:1', 'y:2']\nsession-timeout = 20\n\
             [profiles.b]\nservers = 'z:3'\nconnect-timeout = 0.5\nauth = [{ file = '/s' }]\n",
        )
        .expect("a good file");
        let (name, a) = file.profile(None).expect("no error").expect("the default");
        assert_eq!((name.as_str(), a.servers.expect("given").joined().as_str()), ("a", "x:1,y:2"));
        assert_eq!(a.session_timeout.expect("given").text(), "20");
        let (_, b) = file.profile(Some("b")).expect("no error").expect("named");
        assert_eq!(b.connect_timeout.expect("given").text(), "0.5");
        let error = file.profile(Some("c")).map(|_| ()).expect_err("not there");
        assert_eq!(error, "there is no profile \"c\", but a, b");
    }

    #[test]
    fn mistakes_are_placed_and_secrets_not_repeated() {
        for (text, told) in [
            ("[profiles.a]\nserver = 'x'", "line 2: unknown field `server`"),
            ("[profiles.a]\nauth = [{ scheme = 's', secret = 's3cret', x = 1 }]", "line 2"),
            ("[profiles.a]\nauth = [{ secret = 's3cret }]", "line 2"),
            ("[profiles.a]\nauth = ['digest user:s3cret']", "line 2: expected "),
            ("[profiles.a]\nauth = [{ scheme = 's', secret = 53 }]", "line 2: expected a string"),
            ("x = [", "line 1"),
        ] {
            let error = File::parse(text).map(|_| ()).expect_err(text);
            assert!(error.contains(told) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_usual_place_follows_the_convention() {
        let of = |pairs: &[(&str, &str)]| {
            usual_path(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[("HOME", "/h")]), Some("/h/.config/fairlock/config.toml".into()));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), Some("/x/fairlock/config.toml".into()));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")]), Some("/h/.config/fairlock/config.toml".into()));
        assert_eq!(of(&[]), None);
    }
}
