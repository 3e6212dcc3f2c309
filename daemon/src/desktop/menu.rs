//! The tray's menu, as a tree of words and of what a click on them asks for.

use std::path::PathBuf;

use utsushi_ipc::protocol::{JobId, JobInfo, JobState};

use super::notify::short;
use super::state::{State, words};

/// More than these would make a menu that no screen has room for.
const MAX_JOBS: usize = 8;
const MAX_STYLES: usize = 24;
/// Of why a job has failed, which the notice and the log tell in full.
const MAX_CHARS: usize = 72;

/// What a click asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Click {
    Train,
    Pause(JobId),
    Resume(JobId),
    Cancel(JobId),
    /// Show a job's page.
    Report(JobId),
    /// Show a job's log.
    Log(JobId),
    /// Show a style's file.
    Style(PathBuf),
    /// Show the folder of the user's styles.
    Styles,
    FreeMemory,
    StartAtLogin,
    About,
    Quit,
}

/// A line of a menu.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    Click(String, Click),
    Check(String, bool, Click),
    /// Words alone.
    Note(String),
    Menu(String, Vec<Entry>),
    Rule,
}

pub(super) fn menu(state: &State) -> Vec<Entry> {
    let mut menu = vec![Entry::Click("Train a style…".into(), Click::Train), Entry::Rule];
    if !state.jobs.is_empty() {
        // What needs somebody, or is being done, is seldom the oldest.
        let waiting = |job: &&JobInfo| matches!(job.state, JobState::Queued);
        let (last, first): (Vec<_>, Vec<_>) = state.jobs.iter().partition(waiting);
        menu.extend(first.into_iter().chain(last).take(MAX_JOBS).map(job));
        if state.jobs.len() > MAX_JOBS {
            menu.push(Entry::Note(format!("and {} more: utsushi jobs", state.jobs.len() - MAX_JOBS)));
        }
        menu.push(Entry::Rule);
    }
    menu.push(Entry::Menu("Styles".into(), styles(state)));
    menu.push(Entry::Click("Free the model's memory".into(), Click::FreeMemory));
    if let Some(starts) = state.starts_at_login {
        menu.push(Entry::Check("Start at login".into(), starts, Click::StartAtLogin));
    }
    menu.push(Entry::Rule);
    menu.push(Entry::Click("About Utsushi".into(), Click::About));
    menu.push(Entry::Click("Quit".into(), Click::Quit));
    menu
}

fn job(job: &JobInfo) -> Entry {
    let id = job.id;
    let mut menu = Vec::new();
    match &job.state {
        JobState::Failed { why } => {
            menu.push(Entry::Note(short(why, MAX_CHARS)));
            menu.push(Entry::Click("Try again".into(), Click::Resume(id)));
        }
        JobState::Paused { why, cause } => {
            if *cause != utsushi_ipc::protocol::PauseCause::User {
                menu.push(Entry::Note(short(why, MAX_CHARS)));
            }
            menu.push(Entry::Click("Resume".into(), Click::Resume(id)));
        }
        _ => menu.push(Entry::Click("Pause".into(), Click::Pause(id))),
    }
    match job.report {
        Some(_) => menu.push(Entry::Click("Show the progress".into(), Click::Report(id))),
        None if job.state.is_ended() => {}
        None => menu.push(Entry::Note("Show the progress (soon)".into())),
    }
    menu.push(Entry::Click("Show the log".into(), Click::Log(id)));
    menu.push(Entry::Rule);
    // Hours of work are not to be lost by a slip of the hand.
    let cancel = Entry::Click("Give up this training".into(), Click::Cancel(id));
    menu.push(Entry::Menu("Cancel".into(), vec![cancel]));
    Entry::Menu(words(job), menu)
}

/// The user's, each to be shown in its folder, and those in the program, which have none.
fn styles(state: &State) -> Vec<Entry> {
    let mut menu: Vec<_> = state
        .styles
        .iter()
        .take(MAX_STYLES)
        .map(|style| Entry::Click(style.name.clone(), Click::Style(style.file.clone())))
        .collect();
    if menu.is_empty() {
        menu.push(Entry::Note("None of your own yet".into()));
    }
    if state.styles.len() > MAX_STYLES {
        menu.push(Entry::Note(format!("and {} more", state.styles.len() - MAX_STYLES)));
    }
    menu.push(Entry::Click("Open the folder of your styles".into(), Click::Styles));
    menu.push(Entry::Rule);
    menu.extend(state.built_in.iter().map(|name| Entry::Note(format!("{name} (built in)"))));
    menu
}

