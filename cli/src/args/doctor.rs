//! `fairlock doctor`: where locks are to be.

use super::Connection;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Where locks are to be; what they need is tried there
    ///
    /// In a directory of its own, which is removed again. If the path does not exist, the innermost of its parents that does is
    /// taken, since that is where it would be made.
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub(crate) root: String,

    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
