//! `utsushi completions`, `utsushi man` and, for packages, `utsushi catalogues`: what shells and `man` know about the program,
//! and what gettext knows of the plug-in's words.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;

use super::Ending;
use super::install::catalogues;

/// Write what a shell needs to complete commands and options
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi completions bash > ~/.local/share/bash-completion/completions/utsushi
  utsushi completions fish > ~/.config/fish/completions/utsushi.fish
  utsushi completions zsh > ~/.zfunc/_utsushi")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Write the manual pages
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi man | man -l -
  utsushi man -o ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The folder for a page a command; without it, the main page goes to standard output
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Write the catalogues of the plug-in's words, for a package that brings the plug-in
#[derive(Debug, Args)]
pub(super) struct Catalogues {
    /// The folder for them: `locale` beside the plug-in
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

impl Catalogues {
    pub(super) fn execute(&self) -> anyhow::Result<Ending> {
        for (file, catalogue) in catalogues::files(&self.output) {
            std::fs::create_dir_all(file.parent().unwrap_or(&self.output))
                .and_then(|()| std::fs::write(&file, catalogue))
                .with_context(|| format!("{}: can't write it", file.display()))?;
        }
        Ok(Ending::Done)
    }
}

impl Completions {
    pub(super) fn execute(&self, mut program: Command) -> anyhow::Result<Ending> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, "utsushi", &mut script);
        io::stdout().write_all(&script)?;
        Ok(Ending::Done)
    }
}

impl Man {
    pub(super) fn execute(&self, program: Command) -> anyhow::Result<Ending> {
        match &self.output {
            None => {
                let mut page = Vec::new();
                // Which is no page to refer to: `generate_to`, too, leaves it out.
                let program = program.disable_help_subcommand(true);
                clap_mangen::Man::new(program).render(&mut page)?;
                io::stdout().write_all(&page)?;
            }
            Some(folder) => std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(program, folder))
                .with_context(|| format!("{}: can't write the pages there", folder.display()))?,
        }
        Ok(Ending::Done)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::CommandFactory;

    use super::super::Cli;
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        Man { output: Some(folder.path().into()) }.execute(Cli::command()).unwrap();
        let program = Cli::command();
        let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
        let commands = commands.map(|command| format!("utsushi-{}", command.get_name()));
        let pages = std::iter::once("utsushi".to_owned()).chain(commands);
        for page in pages {
            let text = fs::read_to_string(folder.path().join(format!("{page}.1"))).expect(&page);
            assert!(text.contains("Example"), "{page}");
        }
    }
}
