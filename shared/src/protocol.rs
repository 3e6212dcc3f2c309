//! Every message that crosses the socket, and nothing else.
//!
//! A connection opens with one [`Hello`] each way. Then the client sends requests one after the other; each
//! is answered by one [`Reply`], but for [`Request::Styles`] and [`Request::Jobs`], which are answered by one a style
//! or a job, [`Request::WatchJob`], which is answered again and again, and [`Request::Stylize`] and
//! [`Request::Enlarge`], whose pixels stream both ways at once:
//!
//! ```text
//! client                                      daemon
//! Hello, Stylize(spec) + profile, Rows(n) + pixels ...  Hello
//!                                             Progress, Rows(n) + pixels   as bands finish
//!                                             Stylized                     after the last row
//! ```
//!
//! While a client waits, the daemon says something each [`HEARTBEAT`]: [`Reply::Progress`] of a picture, the
//! [`Reply::Job`] that is being watched, or [`Reply::Busy`]. A client gives up a daemon that is silent for
//! [`SILENCE_LIMIT`].
//!
//! Closing the connection cancels whatever it was waiting for. After a [`Reply::Fault`] to one of these two the
//! daemon closes the connection, since the client may still have been sending rows.
//!
//! Training is a job of the daemon's, which goes on without the client that asked for it: see [`TrainSpec`].

mod enlarge;
mod jobs;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::enlarge::{EnlargeScale, EnlargeSpec, PictureKind, PictureSpec};
pub use self::jobs::{
    Budget, JobId, JobInfo, JobState, Loss, MAX_ART_FOLDERS, MAX_PATH_BYTES, MAX_RECIPE_BYTES, MAX_STEPS,
    MAX_TEXT_BYTES, PauseCause, RecipeChoice, TrainSpec,
};
use crate::pixels::Raster;

/// Changes whenever the encoding of any message but [`Hello`] changes.
pub const PROTOCOL_VERSION: u32 = 5;

/// How often a daemon says something at least, while a client waits for its answer.
pub const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long a daemon may say nothing while a client waits. A daemon that is alive says something each [`HEARTBEAT`],
/// however long its work takes, so that one that was silent for this long is stopped, or hangs.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// How long a daemon that was told to stop may take to finish the pictures that are being drawn.
pub const STOP_GRACE: Duration = Duration::from_secs(30);

/// The first message each way. Its encoding never changes, so that two versions can tell each other apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// The sender's application version, as in `0.1.0`.
    pub application: String,
    /// The sender's process, for messages and for stopping a daemon too old to be asked.
    pub pid: u32,
}

impl Hello {
    /// What this program says of itself.
    pub fn ours() -> Self {
        Self {
            protocol: PROTOCOL_VERSION,
            application: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
        }
    }

    /// Can the two talk to each other? They can if the protocol, and the application's major and minor version,
    /// are the same.
    pub fn fits(&self, other: &Self) -> bool {
        let ours = self.application.split('.').take(2);
        let theirs = other.application.split('.').take(2);
        self.protocol == other.protocol && ours.eq(theirs)
    }
}

