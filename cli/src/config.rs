//! `fairlock config`: what holds, and where it came from.

use std::io::{self, Write as _};
use std::path::Path;

use fairlock::store::zookeeper::Access;
use serde_json::{Value, json};

use crate::args::ConfigArgs;
use crate::exit::{Exit, Failure};
use crate::settings::{self, Settings, Sourced};

/// A row: the setting, its value, and where it came from.
type Row = (&'static str, String, String);

/// Runs the command.
pub(crate) fn run(args: &ConfigArgs, settings: &Settings) -> Result<Exit, Failure> {
    let exposed: Vec<_> = settings.secret_files.iter().filter_map(|path| settings::exposure(path)).collect();
    let rows = rows(settings);
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", document(settings.file.as_deref(), &rows, &exposed))?;
        return Ok(Exit::Ok);
    }
    let width = |column: fn(&Row) -> usize| rows.iter().map(column).max().unwrap_or(0);
    let (names, values) = (width(|row| row.0.len()), width(|row| row.1.chars().count()));
    for (name, value, origin) in &rows {
        writeln!(out, "{name:names$}  {value:values$}  {origin}")?;
    }
    let file = settings.file.as_ref().map_or("none was found".to_owned(), |file| file.display().to_string());
    writeln!(out, "\nconfiguration file: {file}")?;
    for warning in exposed {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(Exit::Ok)
}

fn rows(settings: &Settings) -> Vec<Row> {
    let text = |name, setting: &Option<Sourced<String>>| match setting {
        Some(setting) => (name, setting.value.clone(), setting.origin.to_string()),
        None => (name, "-".to_owned(), "not set".to_owned()),
    };
    let seconds = |name, setting: &Sourced<std::time::Duration>| {
        (name, humantime::format_duration(setting.value).to_string(), setting.origin.to_string())
    };
    let access = match settings.access.value {
        Access::CreatorOnly => "creator-only",
        Access::CreatorElseRead => "creator-else-read",
        _ => "everyone",
    };
    let mut rows = vec![
        text("profile", &settings.profile),
        text("servers", &settings.servers),
        text("chroot", &settings.chroot),
        seconds("session-timeout", &settings.session_timeout),
        seconds("connect-timeout", &settings.connect_timeout),
        text("identity", &settings.identity),
        ("access", access.to_owned(), settings.access.origin.to_string()),
    ];
    let path = |name, setting: &Option<Sourced<std::path::PathBuf>>| {
        text(name, &setting.clone().map(|setting| setting.map(|path| path.display().to_string())))
    };
    let encryption = &settings.encryption;
    rows.extend([
        path("tls-ca", &encryption.ca),
        path("tls-certificate", &encryption.certificate),
        path("tls-key", &encryption.key),
    ]);
    if settings.credentials.is_empty() {
        rows.push(("auth", "-".to_owned(), "not set".to_owned()));
    }
    for credential in &settings.credentials {
        rows.push(("auth", format!("{} (secret not shown)", credential.value.scheme), credential.origin.to_string()));
    }
    rows
}

fn document(file: Option<&Path>, rows: &[Row], warnings: &[String]) -> Value {
    let settings = rows.iter().map(|(name, value, origin)| json!({ "name": name, "value": value, "origin": origin }));
    json!({
        "file": file.map(|file| file.display().to_string()),
        "settings": settings.collect::<Vec<_>>(),
        "warnings": warnings,
    })
}
