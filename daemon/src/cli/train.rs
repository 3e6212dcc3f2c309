//! `utsushi train`: hands a training to the daemon, and follows it.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::paths;
use utsushi_ipc::protocol::{
    Budget, FaultKind, JobInfo, MAX_RECIPE_BYTES, MAX_STEPS, RecipeChoice, TrainSpec,
};

use super::follow::{Manner, follow};
use super::{Address, Ending, Usage};
use crate::desktop::{self, choosers};
use crate::jobs::order::id_of;
use crate::library::Library;

/// A style that nobody else may have.
const PRIVATE: &str = "private";

/// Train a style from a folder of pictures
///
/// It takes the art, 20 pictures or more if possible, and photos of what is going to be drawn. The daemon trains, while
/// it draws nothing, at the lowest priority; this command only follows. When the training is finished, the style is
/// among the others, in GIMP, too.
///
/// Ctrl-C ends the following, not the training: `utsushi jobs` lists, watches, pauses and cancels it. With `--ask` it is
/// what the tray's menu does, and what goes wrong is told in a notification if there is no terminal.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi train --name Hana --art ~/art
  utsushi train --name Hana --art ~/art --photos ~/Pictures/trip --minutes 90 --preset quality
  utsushi train --name 'Hana in oil' --id hana-oil --art ~/oil --like hana --detach
  utsushi train --ask")]
pub(super) struct Train {
    /// The style's name
    #[arg(long, required_unless_present = "ask")]
    name: Option<String>,
    /// The style's id: lower-case letters, digits and hyphens [default: made of the name]
    #[arg(long)]
    id: Option<String>,
    /// A folder of pictures in the style, and those in it; may be given several times
    #[arg(long, value_name = "DIR", required_unless_present = "ask")]
    art: Vec<PathBuf>,
    /// A folder of photos, and those in it; what lies in a folder `drawn` there is drawn already, and only its strokes and
    /// colours are to change [default: the folder of pictures that the desktop knows]
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Ask for both folders in windows of the desktop, and don't follow the training; the style is named like its art
    #[arg(long, conflicts_with_all = ["art", "photos"])]
    ask: bool,
    #[command(flatten)]
    course: Course,
    #[command(flatten)]
    description: Description,
    #[command(flatten)]
    conduct: Conduct,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How to train")]
struct Course {
    /// Train for so long, pauses not counted [default: 60 for `fast`, 480 for `quality`]
    #[arg(long, value_name = "NUMBER", conflicts_with = "steps")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_STEPS)))]
    minutes: Option<u32>,
    /// Train for so many steps
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_STEPS)))]
    steps: Option<u32>,
    /// Start from this style, which should be like the new one [default: a built-in one that is]
    #[arg(long, value_name = "STYLE")]
    like: Option<String>,
    /// Which numbers to train by
    #[arg(long, value_enum, default_value_t = Preset::Fast)]
    preset: Preset,
    /// Train by the numbers in this file
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    recipe: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// An hour on two cores
    Fast,
    /// A night
    Quality,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What the style says of itself")]
struct Description {
    /// Who trained it
    #[arg(long, default_value = "", hide_default_value = true)]
    author: String,
    /// The licence, as the art allows: an SPDX expression, or `private` [asked for on a terminal; default: private]
    #[arg(long, alias = "license", value_name = "SPDX")]
    licence: Option<String>,
    /// Whom to credit for the art
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    attribution: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "While it trains")]
struct Conduct {
    /// Use so many cores [default: all]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Go on when the machine runs on its battery
    #[arg(long)]
    on_battery: bool,
    /// Don't follow the training
    #[arg(long)]
    detach: bool,
    /// Write an object a line to standard output, all there is to know each time
    #[arg(long)]
    json: bool,
}

impl Train {
    pub(super) fn execute(self, address: &Address) -> anyhow::Result<Ending> {
        if !self.ask {
            return self.train(address);
        }
        let asked = self.ask(address).and_then(|asked| match asked {
            Some(train) => train.train(address),
            None => Ok(Ending::Interrupted),
        });
        asked.inspect_err(super::tell_on_the_desktop)
    }

