//! `utsushi install` and `utsushi uninstall`: what GIMP, the desktop and systemd want to have, there and gone again.
//!
//! [`places`] finds the folders from which GIMP takes plug-ins, [`folder`] says step by step what has to be done to
//! ours in each of them, [`desktop`] to what a desktop and systemd read. Here the steps are told, and taken unless it is
//! a dry run.
//!
//! systemd isn't told to start the daemon, which starts by itself when it is needed: what a session starts is the
//! user's to say, and the command for it is shown. It is told when what it was to start is taken away.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use utsushi_ipc::client::{Client, ClientError};

use self::desktop::{Folders, SOCKET_UNIT};
use self::folder::{DAEMON, OPERATION, OPERATION_FOLDER, PLUG_IN, Step};
use self::places::Homes;
use super::{Address, Ending, Usage, complain};

pub(super) mod catalogues;
mod desktop;
mod folder;
mod manager;
mod places;
mod seal;

/// What has failed, if it is about none of its files.
const DESKTOP: &str = "the desktop's files";

/// Put the filter into GIMP's menu, and an entry into the desktop's
///
/// Copies the plug-in into every profile of GIMP 2.10 and 3 that is there, Flatpak's too, as
/// plug-ins/utsushi-gimp/utsushi-gimp, and this program beside it as its daemon. The program is not copied if it is
/// installed in /usr/local/bin or /usr/bin, where GIMP finds it however it was started, unless there is Flatpak's GIMP,
/// which doesn't.
///
/// The filter that stays on a layer is an operation for GEGL, a library that lies beside the plug-in. It goes where every
/// GIMP of the user's looks, $XDG_DATA_HOME/gegl-0.4/plug-ins/utsushi, and for Flatpak's into the same folder below
/// ~/.var/app/org.gimp.GIMP/data, with the daemon beside it where the plug-in has one.
///
/// The desktop gets an entry with an icon, and systemd units by which it can start the daemon, confined, for whoever
/// connects: in $XDG_DATA_HOME, or below /usr/local for all users. They name this program where it is if its folder is
/// called bin; any other, such as cargo's target/release, is copied to ~/.local/lib/utsushi or /usr/local/lib/utsushi.
/// All this is left out with --profile, as is the operation, and where the package that the program came in has brought it.
/// A file that was changed stays as it is.
///
/// To update, install again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi install
  utsushi install --dry-run
  utsushi install --profile ~/.config/GIMP/3.0
  sudo target/release/utsushi install --system")]
pub(super) struct Install {
    #[command(flatten)]
    target: Target,
    /// The plug-in [default: `utsushi-gimp` beside this program]
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
}

/// Remove what `utsushi install` put into GIMP and the desktop
///
/// Other files in the same folders stay, and so do files that were changed, styles and settings. systemd is told to
/// listen no longer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi uninstall
  utsushi uninstall --dry-run
  sudo utsushi uninstall --system")]
