//! Trainings for tests: they count, and misbehave as the style asks.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{
    Arc, Mutex,
    mpsc::{self, Receiver, Sender},
};
use std::time::Duration;

use utsushi_engine::style_file::StyleFile;
use utsushi_ipc::protocol::{
    Budget, Fault, FaultKind, JobId, JobInfo, JobState, Loss, RecipeChoice, TrainSpec,
};

use super::checkpoints::{IfLost, Unread};
use super::folder::JobFolder;
use super::order::Order;
use super::training::{Halt, News, Progress, Step, Trainers, Training};
use crate::library::Library;

/// So that a test that fails doesn't hang.
const GATE_TIMEOUT: Duration = Duration::from_secs(60);
/// How many pictures it says that it prepares.
pub(crate) const PICTURES: u32 = 3;

/// Its number after each step follows from that before, and tells a training that went on from one that began anew.
///
/// Styles: `gated…` waits for leave before every step; `fails`, `panics` do so at the second step; `few` finds too few
/// pictures; `full` can't write its checkpoints unless there is a file `room` among the photos; `unsettled` panics when
/// it is to tell how it ended; `refused` isn't even begun.
pub(crate) struct FakeTrainers {
    events: Sender<Event>,
    gate: Arc<Mutex<Receiver<()>>>,
}

/// What the trainings were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// From this step on.
    Begun(String, u32),
    Stepped(String, u32),
    Saved(u32),
}

/// The test's side of it.
pub(crate) struct Remote {
    pub(crate) events: Receiver<Event>,
    /// A message lets one step of a `gated` training pass; dropping it lets all pass.
    pub(crate) gate: Sender<()>,
}

impl FakeTrainers {
    pub(crate) fn new() -> (Self, Remote) {
        let (event_sender, events) = mpsc::channel();
        let (gate, passes) = mpsc::channel();
        (Self { events: event_sender, gate: Arc::new(Mutex::new(passes)) }, Remote { events, gate })
    }
}

/// What is told of a job in the middle of its training, or in this state.
pub(crate) fn info(id: u32, state: JobState) -> JobInfo {
    JobInfo {
        id: JobId(id),
        style: "hana".into(),
        name: "Hana".into(),
        state,
        stage: "imitation".into(),
        step: 120,
        steps: 4000,
        done: 0.437,
        losses: vec![Loss { name: "l1".into(), value: 0.0625 }],
        seconds_left: Some(700),
        note: String::new(),
        folder: "/jobs/3-hana".into(),
        report: Some("/jobs/3-hana/report.html".into()),
    }
}

/// A training of so many steps, with all its pictures in this folder.
pub(crate) fn spec(folder: &Path, style: &str, steps: u32) -> TrainSpec {
    TrainSpec {
        style: style.into(),
        name: style.to_uppercase(),
        art: vec![folder.into()],
        photos: folder.into(),
        budget: Budget::Steps(steps),
        like: None,
        recipe: RecipeChoice::Fast,
        author: "I".into(),
        licence: "private".into(),
        attribution: "nobody".into(),
        threads: Some(1),
        on_battery: false,
    }
}

/// The number after so many steps.
pub(crate) fn number_after(steps: u32) -> u64 {
    (1..=steps).fold(1, after)
}

fn after(number: u64, step: u32) -> u64 {
    number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(u64::from(step))
}

impl Trainers for FakeTrainers {
    fn check(&self, order: &Order) -> Result<(), Fault> {
        match order.style.as_str() {
            "refused" => Err(Fault::new(FaultKind::Invalid, "the test asked for it")),
            _ => Ok(()),
        }
    }