/// What a client asks of the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Which styles are there? Answered by a [`Reply::Style`] each, then [`Reply::Done`].
    Styles,
    /// Re-draw a picture; the frame's body holds the profile of its colours. Followed by [`Request::Rows`] until every row was sent.
    Stylize(StylizeSpec),
    /// Enlarge a picture, as [`Request::Stylize`] re-draws one. The rows that come back are the result's.
    Enlarge(EnlargeSpec),
    /// The next rows of the picture being worked on, from the top; the frame's body holds the pixels.
    Rows(u32),
    /// How is the daemon? Answered by [`Reply::Status`].
    Status,
    /// Free the model's memory; the next picture loads it again. Answered by [`Reply::Done`].
    Unload,
    /// Finish what is running, within [`STOP_GRACE`], then exit. Answered by [`Reply::Done`] at once; the connection stays open until the
    /// daemon exits, so that a client can wait for that.
    Shutdown,
    /// Train a style. Answered by a [`Reply::Job`] as soon as the job is in the queue.
    Train(TrainSpec),
    /// Which jobs are there? Answered by a [`Reply::Job`] each, oldest first, then [`Reply::Done`].
    Jobs,
    /// How does the job go? Answered by a [`Reply::Job`] at once, then by one whenever there is news and now and then
    /// when there is none, and by [`Reply::Done`] after the one that tells of its end. Each tells all there is, so that
    /// whoever is slow misses nothing but the news in between. Closing the connection ends the watching.
    WatchJob(JobId),
    /// Have the job wait, after a checkpoint. Answered by a [`Reply::Job`] when it does.
    PauseJob(JobId),
    /// Have a job go on that waits or has failed, also on battery power. Answered by a [`Reply::Job`].
    ResumeJob(JobId),
    /// End the job for good. Answered by a [`Reply::Job`] when it has ended.
    CancelJob(JobId),
    /// Delete all that is left of a job that has ended; not the style it made. Answered by [`Reply::Done`].
    RemoveJob(JobId),
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// A part of the answer to [`Request::Styles`], built-in styles first. One at a time, since a message is short
    /// and there may be many.
    Style(StyleInfo),
    /// How far the picture being worked on has come.
    Progress(Progress),
    /// The next finished rows, from the top; the frame's body holds the pixels, in the request's format.
    Rows(u32),
    /// Every row of the picture was sent.
    Stylized(StylizeReport),
    /// The answer to [`Request::Status`].
    Status(Status),
    /// The request was carried out and has nothing (more) to tell.
    Done,
    /// The request failed.
    Fault(Fault),
    /// How a job is.
    Job(JobInfo),
    /// The daemon is alive, and the answer is still to come: a sign of life each [`HEARTBEAT`] while something else
    /// goes first.
    Busy,
}

/// How to re-draw a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StylizeSpec {
    /// Size and pixel format, of the source and of the result alike.
    pub raster: Raster,
    /// The styles and their shares; the daemon scales the shares to a sum of 1. At most [`MAX_MIX`].
    pub mix: Vec<StyleShare>,
    /// 0 leaves the picture as it is, 1 is the whole style.
    pub strength: f32,
    /// The scale at which the network works.
    pub brush_size: BrushSize,
    /// How much of the source's chroma is kept: 0 takes the style's colours, 1 keeps the source's.
    pub keep_colours: f32,
    /// For styles that draw strokes of noise: another seed, other strokes; the same gives the same picture. At most
    /// [`MAX_SEED`].
    pub seed: u64,
    /// How strong that noise is: 0 is none of it, 1 as the style was trained.
    pub grain: f32,
    /// Where the raster lies in its picture; `None` if it is all of it.
    pub place: Option<Place>,
    /// What waits for it.
    pub priority: Priority,
    /// The ICC profile of its colours; empty for sRGB. At most [`MAX_PROFILE_BYTES`]. As it may be longer than a message,
    /// it travels as the body of the request's frame.
    #[serde(skip)]
    pub profile: Profile,
}

/// The bytes of an ICC profile.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Profile(pub Arc<[u8]>);

/// Only how many there are.
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({} bytes)", self.0.len())
    }
}

/// The longest colour profile, in bytes: what fits into a JPEG.
pub const MAX_PROFILE_BYTES: usize = 254 * (65535 - 16);

/// The largest seed: what every front end can offer, GIMP's signed numbers of 32 bits included.
pub const MAX_SEED: u64 = i32::MAX as u64;

/// Where a part of a picture lies in it, so that it is drawn as the same place of the whole. In pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The part's first column.
    pub x: u32,
    /// The part's first row.
    pub y: u32,
    /// The whole picture's columns.
    pub width: u32,
    /// The whole picture's rows.
    pub height: u32,
}