    /// Fills in what the user chooses; nothing if that is nothing.
    fn ask(mut self, address: &Address) -> anyhow::Result<Option<Self>> {
        let bus = desktop::bus();
        let Some(folders) = choosers::folders(bus.as_ref().map(|bus| bus.inner()))? else { return Ok(None) };
        let name = self.name.unwrap_or_else(|| folders.name());
        if self.id.is_none() {
            let mut client = Client::connect_or_start(&address.socket, &address.starter)?;
            let (jobs, library) = (client.jobs()?, Library::open(paths::styles()));
            let is_taken = |id: &str| library.find(id).is_some() || desktop::is_wanted(&jobs, id);
            self.id = Some(desktop::free_id(&name, is_taken));
        }
        Ok(Some(Self { name: Some(name), art: vec![folders.art], photos: Some(folders.photos), ..self }))
    }

    fn train(self, address: &Address) -> anyhow::Result<Ending> {
        let (is_asked, detach) = (self.ask, self.ask || self.conduct.detach);
        let manner = Manner::new(self.conduct.json);
        let spec = self.spec()?;
        let mut client = Client::connect_or_start(&address.socket, &address.starter)?;
        let job = client.train(spec).map_err(|error| match error {
            ClientError::Fault(fault)
                if matches!(fault.kind, FaultKind::Invalid | FaultKind::UnknownStyle) =>
            {
                Usage::new(fault.message).into()
            }
            other => anyhow::Error::from(other),
        })?;
        manner.queued(&job)?;
        if is_asked {
            desktop::announce_begun(&job);
        }
        if detach { Ok(Ending::Done) } else { follow(client, job.id, manner) }
    }

    fn spec(self) -> anyhow::Result<TrainSpec> {
        let Self { name, id, art, photos, course, description, conduct, ask: _ } = self;
        let name = name.unwrap_or_default();
        let style = match id {
            Some(id) => id,
            None => id_of(&name).ok_or_else(|| {
                Usage::new(format!("no id can be made of the name {name:?}: give one with --id"))
            })?,
        };
        let photos = photos
            .or_else(paths::pictures)
            .ok_or_else(|| Usage::new("where the photos are isn't known: say it with --photos".to_owned()))?;
        let art = art.iter().map(|folder| from_root(folder)).collect::<Result<_, _>>()?;
        let photos = from_root(&photos)?;
        let Course { minutes, steps, like, preset, recipe } = course;
        let budget = match (minutes, steps) {
            (Some(minutes), _) => Budget::Minutes(minutes),
            (None, Some(steps)) => Budget::Steps(steps),
            (None, None) => Budget::Recipe,
        };
        let recipe = match (recipe, preset) {
            (Some(file), _) => RecipeChoice::Own(read_recipe(&file)?),
            (None, Preset::Fast) => RecipeChoice::Fast,
            (None, Preset::Quality) => RecipeChoice::Quality,
        };
        let Description { author, licence, attribution } = description;
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        let licence = match licence {
            Some(licence) => licence,
            None if can_ask => ask_licence(&mut io::stdin().lock(), &mut io::stderr())?,
            None => PRIVATE.to_owned(),
        };
        let Conduct { threads, on_battery, .. } = conduct;
        Ok(TrainSpec {
            style,
            name,
            art,
            photos,
            budget,
            like,
            recipe,
            author,
            licence,
            attribution,
            threads,
            on_battery,
        })
    }
}

/// As the daemon needs it, which runs in another folder.
fn from_root(folder: &Path) -> Result<PathBuf, Usage> {
    let shown = folder.display();
    let absolute =
        fs::canonicalize(folder).map_err(|error| Usage::new(format!("{shown}: can't be read: {error}")))?;
    if !absolute.is_dir() {
        return Err(Usage::new(format!("{shown} is no folder: name the folder that the pictures are in")));
    }
    if absolute.to_str().is_none() {
        return Err(Usage::new(format!("{shown}: its path isn't UTF-8; give the folder another name")));
    }
    Ok(absolute)
}