    fn begin(
        &self,
        order: &Order,
        folder: &JobFolder,
        if_lost: IfLost,
        tell: &mut dyn FnMut(News<'_>) -> ControlFlow<()>,
    ) -> Result<Box<dyn Training>, Halt> {
        for done in 0..=PICTURES {
            if tell(News::Doing("reading pictures", done, PICTURES)).is_break() {
                return Err(Halt::Asked);
            }
        }
        if order.style == "few" {
            return Err(Halt::Failed("there are 3 pictures, and it takes 20".into()));
        }
        let saved = folder.go_on(if_lost, |path| {
            let text = fs::read_to_string(path).map_err(|error| Unread::Withheld(error.to_string()))?;
            let numbers = text
                .split_once(' ')
                .and_then(|(step, number)| Some((step.parse().ok()?, number.parse().ok()?)));
            numbers.ok_or_else(|| Unread::Unreadable("these are no numbers".into()))
        })?;
        let (step, number) = saved.unwrap_or((0, 1));
        let Budget::Steps(steps) = order.budget else { return Err(Halt::Failed("it has no clock".into())) };
        let _ = self.events.send(Event::Begun(order.style.clone(), step));
        Ok(Box::new(FakeTraining {
            order: order.clone(),
            taken: step,
            of: steps,
            number,
            events: self.events.clone(),
            gate: self.gate.clone(),
        }))
    }

    fn settled(&self, folder: &JobFolder, state: &JobState) {
        let is_unsettled = folder.named().is_some_and(|(_, style)| style == "unsettled");
        assert!(!is_unsettled, "the test asked for it");
        if folder.report().exists() {
            fs::write(folder.report(), format!("{state:?}")).expect("written");
        }
    }
}

struct FakeTraining {
    order: Order,
    taken: u32,
    of: u32,
    number: u64,
    events: Sender<Event>,
    gate: Arc<Mutex<Receiver<()>>>,
}

impl Training for FakeTraining {
    fn is_done(&self) -> bool {
        self.taken == self.of
    }

    fn steps(&self) -> u32 {
        self.taken
    }

    fn step(&mut self) -> Result<Step, Halt> {
        let style = self.order.style.as_str();
        if style.starts_with("gated") {
            let _ = self.gate.lock().expect("one thread at a time").recv_timeout(GATE_TIMEOUT);
        }
        self.taken += 1;
        self.number = after(self.number, self.taken);
        let _ = self.events.send(Event::Stepped(style.into(), self.taken));
        match (style, self.taken) {
            ("fails", 2) => return Err(Halt::Failed("the test asked for it".into())),
            ("panics", 2) => panic!("the test asked for it"),
            _ => {}
        }
        Ok(Step {
            progress: Progress {
                stage: "counting".into(),
                step: self.taken,
                steps: self.of,
                done: self.taken as f32 / self.of as f32,
            },
            losses: vec![Loss { name: "l1".into(), value: 1.0 / self.taken as f32 }],
            ends_epoch: self.taken.is_multiple_of(3),
            note: (self.taken == 2).then(|| "a note".into()),
        })
    }

    fn checkpoint(&mut self, path: &Path) -> Result<(), Halt> {
        let room: PathBuf = self.order.photos.join("room");
        if self.order.style == "full" && !room.exists() {
            return Err(Halt::Disk(format!("{}: no space left on device", path.display())));
        }
        fs::write(path, format!("{} {}", self.taken, self.number)).expect("written");
        let _ = self.events.send(Event::Saved(self.taken));
        Ok(())
    }

    fn report(&mut self, path: &Path) -> Result<(), Halt> {
        fs::write(path, "<!doctype html>").map_err(|error| Halt::Disk(error.to_string()))
    }

    fn style(&mut self) -> Result<StyleFile, Halt> {
        let (_, file) = Library::open(PathBuf::new()).volume(Library::default_id()).expect("a style");
        let mut styles = file.styles().to_vec();
        styles[0].id.clone_from(&self.order.style);
        styles[0].name.clone_from(&self.order.name);
        styles[0].training = self.number.to_string();
        file.with_styles(styles).map_err(|error| Halt::Failed(error.to_string()))
    }
}
