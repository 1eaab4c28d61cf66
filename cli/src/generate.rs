//! `fairlock completions` and `fairlock man`: made from the same table as the help.

use std::io::{self, Write as _};
use std::path::Path;

use clap::Command;

use crate::args::{Args, CompletionsArgs, ManArgs};
use crate::exit::{Exit, Failure};

/// Prints the completions for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::table(), "fairlock", &mut text);
    io::stdout().lock().write_all(&text)?;
    Ok(Exit::Ok)
}

/// Prints the main man page, or writes all of them into a folder.
pub(crate) fn man(args: &ManArgs) -> Result<Exit, Failure> {
    let mut table = Args::table();
    table.build();
    let Some(folder) = &args.folder else {
        let page = match &args.command {
            None => table,
            Some(name) => {
                let found = table.find_subcommand(name).cloned();
                found.ok_or_else(|| Failure::usage(format!("there is no command {name:?}")))?
            }
        };
        io::stdout().lock().write_all(&rendered(page)?)?;
        return Ok(Exit::Ok);
    };
    std::fs::create_dir_all(folder).map_err(|error| place(folder, error))?;
    let commands = table.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect::<Vec<_>>();
    for page in commands.into_iter().chain([table]) {
        let name = page.get_display_name().unwrap_or_else(|| page.get_name()).replace(' ', "-");
        let path = folder.join(format!("{name}.1"));
        std::fs::write(&path, rendered(page)?).map_err(|error| place(&path, error))?;
    }
    Ok(Exit::Ok)
}

fn rendered(page: Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    Ok(text)
}

fn place(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
