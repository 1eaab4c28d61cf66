//! `fairlock bench`: how much of what, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use clap::value_parser;

use super::{Connection, values};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// How many sessions the contenders share [default: 4, or as many as there are contenders]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=500))]
    pub(crate) clients: Option<u16>,

    /// How many contenders each lock has
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u16).range(1..=1000))]
    pub(crate) contenders: u16,

    /// How many locks there are
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u16).range(1..=1000))]
    pub(crate) locks: u16,

    /// How long to contend
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    pub(crate) duration: Duration,

    /// How long each holds the lock
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = values::duration_or_zero)]
    pub(crate) hold: Duration,

    /// Where the locks are to be, in a directory of their own
    #[arg(long, value_name = "PATH", default_value = "/fairlock-bench")]
    pub(crate) root: String,

    /// In this process, without servers
    #[arg(long, conflicts_with = "servers")]
    pub(crate) embedded: bool,

    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Draw the latencies into this file, which is a picture (.svg) or a page (.html)
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