pub(super) fn read_recipe(file: &Path) -> Result<String, Usage> {
    let wrong = |why: String| Usage::new(format!("{}: {why}", file.display()));
    let bytes = fs::metadata(file).map_err(|error| wrong(format!("can't be read: {error}")))?.len();
    if bytes > MAX_RECIPE_BYTES as u64 {
        return Err(wrong(format!("a recipe has at most {MAX_RECIPE_BYTES} bytes, and this has {bytes}")));
    }
    fs::read_to_string(file).map_err(|error| wrong(format!("can't be read: {error}")))
}

fn ask_licence(answers: &mut impl BufRead, questions: &mut impl Write) -> io::Result<String> {
    writeln!(questions, "Whether you may give the style on is between you and those who made the art.")?;
    write!(questions, "Its licence (an SPDX expression, or `{PRIVATE}`) [{PRIVATE}]: ")?;
    questions.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    let answer = answer.trim();
    Ok(if answer.is_empty() { PRIVATE.to_owned() } else { answer.to_owned() })
}

impl Manner {
    fn queued(&self, job: &JobInfo) -> io::Result<()> {
        match self {
            // It is told with the first news.
            Self::Json => self.tell(job),
            _ => writeln!(io::stdout(), "job {}: the style {:?} is going to be trained", job.id, job.style),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        train: Train,
    }

    fn parse(line: &str) -> Option<Train> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        Line::try_parse_from(words).ok().map(|line| line.train)
    }

    #[test]
    fn budgets_and_recipes() {
        let here = tempfile::tempdir().expect("a folder");
        let folder = here.path().to_str().expect("UTF-8");
        fs::write(here.path().join("own.toml"), "seed = 1").expect("written");
        fs::write(here.path().join("long.toml"), " ".repeat(MAX_RECIPE_BYTES + 1)).expect("written");
        let check = |options: &str, expected: Option<(Budget, RecipeChoice)>| {
            let line = format!("--name Hana --art {folder} --photos {folder} --licence MIT {options}");
            let line = line.replace("HERE", folder);
            let spec = parse(&line).and_then(|train| train.spec().ok());
            assert_eq!(spec.map(|spec| (spec.budget, spec.recipe)), expected, "{options}");
        };
        check("", Some((Budget::Recipe, RecipeChoice::Fast)));
        check("--minutes 60", Some((Budget::Minutes(60), RecipeChoice::Fast)));
        check("--steps 7 --preset quality", Some((Budget::Steps(7), RecipeChoice::Quality)));
        check("--recipe HERE/own.toml", Some((Budget::Recipe, RecipeChoice::Own("seed = 1".into()))));
        check("--recipe HERE/long.toml", None);
        check("--recipe HERE/missing.toml", None);
        check("--recipe HERE/own.toml --preset fast", None);
        check("--minutes 1 --steps 1", None);
        check("--minutes 0", None);
        check("--steps 10000001", None);
        check("--preset slow", None);
        check("--threads 0", None);
        check("--photos HERE/own.toml", None);
        check("--art HERE/missing", None);
    }

    #[test]
    fn folders_are_named_from_the_root() {
        let here = std::env::current_dir().expect("tests run in a folder");
        assert_eq!(from_root(Path::new("src")).expect("a folder"), here.join("src"));
        assert_eq!(from_root(Path::new("src/../src/cli")).expect("a folder"), here.join("src/cli"));
        assert!(
            from_root(Path::new("Cargo.toml")).is_err_and(|error| error.to_string().contains("no folder"))
        );
    }

    #[test]
    fn the_licence_is_asked_for() {
        fn check(answers: &str, expected: &str) {
            let mut questions = Vec::new();
            let licence = ask_licence(&mut answers.as_bytes(), &mut questions).expect("asked");
            assert_eq!(licence, expected, "{answers:?}");
            assert!(String::from_utf8(questions).expect("UTF-8").ends_with("[private]: "));
        }
        check("", "private");
        check("\n", "private");
        check(" CC-BY-4.0 \nmore", "CC-BY-4.0");
    }
}
