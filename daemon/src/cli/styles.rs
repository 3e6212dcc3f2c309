//! `utsushi styles`: which styles there are, and bringing, giving away and dropping one's own.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use utsushi_ipc::paths;

use super::prune::Prune;
use super::{Ending, Usage, complain};
use crate::library::{ImportOverrides, Library, LibraryError, StyleEntry};

/// List the styles, import and export them
///
/// The styles that come with the program, and those in the user's own folder, $UTSUSHI_STYLES or
/// $XDG_DATA_HOME/utsushi/styles.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  utsushi styles
  utsushi styles show cel
  utsushi styles import ink.safetensors --id my-ink
  utsushi styles import paprika.pt --id paprika --name Paprika --licence private --source https://example.org
  utsushi styles export my-ink -o my-ink.safetensors")]
pub(super) struct Styles {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(List),
    Show(Show),
    Import(Import),
    Export(Export),
    Remove(Remove),
    Prune(Prune),
}

/// List the styles: id, name, author, licence, and whom to credit
#[derive(Debug, Clone, Copy, Args)]
struct List {
    /// Write one JSON array, with everything that is known
    #[arg(long)]
    json: bool,
}

/// Show everything that is known about a style
#[derive(Debug, Args)]
struct Show {
    /// The style
    #[arg(value_name = "ID")]
    id: String,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// Copy a style file into the user's styles
///
/// A style file describes itself. So can be imported, with a description, the weights of AnimeGANv2's generator under
/// the names of its PyTorch port, as .safetensors or as PyTorch saves them (.pth, .pt). Nothing in such a file is run.
/// What is missing is asked for on a terminal. Whether you may use the weights, and give them on, is what their
/// licence says.
#[derive(Debug, Args)]
struct Import {
    /// The style file, .safetensors, whose styles come in together; or weights, .safetensors, .pth or .pt
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The id to give it instead of its own: lower-case letters, digits and hyphens
    #[arg(long)]
    id: Option<String>,
    /// The name to give it instead of its own
    #[arg(long)]
    name: Option<String>,
    /// Who trained it, instead of what the file says
    #[arg(long)]
    author: Option<String>,
    /// The licence, instead of what the file says: an SPDX expression, or `private`
    #[arg(long, alias = "license", value_name = "SPDX")]
    licence: Option<String>,
    /// Whom to credit for what it was trained on, instead of what the file says
    #[arg(long, value_name = "TEXT")]
    attribution: Option<String>,
    /// Where the weights were had from: an address, or words
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
}

/// Write a style to a file, to give it to others
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi styles export cel -o cel.safetensors
  utsushi styles export cel --onnx -o cel.onnx")]
struct Export {
    /// The style
    #[arg(value_name = "ID")]
    id: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write ONNX, which other programs run: RGB from 0 to 1, [n, 3, height, width], sides of any length; a style with
    /// grain takes random numbers, [1, 1, height, width], as a second input, `noise`, which may be left out
    #[arg(long)]
    onnx: bool,
}

/// Remove a style from the user's styles
#[derive(Debug, Args)]
struct Remove {
    /// The style
    #[arg(value_name = "ID")]
    id: String,
}

impl Styles {
    pub(super) fn execute(self) -> anyhow::Result<Ending> {
        let library = Library::open(paths::styles());
        match self.action.unwrap_or(Action::List(self.list)) {
            Action::List(list) => list.execute(&library)?,
            Action::Show(show) => show.execute(&library)?,
            Action::Import(import) => import.execute(&library)?,
            Action::Export(Export { id, output, onnx: true }) => library.export_onnx(&id, &output)?,
            Action::Export(Export { id, output, onnx: false }) => library.export(&id, &output)?,
            Action::Remove(Remove { id }) => library.remove(&id)?,
            Action::Prune(prune) => prune.execute(&library)?,
        }
        Ok(Ending::Done)
    }
}

impl List {
    fn execute(self, library: &Library) -> anyhow::Result<()> {
        let entries = library.list();
        let mut out = io::stdout().lock();
        if self.json {
            let entries: Vec<_> = entries.iter().map(Known::of).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&entries)?)?;
        } else {
            let rows: Vec<_> = entries.iter().map(row).collect();
            let text = if out.is_terminal() { table(&rows) } else { tab_separated(&rows) };
            out.write_all(text.as_bytes())?;
        }
        for (file, problem) in library.problems() {
            complain(format_args!("{}: not listed: {problem}", file.display()));
        }
        Ok(())
    }
}

impl Show {
    fn execute(&self, library: &Library) -> anyhow::Result<()> {
        let Some(entry) = library.find(&self.id) else {
            anyhow::bail!("there is no style `{}`; `utsushi styles` lists them", self.id);
        };
        let known = Known::of(&entry);
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&known)?)?;
            return Ok(());
        }
        writeln!(out, "id            {}", known.id)?;
        writeln!(out, "name          {}", known.name)?;
        writeln!(out, "author        {}", known.author)?;
        writeln!(out, "licence       {}", known.licence)?;
        writeln!(out, "credit        {}", known.attribution)?;
        writeln!(out, "training      {}", known.training)?;
        if !known.source.is_empty() {
            writeln!(out, "source        {}", known.source)?;
        }
        writeln!(out, "architecture  {}, looks {} px around", known.architecture, known.reach_px)?;
        writeln!(out, "file          {}", known.file.as_deref().unwrap_or("comes with the program"))?;
        Ok(())
    }
}

