//! Files in, drawn files out. Three threads, so that decoding, drawing and encoding of successive pictures
//! overlap; they hand pictures over without a queue between them, so that memory holds at most three and the
//! one being drawn twice:
//!
//! ```text
//! decode > draw > encode         threads, each with one picture at a time
//!    `-------+-------`-> Event   to the caller's thread, in `run`
//! ```
//!
//! An interruption pulls the [`Brake`]: a file being written is finished, no other is begun, and the picture
//! being drawn is cancelled, at the latest by the end of the process. So no half-written file ever stays, even if
//! interruptions come in twos, as the hangups do when a terminal is closed.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use utsushi_engine::ColourSpace;
use utsushi_ipc::protocol::{PictureSpec, Profile, Progress, StylizeReport};

use super::order::Order;
use super::painter::{Paint, PaintError};
use crate::picture::{self, Format, Loss, Opened, Picture};

/// A file to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) source: PathBuf,
    pub(super) output: PathBuf,
    pub(super) format: Format,
}

/// What happened, and to which of the jobs.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    Started(usize),
    Progress(usize, Progress),
    /// Something of the file won't be in the output.
    Lost(usize, Loss),
    /// The output is there. Seconds from the start of drawing to the end of writing.
    Done(usize, StylizeReport, f64),
    /// The message names the file.
    Failed(usize, String),
    /// The daemon can't be used; no other picture is begun.
    GaveUp(String),
    Interrupted,
    /// Nothing else follows.
    End,
}

/// How the jobs as a whole ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Each is done, or has failed.
    Finished,
    GaveUp,
    Interrupted,
}

/// Draws `jobs` in their order and tells `on_event` of everything but the last two events.
///
/// Ctrl-C and polite kills interrupt it, but not under `nohup`: there they end the process at once.
pub(super) fn run(
    jobs: Vec<Job>,
    order: Order,
    painter: impl Paint + 'static,
    mut on_event: impl FnMut(&Event),
) -> Outcome {
    let (events, received) = mpsc::channel();
    let brake = Brake::default();
    let interrupted = events.clone();
    let end = brake.clone();
    on_interruption(move || drop(interrupted.send(Event::Interrupted)), move || end.pull());
    start(jobs, order, painter, events, brake.clone());
    follow(&received, &brake, &mut on_event)
}

/// Calls `tell` on the first interruption. A second one ends the process, after `tidy`.
pub(super) fn on_interruption(tell: impl Fn() + Send + 'static, tidy: impl Fn() + Send + 'static) {
    if is_hangup_ignored() {
        return;
    }
    let mut interrupted = false;
    // Fails in a program that already listens, as a test does; then that one decides.
    let _ = ctrlc::set_handler(move || {
        if std::mem::replace(&mut interrupted, true) {
            // Whoever takes the events may be stuck, as at a terminal that is halted.
            tidy();
            std::process::exit(super::Ending::Interrupted as i32);
        }
        tell();
    });
}

/// Was this process started to outlive its terminal? To listen to one signal is to listen to all, so that it
/// would end with the terminal after all.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & (1 << (Signal::HUP.as_raw() - 1)) != 0
}

fn follow(received: &Receiver<Event>, brake: &Brake, on_event: &mut impl FnMut(&Event)) -> Outcome {
    let mut outcome = Outcome::Finished;
    for event in received {
        match event {
            Event::End => break,
            Event::Interrupted => {
                brake.pull();
                // The file whose writing the brake waited for.
                received.try_iter().for_each(|event| on_event(&event));
                return Outcome::Interrupted;
            }
            Event::GaveUp(_) => outcome = Outcome::GaveUp,
            _ => {}
        }
        on_event(&event);
    }
    outcome
}

/// Ends the writing of files, but never in the middle of one.
#[derive(Clone, Default)]
pub(super) struct Brake(Arc<BrakeState>);

#[derive(Default)]
struct BrakeState {
    pulled: AtomicBool,
    writing: Mutex<()>,
}