pub(super) struct Uninstall {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
struct Target {
    /// Only this profile, a folder such as ~/.config/GIMP/3.0; may be repeated
    #[arg(long = "profile", value_name = "DIR")]
    profiles: Vec<PathBuf>,
    /// For all users, in GIMP's own folder below /usr/lib, and /usr/local, instead of in profiles and the home
    #[arg(long, conflicts_with = "profiles")]
    system: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Take this folder for the system's root
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

impl Install {
    pub(super) fn execute(self, address: &Address) -> anyhow::Result<Ending> {
        let daemon = env::current_exe().context("can't tell where this program is")?;
        let plug_in = match self.plugin {
            Some(file) if file.is_file() => file,
            Some(file) => return Err(Usage::new(format!("{}: there is no such file", file.display())).into()),
            None => daemon.with_file_name(PLUG_IN),
        };
        let places = self.target.places()?;
        let package = desktop::package(&daemon);
        let folders = self.target.folders().filter(|_| package.is_none());
        if places.is_empty() && folders.is_none() {
            bail!(self.target.where_it_looked());
        }
        if !places.is_empty() && !plug_in.is_file() {
            bail!(
                "{}: the plug-in is not there; build it with `cargo build --release --package utsushi-gimp`, or say \
                 where it is with --plugin FILE",
                plug_in.display()
            );
        }

        let shared = self.target.shared_daemon(&daemon);
        let mut work = Work::new(&self.target);
        for place in &places {
            let copied = shared.is_none().then_some(daemon.as_path());
            let folder = place.join(PLUG_IN);
            let steps = catalogues::installation(&folder)
                .and_then(|words| folder::installation(&folder, (PLUG_IN, &plug_in), copied, words));
            work.carry_out(&folder, steps)?;
        }
        let operation = plug_in.with_file_name(OPERATION);
        // Without a GIMP nobody would look there.
        let of_gegl = if places.is_empty() { Vec::new() } else { self.target.places_of_gegl() };
        for place in of_gegl {
            if !operation.is_file() {
                writeln!(
                    io::stdout(),
                    "{}: it is not there, and GIMP gets no live filter",
                    operation.display()
                )?;
                break;
            }
            let copied = shared.is_none().then_some(daemon.as_path());
            let folder = place.join(OPERATION_FOLDER);
            let steps = folder::installation(&folder, (OPERATION, &operation), copied, Vec::new());
            work.carry_out(&folder, steps)?;
        }
        match shared {
            Some(program) if !places.is_empty() => {
                writeln!(io::stdout(), "the daemon is {}", program.display())?;
            }
            _ => {}
        }
        let has_filter = work.has_changed;
        if let Some(folders) = &folders {
            work.carry_out(Path::new(DESKTOP), folders.installation(&daemon))?;
        } else if let Some(prefix) = package.filter(|_| self.target.profiles.is_empty()) {
            writeln!(io::stdout(), "the desktop's entry and systemd's units came with {}", prefix.display())?;
        }
        if places.is_empty() {
            writeln!(io::stdout(), "GIMP has no filter yet: {}", self.target.where_it_looked())?;
        }
        if has_filter {
            writeln!(io::stdout(), "restart GIMP; then it is Filters > Utsushi")?;
        }
        if work.has_changed {
            if let Some(folders) = &folders {
                folders.freshen();
                self.target.tell_of_the_socket(folders)?;
            }
            if matches!(Client::connect(&address.socket), Ok(_) | Err(ClientError::Version { .. })) {
                writeln!(io::stdout(), "a daemon runs already: `utsushi stop` makes way for this one")?;
            }
        }
        Ok(work.ending)
    }
}

impl Uninstall {
    pub(super) fn execute(self) -> anyhow::Result<Ending> {
        let mut work = Work::new(&self.target);
        let mut found = false;
        for place in self.target.places()? {
            let folder = place.join(PLUG_IN);
            let steps = catalogues::removal(&folder)
                .and_then(|words| folder::removal(&folder, &[PLUG_IN, DAEMON], words));
            found |= !matches!(&steps, Ok(steps) if steps.is_empty());
            work.carry_out(&folder, steps)?;
        }
        for place in self.target.places_of_gegl() {
            let folder = place.join(OPERATION_FOLDER);
            let steps = folder::removal(&folder, &[OPERATION, DAEMON], Vec::new());
            found |= !matches!(&steps, Ok(steps) if steps.is_empty());
            work.carry_out(&folder, steps)?;
        }
        let had_filter = work.has_changed;
        if let Some(folders) = self.target.folders() {
            let is_managed = !self.target.system && manager::is_there() && folders.has_socket();
            if is_managed {
                work.manage(&["disable", "--now", SOCKET_UNIT])?;
            }
            // What a package has brought isn't ours, nor was it changed.
            let has_package = env::current_exe().is_ok_and(|own| desktop::package(&own).is_some());
            let is_meant = |step: &Step| !(has_package && matches!(step, Step::Keep(_)));
            let steps = folders.removal().map(|steps| steps.into_iter().filter(is_meant).collect::<Vec<_>>());
            found |= !matches!(&steps, Ok(steps) if steps.is_empty());
            work.carry_out(Path::new(DESKTOP), steps)?;
            if is_managed {
                work.manage(&["daemon-reload"])?;
            }
        }
        if !found {
            writeln!(io::stdout(), "it is not installed there")?;
        }
        if had_filter {
            writeln!(io::stdout(), "restart GIMP, if it runs")?;
        }
        Ok(work.ending)
    }
}

impl Target {
    /// The folders named `plug-ins`; they need not exist, but for GIMP's own.
    fn places(&self) -> anyhow::Result<Vec<PathBuf>> {
        if let Some(missing) = self.profiles.iter().find(|profile| !profile.is_dir()) {
            return Err(Usage::new(format!("{}: there is no such folder", missing.display())).into());
        }
        Ok(if self.system {
            places::of_the_system(&self.root)
        } else if self.profiles.is_empty() {
            Homes::from_environment().places()
        } else {
            self.profiles.iter().map(|profile| profile.join("plug-ins")).collect()
        })
    }