impl Place {
    /// Does a part of this size lie within the picture?
    pub fn holds(&self, width: u32, height: u32) -> bool {
        let fits = |from: u32, size: u32, whole: u32| from.checked_add(size).is_some_and(|end| end <= whole);
        fits(self.x, width, self.width) && fits(self.y, height, self.height)
    }
}

impl StylizeSpec {
    /// Where the raster lies in its picture.
    pub fn place(&self) -> Place {
        let (width, height) = (self.raster.width(), self.raster.height());
        self.place.unwrap_or(Place { x: 0, y: 0, width, height })
    }

    /// The brush size as a factor, which [is the whole picture's](BrushSize::resolve).
    pub fn brush_factor(&self) -> f32 {
        let Place { width, height, .. } = self.place();
        self.brush_size.resolve(width, height)
    }
}

/// The most styles a mix may have.
pub const MAX_MIX: usize = 8;

/// A style's part in a mix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StyleShare {
    /// The style's id, as [`StyleInfo::id`].
    pub id: String,
    /// Its weight against the others; above 0.
    pub share: f32,
}

/// The scale at which the network works: the picture is reduced by the brush size, re-drawn, and enlarged again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum BrushSize {
    /// As large as makes the style look the same on every size of picture, by [`BrushSize::resolve`].
    Auto,
    /// Reduce each side by this factor, from 1 to [`BrushSize::MAX`].
    Factor(f32),
}

impl BrushSize {
    /// The largest factor.
    pub const MAX: f32 = 64.0;
    /// The picture size, in pixels, up to which `Auto` is 1.
    pub const AUTO_AREA_PX: u32 = 1 << 20;
    /// The smallest factor but 1 that `Auto` takes.
    pub const AUTO_LEAST: f32 = 1.2;

    /// The factor for a picture of this size: what was asked for, or the square root of how many times
    /// larger than [`BrushSize::AUTO_AREA_PX`] the picture is, from [`BrushSize::AUTO_LEAST`] on: a picture
    /// that is hardly larger is better not scaled at all.
    ///
    /// Of a part of a picture, the size of the whole counts.
    pub fn resolve(self, width: u32, height: u32) -> f32 {
        match self {
            Self::Factor(factor) => factor,
            Self::Auto => {
                let area = f64::from(width) * f64::from(height) / f64::from(Self::AUTO_AREA_PX);
                let factor = area.sqrt() as f32;
                if factor < Self::AUTO_LEAST { 1.0 } else { factor.min(Self::MAX) }
            }
        }
    }
}

/// Who waits for a job: people go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// Someone looks at the screen.
    Interactive,
    /// A folder of files.
    Batch,
}

/// A style that can be asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StyleInfo {
    /// Lower-case letters, digits and hyphens.
    pub id: String,
    /// For people.
    pub name: String,
    /// Who trained it.
    pub author: String,
    /// An SPDX expression, or `private`.
    pub licence: String,
    /// Whom to credit for what it was trained on.
    pub attribution: String,
    /// It came with the program, rather than from the user's own styles.
    pub built_in: bool,
    /// How far beyond a pixel the network looks, in pixels of the reduced picture.
    pub reach_px: u32,
}

/// How far a picture has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Finished rows, of the result.
    pub rows_done: u32,
    /// All rows.
    pub rows: u32,
    /// How many pictures are being drawn, or go first, while this one waits for its turn; `None` once it is begun.
    pub behind: Option<u32>,
}

/// What a finished picture took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StylizeReport {
    /// Time in the queue before the first row was worked on.
    pub queued_ms: f32,
    /// Time in the engine.
    pub engine_ms: f32,
    /// The brush size that was used; 1 where there is none.
    pub brush_size: f32,
}

