//! `utsushi stop`: ends the daemon.

use std::io::{self, Write};

use clap::Args;
use utsushi_ipc::client::{self, ClientError};

use super::{Address, Ending};

/// Stop the daemon, of this or another version; it finishes the pictures that it is drawing
#[derive(Debug, Args)]
#[command(
    name = "stop",
    after_help = "Example:
  utsushi stop"
)]
pub(super) struct StopCommand {}

impl StopCommand {
    pub(super) fn execute(&self, address: &Address) -> anyhow::Result<Ending> {
        let what = match client::stop(&address.socket) {
            Ok(()) => "the daemon stops",
            Err(ClientError::NotRunning { .. }) => "no daemon is running",
            Err(error) => return Err(error.into()),
        };
        writeln!(io::stdout(), "{what}")?;
        Ok(Ending::Done)
    }
}