    /// Where GEGL looks for operations; nowhere if it is about a profile of GIMP's, as they are for all.
    fn places_of_gegl(&self) -> Vec<PathBuf> {
        match self.system {
            true => places::of_the_systems_gegl(&self.root),
            false if self.profiles.is_empty() => Homes::from_environment().of_gegl(),
            false => Vec::new(),
        }
    }

    /// Where the desktop's files go; nowhere if it is about a profile of GIMP's.
    fn folders(&self) -> Option<Folders> {
        match self.system {
            true => Some(Folders::of_the_system(&self.root)),
            false if self.profiles.is_empty() => Folders::of_the_user(&Homes::from_environment()),
            false => None,
        }
    }

    /// After installing: how systemd comes to start the daemon, if it doesn't yet.
    fn tell_of_the_socket(&self, folders: &Folders) -> anyhow::Result<()> {
        let (is_there, scope) = match self.system {
            true => (self.root.join("run/systemd/system").is_dir(), "--global enable"),
            false => (manager::is_there(), "--user enable --now"),
        };
        if !is_there {
            return Ok(());
        }
        if folders.link().is_none() {
            writeln!(
                io::stdout(),
                "to have systemd start the daemon, confined, for whoever connects: systemctl {scope} {SOCKET_UNIT}"
            )?;
        }
        if !self.system
            && let Err(error) = manager::run(&["daemon-reload"])
        {
            complain(format_args!("systemctl --user daemon-reload: {error}"));
        }
        Ok(())
    }

    /// The program that every GIMP here finds by itself, if that is this very program.
    fn shared_daemon(&self, own: &Path) -> Option<PathBuf> {
        if !self.system && Homes::from_environment().have_flatpak() {
            return None;
        }
        let program = places::program_of_the_system(&self.root, "utsushi")?;
        let (real, usr) = (fs::canonicalize(&program).ok()?, fs::canonicalize(self.root.join("usr")).ok()?);
        // A link into somebody's home may be followed by nobody else.
        (real.starts_with(usr) && folder::have_same_content(&real, own).ok()?).then_some(program)
    }

    fn where_it_looked(&self) -> String {
        if self.system {
            return "there is no GIMP 2.10 or 3 below /usr/lib; install it, or leave out --system".into();
        }
        let folders = Homes::from_environment().folders();
        let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        format!(
            "there is no profile of GIMP 2.10 or 3 in {}; start GIMP once, which makes one, or say where it is with \
             --profile DIR",
            folders.join(" or ")
        )
    }
}

/// What has been done so far.
struct Work {
    is_dry: bool,
    is_for_all: bool,
    has_changed: bool,
    ending: Ending,
}

impl Work {
    fn new(target: &Target) -> Self {
        Self { is_dry: target.dry_run, is_for_all: target.system, has_changed: false, ending: Ending::Done }
    }

    /// Takes the steps and tells of each. A folder in which one fails is left at that; the others get their turn.
    fn carry_out(&mut self, folder: &Path, steps: io::Result<Vec<Step>>) -> io::Result<()> {
        let steps = match steps {
            Ok(steps) => steps,
            Err(error) => {
                self.fail(folder, &error);
                return Ok(());
            }
        };
        for step in steps {
            if self.is_dry {
                writeln!(io::stdout(), "{}", step.plan())?;
                continue;
            }
            if let Err(error) = step.take() {
                self.fail(step.path(), &error);
                return Ok(());
            }
            self.has_changed |= step.changes();
            writeln!(io::stdout(), "{}", step.report())?;
        }
        Ok(())
    }

    /// Has the user's manager do something. If it can't, the files go all the same.
    fn manage(&mut self, args: &[&str]) -> io::Result<()> {
        let command = format!("systemctl --user {}", args.join(" "));
        if self.is_dry {
            return writeln!(io::stdout(), "would run {command}");
        }
        match manager::run(args) {
            Ok(()) => writeln!(io::stdout(), "ran {command}"),
            Err(error) => {
                complain(format_args!("{command}: {error}"));
                self.ending = Ending::Failed;
                Ok(())
            }
        }
    }

    fn fail(&mut self, path: &Path, error: &io::Error) {
        let needs_root = self.is_for_all && error.kind() == io::ErrorKind::PermissionDenied;
        let advice = if needs_root { "; for all users it has to be done by root, with `sudo`" } else { "" };
        complain(format_args!("{}: {error}{advice}", path.display()));
        self.ending = Ending::Failed;
    }
}
