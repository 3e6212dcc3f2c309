//! The command line: a file a command, and this one, which says how every command ends.
//!
//! | exit code | meaning                                                                |
//! |-----------|------------------------------------------------------------------------|
//! | 0         | everything asked for was done                                          |
//! | 1         | something failed; standard error says what, and the rest of a batch is done |
//! | 2         | the request makes no sense; nothing was started                        |
//! | 130       | interrupted (Ctrl-C, or a polite kill)                                 |
//!
//! Commands that draw talk to the daemon like everybody else, and start it if it isn't there:
//!
//! ```text
//! stylize, batch, enlarge > pipeline (decode | draw | encode) > painter > utsushi_ipc::client > daemon
//!                        events > report (bar, lines, JSON)
//! ```

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use utsushi_ipc::client::Starter;
use utsushi_ipc::paths;

mod batch;
mod enlarge;
mod evaluate;
mod file_id;
mod follow;
mod gallery;
mod install;
mod jobs;
mod left_out;
mod manual;
mod order;
mod painter;
mod pipeline;
mod prune;
mod report;
mod serve;
mod status;
mod stop;
mod styles;
mod stylize;
#[cfg(test)]
mod tests;
mod train;
mod values;

pub(crate) use self::follow::span;
use crate::log;

/// Re-draw pictures in a learned style, on this machine
#[derive(Debug, Parser)]
#[command(
    name = "utsushi",
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  utsushi stylize photo.jpg -o comic.png
  utsushi batch frames/ -o out/ --style cel
  utsushi enlarge page.png -o large.png --kind drawing
  utsushi styles
  utsushi train --name Hana --art ~/art

`utsushi help COMMAND` says more about a command."
)]
struct Cli {
    /// Its socket [default: $UTSUSHI_SOCKET, or else one in the user's runtime folder]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Where the daemon is")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Stylize(stylize::Stylize),
    Batch(batch::Batch),
    Enlarge(enlarge::Enlarge),
    Styles(styles::Styles),
    Train(train::Train),
    Jobs(jobs::Jobs),
    Evaluate(evaluate::Evaluate),
    Status(status::StatusCommand),
    Stop(stop::StopCommand),
    Serve(serve::Serve),
    Install(install::Install),
    Uninstall(install::Uninstall),
    Completions(manual::Completions),
    Man(manual::Man),
    #[command(hide = true)]
    Catalogues(manual::Catalogues),
}

/// Runs the command that `args` ask for; the first of them is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // The daemon logs them instead.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "nowhere".into(), ToString::to_string);
        let what = log::words(panic.payload());
        complain(format_args!("stopped unexpectedly at {place}: {what}; this is a defect, please report it"));
    }));
    ExitCode::from(exit_code(args))
}

/// Does what [`run`] does, and returns the exit code as a number, which tests can compare.
pub fn exit_code(args: impl IntoIterator<Item = OsString>) -> u8 {
    match Cli::try_parse_from(args) {
        Ok(cli) => match cli.execute() {
            Ok(ending) => ending as u8,
            Err(error) if is_broken_pipe(&error) => Ending::Done as u8,
            Err(error) => {
                complain(describe(&error));
                if error.is::<Usage>() { Ending::Usage as u8 } else { Ending::Failed as u8 }
            }
        },
        Err(error) => {
            match error.to_string().strip_prefix("error: ") {
                Some(what) => complain(what.trim_end()),
                None => drop(error.print()),
            }
            u8::try_from(error.exit_code()).unwrap_or(Ending::Failed as u8)
        }
    }
}

impl Cli {
    fn execute(self) -> anyhow::Result<Ending> {
        let address = Address::new(self.socket);
        match self.command {
            Command::Stylize(stylize) => stylize.execute(address),
            Command::Batch(batch) => batch.execute(address),
            Command::Enlarge(enlarge) => enlarge.execute(address),
            Command::Styles(styles) => styles.execute(),
            Command::Train(train) => train.execute(&address),
            Command::Jobs(jobs) => jobs.execute(&address),
            Command::Evaluate(evaluate) => evaluate.execute(),
            Command::Status(status) => status.execute(&address),
            Command::Stop(stop) => stop.execute(&address),
            Command::Serve(serve) => serve.execute(address),
            Command::Install(install) => install.execute(&address),
            Command::Uninstall(uninstall) => uninstall.execute(),
            Command::Completions(completions) => completions.execute(Cli::command()),
            Command::Man(man) => man.execute(Cli::command()),
            Command::Catalogues(catalogues) => catalogues.execute(),
        }
    }
}

/// How a command ended; its number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Ending {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Interrupted = 130,
}

/// A request that makes no sense; found before anything was started.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

impl Usage {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Where the daemon listens, and how it is started if it doesn't.
struct Address {
    socket: PathBuf,
    /// By an option, not only by the environment, which many machines may have got from one.
    is_named: bool,
    starter: Starter,
}

impl Address {
    fn new(socket: Option<PathBuf>) -> Self {
        Self {
            is_named: socket.is_some(),
            socket: socket.unwrap_or_else(paths::socket),
            starter: Starter::from_environment(),
        }
    }
}

/// Tells the user what went wrong.
fn complain(what: impl std::fmt::Display) {
    eprintln!("utsushi: {what}");
}

/// Tells it where somebody sees it who has started the command from a menu.
fn tell_on_the_desktop(error: &anyhow::Error) {
    if !io::stderr().is_terminal() {
        crate::desktop::complain(&describe(error));
    }
}

/// An error and its causes, but for those whose words are part of it already.
fn describe(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !words.contains(&cause) {
            words = words + ": " + &cause;
        }
    }
    words
}

/// Did the reader of our output go away, as `head` does? Then there is nobody left to tell.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
