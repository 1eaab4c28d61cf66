//! Credentials: read from files and variables, never from the command line, and never shown.

use std::fmt;
use std::fs;
use std::path::Path;

/// What a session authenticates with. Neither its `Debug` form nor anything else of it shows the secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) scheme: String,
    secret: String,
}

impl Credential {
    pub(crate) fn new(scheme: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { scheme: scheme.into(), secret: secret.into() }
    }

    /// Reads `SCHEME SECRET`, such as `digest user:password`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.split_once(char::is_whitespace).map(|(scheme, secret)| (scheme, secret.trim())) {
            Some((scheme, secret)) if !secret.is_empty() => Ok(Self::new(scheme, secret)),
            // The text itself may be the secret, so it is not repeated.
            _ => Err("credentials are a scheme and a secret, as in: digest user:password".to_owned()),
        }
    }

    /// Reads a file of credentials: one a line; empty lines and those that begin with # are skipped.
    pub(crate) fn read_all(path: &Path) -> Result<Vec<Self>, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let credentials: Result<Vec<_>, _> = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| {
                Self::parse(line).map_err(|error| format!("{}, line {number}: {error}", path.display()))
            })
            .collect();
        match credentials {
            Ok(credentials) if credentials.is_empty() => Err(format!("{} has no credentials", path.display())),
            other => other,
        }
    }

    /// For the library, which does not show it either.
    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// What is wrong with who may read a file with secrets, if anything is.
pub(crate) fn exposure(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| format!("others can read {}; run: chmod 600 {}", path.display(), path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_scheme_and_a_secret() {
        assert_eq!(Credential::parse(" digest  user:pass word\n"), Ok(Credential::new("digest", "user:pass word")));
        for text in ["", "digest", "digest  ", "s3cret"] {
            let error = Credential::parse(text).expect_err("not a credential");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let shown = format!("{:?}", Credential::new("digest", "user:s3cret"));
        assert!(shown.contains("digest") && !shown.contains("s3cret"), "{shown}");
    }
}