impl Import {
    fn execute(self, library: &Library) -> anyhow::Result<()> {
        let Self { file, id, name, author, licence, attribution, source } = self;
        let mut overrides = ImportOverrides { id, name, author, licence, attribution, source };
        let mut imported = library.import(&file, &overrides);
        if let Err(LibraryError::Undescribed { missing, .. }) = &imported {
            let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
            if can_ask {
                ask(&mut overrides, missing, &mut io::stdin().lock(), &mut io::stderr())?;
                imported = library.import(&file, &overrides);
            }
        }
        let imported = match imported {
            Err(error @ LibraryError::Undescribed { .. }) => {
                return Err(Usage::new(error.to_string()).into());
            }
            imported => imported?,
        };
        let mut out = io::stdout().lock();
        for StyleEntry { info, .. } in imported {
            writeln!(out, "{}: {}, {}", info.id, info.name, info.licence)?;
        }
        Ok(())
    }
}

/// Asks for what is missing of a description, a line each.
fn ask(
    overrides: &mut ImportOverrides,
    missing: &[&str],
    answers: &mut impl BufRead,
    questions: &mut impl Write,
) -> io::Result<()> {
    writeln!(questions, "These weights don't say whose style they are.")?;
    for part in missing {
        let (question, field) = match *part {
            "id" => ("Its id (lower-case letters, digits, hyphens)", &mut overrides.id),
            "name" => ("Its name", &mut overrides.name),
            "licence" => ("The weights' licence (an SPDX expression, or `private`)", &mut overrides.licence),
            _ => ("Where the weights were had from (an address, or words)", &mut overrides.source),
        };
        write!(questions, "{question}: ")?;
        questions.flush()?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        *field = Some(answer.trim().to_owned());
    }
    Ok(())
}

/// What is told of a style as JSON.
#[derive(Serialize)]
struct Known<'a> {
    id: &'a str,
    name: &'a str,
    author: &'a str,
    licence: &'a str,
    attribution: &'a str,
    training: &'a str,
    source: &'a str,
    architecture: &'a str,
    reach_px: u32,
    built_in: bool,
    file: Option<String>,
}

impl<'a> Known<'a> {
    fn of(StyleEntry { info, file, training, source, arch }: &'a StyleEntry) -> Self {
        Self {
            id: &info.id,
            name: &info.name,
            author: &info.author,
            licence: &info.licence,
            attribution: &info.attribution,
            training,
            source,
            architecture: arch,
            reach_px: info.reach_px,
            built_in: info.built_in,
            file: file.as_ref().map(|file| file.display().to_string()),
        }
    }
}

type Row<'a> = [&'a str; 5];

fn row(StyleEntry { info, source, .. }: &StyleEntry) -> Row<'_> {
    let credit = if info.attribution.is_empty() { source } else { &info.attribution };
    [&info.id, &info.name, &info.author, &info.licence, credit]
}

/// Columns as wide as their widest cell, under their names; the last is as wide as it likes.
fn table(rows: &[Row]) -> String {
    let header = ["ID", "NAME", "AUTHOR", "LICENCE", "CREDIT"];
    let lines = || std::iter::once(&header).chain(rows);
    let width = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    for line in lines() {
        for (cell, width) in line.iter().zip(widths) {
            text += &format!("{cell:width$}  ");
        }
        text += line[4];
        text.push('\n');
    }
    text
}

fn tab_separated(rows: &[Row]) -> String {
    rows.iter().map(|row| row.map(|cell| cell.replace(['\t', '\n'], " ")).join("\t") + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_asked_for() {
        let mut overrides = ImportOverrides { name: Some("Mine".into()), ..ImportOverrides::default() };
        let mut questions = Vec::new();
        let answers = "mine\n  CC-BY-4.0 \n";
        ask(&mut overrides, &["id", "licence", "source"], &mut answers.as_bytes(), &mut questions)
            .expect("asked");
        let ImportOverrides { id, name, licence, source, .. } = overrides;
        let given = [id, name, licence, source].map(Option::unwrap_or_default);
        // The last was not answered.
        assert_eq!(given, ["mine", "Mine", "CC-BY-4.0", ""]);
        let questions = String::from_utf8(questions).expect("UTF-8");
        assert!(questions.contains("licence") && questions.contains("Where"), "{questions}");
        assert!(!questions.contains("name"), "{questions}");
    }

    #[test]
    fn lists() {
        let rows = [["cel", "Cel", "Someone", "CC0-1.0", "Nobody"], ["my-ink", "墨", "I", "private", "a\tb"]];
        assert_eq!(
            table(&rows),
            "ID      NAME  AUTHOR   LICENCE  CREDIT\n\
             cel     Cel   Someone  CC0-1.0  Nobody\n\
             my-ink  墨     I        private  a\tb\n"
        );
        assert_eq!(tab_separated(&rows), "cel\tCel\tSomeone\tCC0-1.0\tNobody\nmy-ink\t墨\tI\tprivate\ta b\n");
    }
}