#[cfg(test)]
mod tests {
    use utsushi_ipc::protocol::PauseCause;

    use super::super::state::Style;
    use super::super::state::tests::{failed, paused};
    use super::*;
    use crate::jobs::fake::info;

    /// A line a line, with what is below further in.
    fn text(menu: &[Entry], indent: &str) -> String {
        let line = |entry: &Entry| match entry {
            Entry::Click(words, _) => format!("{indent}{words}\n"),
            Entry::Check(words, is_checked, _) => format!("{indent}[{}] {words}\n", u8::from(*is_checked)),
            Entry::Note(words) => format!("{indent}({words})\n"),
            Entry::Menu(words, menu) => format!("{indent}{words} >\n{}", text(menu, &format!("{indent}  "))),
            Entry::Rule => format!("{indent}-\n"),
        };
        menu.iter().map(line).collect()
    }

    #[test]
    fn an_idle_daemons_menu() {
        let styles = vec![Style { name: "Hana".into(), file: "/styles/hana.safetensors".into() }];
        let mut state = State::default();
        (state.styles, state.starts_at_login) = (styles, Some(true));
        state.built_in = vec!["Cel".into(), "Comic".into()];
        let expected = "Train a style…\n-\nStyles >\n  Hana\n  Open the folder of your styles\n  -\n  \
                        (Cel (built in))\n  (Comic (built in))\nFree the model's memory\n[1] Start at login\n-\nAbout Utsushi\nQuit\n";
        assert_eq!(text(&menu(&state), ""), expected);
        state.starts_at_login = None;
        state.styles.clear();
        assert!(text(&menu(&state), "").contains("  (None of your own yet)\n  Open"));
        assert!(!text(&menu(&state), "").contains("login"));
    }

    #[test]
    fn what_can_be_done_with_a_job() {
        fn check(state: JobState, expected: &str) {
            let rest = "Show the log\n-\nCancel >\n  Give up this training\n";
            assert_eq!(
                text(&[job(&info(3, state))], "").replace("\n  ", "\n"),
                format!("{expected}\n{rest}")
            );
        }
        let show = "Show the progress";
        check(JobState::Running, &format!("Hana: 43 %, 12 min left >\nPause\n{show}"));
        check(JobState::Queued, &format!("Hana: waits for its turn >\nPause\n{show}"));
        check(paused(PauseCause::User), &format!("Hana: paused at 43 % >\nResume\n{show}"));
        let why = "(no room; make some)";
        check(
            paused(PauseCause::Disk),
            &format!("Hana: waits for room on the disk >\n{why}\nResume\n{show}"),
        );
        let why = "(the pictures are too few; add some)";
        check(failed(), &format!("Hana: failed >\n{why}\nTry again\n{show}"));
        let early = JobInfo { report: None, ..info(3, JobState::Running) };
        assert!(text(&[job(&early)], "").contains("(Show the progress (soon))"));
        let early = JobInfo { report: None, ..info(3, failed()) };
        assert!(!text(&[job(&early)], "").contains("progress"));
    }

    #[test]
    fn a_menu_stays_short() {
        let mut jobs: Vec<_> = (1..=40).map(|id| info(id, JobState::Queued)).collect();
        jobs.push(info(41, JobState::Running));
        let style = |number| Style { name: format!("{number}"), file: format!("{number}").into() };
        let mut state = State::default();
        state.styles = (0..100).map(style).collect();
        state.hear(&jobs, None);
        let text = text(&menu(&state), "");
        assert!(text.starts_with("Train a style…\n-\nHana: 43 %"), "{text}");
        assert!(text.contains("(and 33 more: utsushi jobs)") && text.contains("(and 76 more)"), "{text}");
        assert_eq!(short(&"名".repeat(100), MAX_CHARS).chars().count(), MAX_CHARS);
    }
}