/// The daemon's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// The styles whose networks are in memory.
    pub loaded: Vec<String>,
    /// The device that the network runs on, in words.
    pub device: String,
    /// The daemon's resident memory, in bytes.
    pub resident_bytes: u64,
    /// The most memory, in bytes, that pictures and requests may take together.
    pub budget_bytes: u64,
    /// How much of it is set aside for those there are, in bytes.
    pub reserved_bytes: u64,
    /// Pictures being worked on.
    pub running: u32,
    /// Pictures that wait.
    pub queued: u32,
    /// Pictures finished since the start.
    pub finished: u64,
    /// Seconds since the start.
    pub uptime_s: u64,
}

/// Why a request failed, in words for the user: what happened, to what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// For programs.
    pub kind: FaultKind,
    /// For people.
    pub message: String,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// Bytes that are no message, or a message out of turn.
    Malformed,
    /// A message that asks for something impossible: a strength of 7, a picture without rows.
    Invalid,
    /// No style has that id.
    UnknownStyle,
    /// The style's file can't be used.
    BadStyle,
    /// The queue is full.
    Busy,
    /// The peer sent or took nothing for too long.
    TimedOut,
    /// The daemon is shutting down.
    Stopping,
    /// The device has no memory left.
    OutOfMemory,
    /// A defect of the daemon's.
    Internal,
    /// No job has that number.
    UnknownJob,
    /// The disk is full, or doesn't let itself be written to.
    Disk,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_fit_within_a_series() {
        fn check(protocol: u32, application: &str, expected: bool) {
            let ours = Hello { protocol: 3, application: "1.2.3".into(), pid: 1 };
            let other = Hello { protocol, application: application.into(), pid: 2 };
            assert_eq!(ours.fits(&other), expected, "{other:?}");
            assert_eq!(other.fits(&ours), expected, "{other:?}, the other way round");
        }

        check(3, "1.2.3", true);
        check(3, "1.2.0", true);
        check(3, "1.2.9-beta", true);
        check(4, "1.2.3", false);
        check(2, "1.2.3", false);
        check(3, "1.3.3", false);
        check(3, "2.2.3", false);
        check(3, "1.20.3", false);
        check(3, "1", false);
        check(3, "", false);
    }

    #[test]
    fn parts_lie_within_their_pictures() {
        let check = |x, y, (width, height): (u32, u32), expected| {
            let place = Place { x, y, width: 30, height: 20 };
            assert_eq!(place.holds(width, height), expected, "{width} x {height} in {place:?}");
        };
        check(0, 0, (30, 20), true);
        check(0, 0, (31, 20), false);
        check(0, 0, (30, 21), false);
        check(29, 19, (1, 1), true);
        check(30, 0, (1, 1), false);
        check(0, 20, (1, 1), false);
        check(5, 6, (25, 14), true);
        check(5, 6, (26, 14), false);
        check(u32::MAX, 0, (1, 1), false);
        check(u32::MAX, u32::MAX, (u32::MAX, u32::MAX), false);
    }

    #[test]
    fn auto_brush_size_grows_with_the_picture() {
        fn check(brush_size: BrushSize, width: u32, height: u32, expected: f32) {
            let found = brush_size.resolve(width, height);
            assert!(
                (found - expected).abs() < 1e-3,
                "{brush_size:?} at {width} x {height}: {found}, not {expected}"
            );
        }

        check(BrushSize::Auto, 1, 1, 1.0);
        check(BrushSize::Auto, 1024, 1024, 1.0);
        check(BrushSize::Auto, 2048, 2048, 2.0);
        check(BrushSize::Auto, 4096, 1024, 2.0);
        check(BrushSize::Auto, 6000, 4000, 4.784);
        check(BrushSize::Auto, 1 << 18, 1 << 13, 45.255);
        check(BrushSize::Auto, u32::MAX, u32::MAX, BrushSize::MAX);
        check(BrushSize::Factor(2.5), 1, 1, 2.5);
        check(BrushSize::Factor(2.5), 6000, 4000, 2.5);
    }
}