impl Brake {
    /// When it returns, no file is being written, and none will be.
    pub(super) fn pull(&self) {
        self.0.pulled.store(true, Ordering::SeqCst);
        drop(self.0.writing.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn is_pulled(&self) -> bool {
        self.0.pulled.load(Ordering::SeqCst)
    }

    /// Runs `write`, unless the brake is pulled.
    pub(super) fn unless_pulled<T>(&self, write: impl FnOnce() -> T) -> Option<T> {
        let _writing = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.is_pulled()).then(write)
    }
}

/// A picture on its way through the threads.
struct Decoded {
    index: usize,
    picture: Picture,
    /// What is to become of it.
    spec: PictureSpec,
}

struct Drawn {
    index: usize,
    picture: Picture,
    report: StylizeReport,
    started: Instant,
}

fn start(jobs: Vec<Job>, order: Order, painter: impl Paint + 'static, events: Sender<Event>, brake: Brake) {
    thread::spawn(move || {
        thread::scope(|scope| {
            let (decoded, to_draw) = sync_channel(0);
            let (drawn, to_encode) = sync_channel(0);
            let stages = [
                scope.spawn(|| decode(&jobs, &order, decoded, &events)),
                scope.spawn(|| draw(&jobs, painter, to_draw, drawn, &events, &brake)),
                scope.spawn(|| encode(&jobs, &order, to_encode, &events, &brake)),
            ];
            // A panic was reported where it happened, and ends the other stages with it.
            stages.into_iter().for_each(|stage| drop(stage.join()));
        });
        let _ = events.send(Event::End);
    });
}

fn decode(jobs: &[Job], order: &Order, to_draw: SyncSender<Decoded>, events: &Sender<Event>) {
    for (index, job) in jobs.iter().enumerate() {
        let goes_on = match read(job, order) {
            Ok((picture, spec, mut losses)) => {
                if job.format != Format::Tiff && picture.is_brighter_than_white() {
                    losses.push(Loss::Highlights);
                }
                let profile = profile(&picture).unwrap_or_else(|loss| {
                    losses.push(loss);
                    Profile::default()
                });
                let told = losses.into_iter().all(|loss| events.send(Event::Lost(index, loss)).is_ok());
                told && to_draw.send(Decoded { index, picture, spec: spec.with_profile(profile) }).is_ok()
            }
            Err(message) => events.send(Event::Failed(index, message)).is_ok(),
        };
        if !goes_on {
            return;
        }
    }
}

/// Reads a picture, unless its output would take the place of a file that holds more than it, or can't hold it.
fn read(job: &Job, order: &Order) -> Result<(Picture, PictureSpec, Vec<Loss>), String> {
    let Opened { picture, losses } = picture::open(&job.source).map_err(|error| error.to_string())?;
    let too_large = |problem: &dyn Display| format!("{}: {problem}", job.source.display());
    let spec = order.spec(picture.raster).map_err(|error| too_large(&error))?;
    job.format.check(spec.result()).map_err(|problem| too_large(&problem))?;
    match losses.iter().find(|loss| job.source == job.output && loss.is_destructive()) {
        Some(loss) => {
            let source = job.source.display();
            let message =
                format!("{source}: {loss}, and would be lost; give the result another name, with -o");
            Err(message)
        }
        None => Ok((picture, spec, losses)),
    }
}

/// What the daemon has to know of a picture's colours.
fn profile(picture: &Picture) -> Result<Profile, Loss> {
    let Some(icc) = picture.profile() else { return Ok(Profile::default()) };
    match ColourSpace::from_icc(icc) {
        Ok(Some(_)) => Ok(Profile(icc.into())),
        Ok(None) => Ok(Profile::default()),
        Err(_) => Err(Loss::Profile),
    }
}

fn draw(
    jobs: &[Job],
    mut painter: impl Paint,
    decoded: Receiver<Decoded>,
    to_encode: SyncSender<Drawn>,
    events: &Sender<Event>,
    brake: &Brake,
) {
    for Decoded { index, picture, spec } in decoded {
        let started = Instant::now();
        let _ = events.send(Event::Started(index));
        let mut told = None;
        let mut progress = |progress| {
            if told.replace(progress) != Some(progress) {
                let _ = events.send(Event::Progress(index, progress));
            }
            if brake.is_pulled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match painter.paint(&spec, &picture.pixels, &mut progress) {
            Ok((pixels, report)) => {
                let picture = picture.redrawn(spec.result(), pixels);
                if to_encode.send(Drawn { index, picture, report, started }).is_err() {
                    return;
                }
            }
            Err(PaintError::Picture(message)) => {
                let message = format!("{}: {message}", jobs[index].source.display());
                let _ = events.send(Event::Failed(index, message));
            }
            Err(PaintError::Daemon(message)) => {
                let _ = events.send(Event::GaveUp(message));
                return;
            }
            Err(PaintError::Cancelled) => return,
        }
    }
}

fn encode(jobs: &[Job], order: &Order, drawn: Receiver<Drawn>, events: &Sender<Event>, brake: &Brake) {
    for Drawn { index, picture, report, started } in drawn {
        // Told with the brake held, so that whoever pulls it also learns of the last file.
        let told = brake.unless_pulled(|| {
            let event = match write(&jobs[index], &picture, order) {
                Ok(()) => Event::Done(index, report, started.elapsed().as_secs_f64()),
                Err(message) => Event::Failed(index, message),
            };
            let _ = events.send(event);
        });
        if told.is_none() {
            return;
        }
    }
}

fn write(job: &Job, picture: &Picture, order: &Order) -> Result<(), String> {
    if let Some(folder) = job.output.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    picture::write(&job.output, job.format, picture, &order.write_options())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::order;
    use super::*;
    use crate::picture::{Metadata, WriteOptions};
    use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};

    const REPORT: StylizeReport = StylizeReport { queued_ms: 0.0, engine_ms: 1.0, brush_size: 1.0 };

    /// What to do with one picture after the other.
    struct Script(std::vec::IntoIter<Act>);

    enum Act {
        Invert,
        Fail,
        GiveUp,
        /// Waits to be cancelled after this.
        Interrupt(Sender<Event>),
    }

    impl Paint for Script {
        fn paint(
            &mut self,
            spec: &PictureSpec,
            pixels: &[u8],
            progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
        ) -> Result<(Vec<u8>, StylizeReport), PaintError> {
            let now = Progress { rows_done: 1, rows: spec.raster().height(), behind: None };
            let _ = progress(now);
            match self.0.next().expect("an act for every picture") {
                Act::Invert => Ok((pixels.iter().map(|sample| !sample).collect(), REPORT)),
                Act::Fail => Err(PaintError::Picture("too hard".into())),
                Act::GiveUp => Err(PaintError::Daemon("gone".into())),
                Act::Interrupt(events) => {
                    events.send(Event::Interrupted).unwrap();
                    while progress(now).is_continue() {
                        thread::yield_now();
                    }
                    Err(PaintError::Cancelled)
                }
            }
        }
    }

    /// Jobs for these sources, `0`, `1` ..., of which those with `false` are no pictures.
    fn jobs(folder: &Path, sources: &[bool]) -> Vec<Job> {
        let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
        let raster = Raster::new(2, 2, format).unwrap();
        let picture = Picture { raster, pixels: vec![1; 12], metadata: Metadata::default() };
        let jobs = sources.iter().enumerate().map(|(index, is_picture)| {
            let source = folder.join(index.to_string());
            if *is_picture {
                picture::write(&source, Format::Png, &picture, &WriteOptions::default()).unwrap();
            } else {
                fs::write(&source, "no picture").unwrap();
            }
            Job { source, output: folder.join(format!("out/sub/{index}")), format: Format::Png }
        });
        jobs.collect()
    }

    fn outputs(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder.join("out/sub")).into_iter().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_happens_to_each_picture() {
        fn check(
            sources: &[bool],
            acts: Vec<Act>,
            expected: &str,
            outcome: Outcome,
            expected_outputs: &[&str],
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut log = vec![String::new(); sources.len()];
            let painter = Script(acts.into_iter());
            let order = order::tests::parse("").unwrap();
            let ended = run(jobs(folder.path(), sources), order, painter, |event| match event {
                Event::Started(index) => log[*index] += "started ",
                Event::Progress(index, _) => log[*index] += "progress ",
                Event::Done(index, report, _) => {
                    assert_eq!(*report, REPORT);
                    log[*index] += "done";
                }
                Event::Lost(index, loss) => panic!("{index}: {loss}"),
                Event::Failed(index, message) => {
                    assert!(message.contains(&folder.path().join(index.to_string()).display().to_string()));
                    log[*index] += "failed";
                }
                Event::GaveUp(_) | Event::Interrupted | Event::End => {}
            });
            assert_eq!((log.join("; ").as_str(), ended), (expected, outcome));
            assert_eq!(outputs(folder.path()), expected_outputs, "{expected}");
            for name in expected_outputs {
                let drawn = picture::read(&folder.path().join("out/sub").join(name)).unwrap();
                assert_eq!(drawn.pixels, [254; 12], "{expected}");
            }
        }
        use Act::{Fail, GiveUp, Invert};
        use Outcome::{Finished, GaveUp};
        let done = "started progress done";
        check(&[], vec![], "", Finished, &[]);
        check(&[true], vec![Invert], done, Finished, &["0"]);
        check(&[true, true], vec![Invert, Invert], &format!("{done}; {done}"), Finished, &["0", "1"]);
        check(&[false, true], vec![Invert], &format!("failed; {done}"), Finished, &["1"]);
        check(
            &[true, true],
            vec![Fail, Invert],
            &format!("started progress failed; {done}"),
            Finished,
            &["1"],
        );
        check(
            &[true, true, true],
            vec![Invert, GiveUp],
            &format!("{done}; started progress ; "),
            GaveUp,
            &["0"],
        );
    }

    #[test]
    fn an_interruption_leaves_whole_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let (events, received) = mpsc::channel();
        let acts = vec![Act::Invert, Act::Interrupt(events.clone()), Act::Invert];
        let (jobs, order) = (jobs(folder.path(), &[true, true, true]), order::tests::parse("").unwrap());
        let brake = Brake::default();
        start(jobs, order, Script(acts.into_iter()), events, brake.clone());

        let mut done = Vec::new();
        let outcome = follow(&received, &brake, &mut |event| {
            if let Event::Done(index, ..) = event {
                done.push(index.to_string());
            }
        });
        assert_eq!(outcome, Outcome::Interrupted);
        // Whether the first was written before the interruption is up to the threads; it must be told either way.
        assert_eq!(outputs(folder.path()), done);
        // Until the threads have ended.
        received.iter().for_each(drop);
        assert_eq!(outputs(folder.path()), done);
    }

    #[test]
    fn pages_that_are_left_out_are_told_and_never_lost() {
        let two_pages =
            fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/cases/two-pages.tif"))
                .unwrap();
        let check = |output: &str, acts: Vec<Act>, expected: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            let source = folder.path().join("in.tif");
            fs::write(&source, &two_pages).unwrap();
            let job =
                Job { source: source.clone(), output: folder.path().join(output), format: Format::Tiff };
            let mut told = Vec::new();
            let order = order::tests::parse("").unwrap();
            run(vec![job], order, Script(acts.into_iter()), |event| match event {
                Event::Lost(_, loss) => told.push(loss.to_string()),
                Event::Failed(_, message) => {
                    told.push(message.replace(&source.display().to_string(), "in.tif"))
                }
                Event::Done(..) => told.push("done".into()),
                _ => {}
            });
            assert_eq!(told, expected, "{output}");
            assert!(fs::read(&source).unwrap() == two_pages, "{output}: the source has changed");
        };
        check("out.tif", vec![Act::Invert], &["only its first page is read; 1 page left out", "done"]);
        check(
            "in.tif",
            vec![],
            &[
                "in.tif: only its first page is read; 1 page left out, and would be lost; give the result another \
               name, with -o",
            ],
        );
    }
}
