//! `utsushi serve`: the daemon itself, in the foreground.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use utsushi_engine::{Device, DeviceChoice};
use utsushi_ipc::endpoint::Listener;
use utsushi_ipc::paths;
use utsushi_ipc::protocol::RecipeChoice;

use super::train::read_recipe;
use super::values::{self, Limit};
use super::{Address, Ending};
use crate::desktop::Desktop;
use crate::jobs::{self, Jobs};
use crate::library::Library;
use crate::log;
use crate::memory::{self, Budget};
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
    /// Draw on this: auto, the first GPU that can be used or else the processor; cpu; cuda or cuda:N, NVIDIA's GPU of
    /// that number
    #[arg(
        long,
        value_name = "DEVICE",
        env = "UTSUSHI_DEVICE",
        default_value = "auto",
        hide_env_values = true
    )]
    device: DeviceChoice,
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
    /// Serve only the process that starts it, which this is: end with it, and train nobody's styles
    #[arg(long, value_name = "PID", hide = true)]
    parent: Option<u32>,
}

impl Serve {
    pub(super) fn execute(self, address: Address) -> anyhow::Result<Ending> {
        // First of all, since both change the environment, which other threads might be reading.
        let inherited = Listener::from_environment();
        utsushi_engine::prepare_process();
        log::start()?;
        if let Some(parent) = self.parent {
            end_with(parent)?;
        }
        utsushi_engine::start_threads(self.threads).context("can't start the threads that draw")?;
        memory::check_limits()?;
        let recipe = match &self.tray_recipe {
            Some(file) => RecipeChoice::Own(read_recipe(file)?),
            None => RecipeChoice::Fast,
        };
        let stop = Stop::default();
        stop_on_signals(stop.clone(), self.parent)?;
        let idle_unload = match self.idle_unload {
            Limit::After(time) => Some(time),
            Limit::Never => None,
        };
        // The user's trainings are for the user's daemon, on whatever machine that is.
        let jobs_folder = match self.parent {
            Some(_) => address.socket.with_file_name("jobs"),
            None => paths::jobs(),
        };
        let device = Device::choose(self.device)?;
        let listener = inherited.unwrap_or_else(|| Listener::bind(&address.socket))?;
        let side_door = paths::flatpak_socket(listener.path()).map(SideDoor::new);
        let budget = Budget::of_the_system();
        let config =
            Config { idle_unload, stall_timeout: self.stall_timeout, budget: budget.clone(), side_door };
        let library = || Library::open(paths::styles());
        library().clear_up();
        let styles = move || library().list().into_iter().map(|entry| entry.info).collect();
        let jobs = jobs::Config {
            checkpoint_interval: self.checkpoint_interval,
            ..jobs::Config::new(jobs_folder, library())
        };
        let jobs = Jobs::new(jobs, Workshop::new(library(), paths::photo_cache(), device.clone()));
        let is_hidden = self.no_tray || self.parent.is_some();
        let desktop = |controls| if is_hidden { None } else { Desktop::start(controls, library(), recipe) };
        server::run_beside(
            listener,
            config,
            Studio::new(library(), device, budget),
            jobs,
            styles,
            stop,
            desktop,
        )?;
        if self.parent.is_some() {
            remove_folder(&address.socket);
        }
        Ok(Ending::Done)
    }
}

/// Has the system send SIGTERM when the parent is gone. Nothing is drawn for nobody, even if the parent was killed.
#[cfg(target_os = "linux")]
fn end_with(parent: u32) -> anyhow::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::TERM)).context("can't end with the parent")?;
    let now = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    // It may have been gone already.
    anyhow::ensure!(u32::try_from(now).is_ok_and(|now| now == parent), "process {parent} is gone");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn end_with(_: u32) -> anyhow::Result<()> {
    Ok(())
}

/// Removes what the parent would have removed, had it not been killed: the files that are known, and the folder if
/// nothing else is in it.
fn remove_folder(socket: &Path) {
    for file in ["daemon.sock.lock", "daemon.log", "daemon.log.old"] {
        let _ = fs::remove_file(socket.with_file_name(file));
    }
    let _ = socket.parent().map(fs::remove_dir);
}

/// Ctrl-C and SIGTERM stop the daemon; a second one doesn't wait for what it is drawing. But of the end of a parent, the
/// system tells once for each thread that this had.
fn stop_on_signals(stop: Stop, parent: Option<u32>) -> anyhow::Result<()> {
    let mut is_stopping = false;
    let handler = move || {
        if std::mem::replace(&mut is_stopping, true) && parent.is_none() {
            std::process::exit(Ending::Interrupted as i32);
        }
        stop.request();
    };
    ctrlc::set_handler(handler).context("can't listen for signals")
}
