//! `utsushi serve`: the daemon itself, in the foreground.

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tracing_subscriber::EnvFilter;
use utsushi_ipc::endpoint::Listener;
use utsushi_ipc::paths;
use utsushi_ipc::protocol::RecipeChoice;

use super::train::read_recipe;
use super::values::{self, Limit};
use super::{Address, Ending};
use crate::desktop::Desktop;
use crate::jobs::{self, Jobs};
use crate::library::Library;
use crate::server::{self, Config, SideDoor, Stop};
use crate::studio::Studio;
use crate::workshop::Workshop;

/// Run the daemon in the foreground
///
/// Seldom needed: `stylize` and `batch` start it themselves, and a service manager can start it on the first
/// connection (LISTEN_FDS). At its usual socket it is found by GIMP from Flatpak, too. It ends after what it is drawing
/// on `utsushi stop`, Ctrl-C and SIGTERM; a second Ctrl-C or SIGTERM ends it at once.
///
/// In a desktop's session (DBUS_SESSION_BUS_ADDRESS) it has an icon in the tray, whose menu trains styles and shows how
/// that goes, and it notifies when a style is ready. What the menu does, commands do, too.
///
/// It logs to standard error. UTSUSHI_LOG, or else RUST_LOG, says how much: error, warn, info (the default), debug,
/// trace, or a filter such as utsushi=debug.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi serve
  utsushi serve --no-tray
  utsushi serve --idle-unload never --socket /run/user/1000/utsushi/other.sock
  UTSUSHI_LOG=debug utsushi serve")]
pub(super) struct Serve {
    /// Free the networks' memory after this long without a picture; the next one loads them again
    #[arg(long, value_name = "TIME|never", default_value = "5m", value_parser = values::limit)]
    idle_unload: Limit,
    /// Draw on at most this many processor cores; by default, on all
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Drop a client that neither sends nor takes what it should for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::duration)]
    stall_timeout: Duration,
    /// Lose at most this much of a training when the daemon is killed
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = values::duration)]
    checkpoint_interval: Duration,
    /// Show no icon in the desktop's tray, and no notifications
    #[arg(long)]
    no_tray: bool,
    /// Train by the numbers in this file what the tray's menu asks for
    #[arg(long, value_name = "FILE", hide = true)]
    tray_recipe: Option<PathBuf>,
}

impl Serve {
    pub(super) fn execute(self, address: Address) -> anyhow::Result<Ending> {
        // First of all, since it changes the environment, which other threads might be reading.
        let inherited = Listener::from_environment();
        log_to_stderr()?;
        utsushi_engine::start_threads(self.threads).context("can't start the threads that draw")?;
        let recipe = match &self.tray_recipe {
            Some(file) => RecipeChoice::Own(read_recipe(file)?),
            None => RecipeChoice::Fast,
        };
        let stop = Stop::default();
        stop_on_signals(stop.clone())?;
        let idle_unload = match self.idle_unload {
            Limit::After(time) => Some(time),
            Limit::Never => None,
        };
        let listener = inherited.unwrap_or_else(|| Listener::bind(&address.socket))?;
        let side_door = paths::flatpak_socket(listener.path()).map(SideDoor::new);
        let config = Config { idle_unload, stall_timeout: self.stall_timeout, side_door };
        let library = || Library::open(paths::styles());
        let styles = move || library().list().into_iter().map(|entry| entry.info).collect();
        let jobs = jobs::Config {
            checkpoint_interval: self.checkpoint_interval,
            ..jobs::Config::new(paths::jobs(), library())
        };
        let jobs = Jobs::new(jobs, Workshop::new(library(), paths::photo_cache()));
        let desktop =
            |controls| if self.no_tray { None } else { Desktop::start(controls, library(), recipe) };
        server::run_beside(listener, config, Studio::new(library()), jobs, styles, stop, desktop)?;
        Ok(Ending::Done)
    }
}

/// Ctrl-C and SIGTERM stop the daemon; a second one doesn't wait for what it is drawing.
fn stop_on_signals(stop: Stop) -> anyhow::Result<()> {
    let mut is_stopping = false;
    let handler = move || {
        if std::mem::replace(&mut is_stopping, true) {
            std::process::exit(Ending::Interrupted as i32);
        }
        stop.request();
    };
    ctrlc::set_handler(handler).context("can't listen for signals")
}

fn log_to_stderr() -> anyhow::Result<()> {
    let variable = ["UTSUSHI_LOG", "RUST_LOG"].into_iter().find(|name| std::env::var_os(name).is_some());
    let filter = match variable {
        Some(name) => EnvFilter::try_from_env(name)
            .with_context(|| format!("{name}: no such filter; try {name}=debug"))?,
        // That a desktop lacks a portal is for this program to tell, not for its library.
        None => EnvFilter::new("info,zbus=error"),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init()
        .map_err(|error| anyhow::anyhow!("can't log: {error}"))
}
