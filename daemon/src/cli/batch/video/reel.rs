//! A video in, a drawn video out. Decoding, drawing and encoding overlap, and hand on a frame at a time:
//!
//! ```text
//! ffmpeg | read > draw (the daemon) > damp, write | ffmpeg     a temporary file, renamed at the end
//! ```
//!
//! A frame that is that before to the last bit, as in animation, is not drawn again. Whatever fails ends the others: the
//! channels close, and the pipes break. An interruption ends both ffmpegs and takes the temporary file away at once,
//! also if they hang, or a second one ends the process.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use tempfile::NamedTempFile;
use utsushi_engine::{remove_leftovers, unfinished};
use utsushi_ipc::protocol::PictureSpec;

use super::super::super::painter::{Paint, PaintError};
use super::super::super::pipeline::{self, Brake};
use super::container::Container;
use super::damping::Damping;
use super::probe::{self, Clip};
use super::recipe;
use super::tool::Tool;

/// How long the threads may take to end after an interruption.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a tool that is to end is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What to draw.
pub(super) struct Reel {
    pub(super) source: PathBuf,
    pub(super) output: PathBuf,
    pub(super) container: Container,
    pub(super) clip: Clip,
    /// For each frame.
    pub(super) spec: PictureSpec,
    pub(super) damping: f32,
}

pub(super) enum Event {
    /// One more is on its way into the file; it was drawn in this time, unless it is the one before.
    Frame {
        engine_ms: Option<f32>,
    },
    Warning(String),
    Interrupted,
    End(anyhow::Result<()>),
}

/// Draws the reel, and tells `on_event` of frames and warnings. None if it was interrupted.
pub(super) fn run(
    reel: Reel,
    painter: impl Paint + 'static,
    mut on_event: impl FnMut(&Event),
) -> Option<anyhow::Result<()>> {
    let (events, received) = mpsc::channel();
    let brake = Brake::default();
    let props = Props::default();
    let end = {
        let (brake, props) = (brake.clone(), props.clone());
        move || {
            brake.pull();
            props.clear();
        }
    };
    let interrupted = events.clone();
    pipeline::on_interruption(move || drop(interrupted.send(Event::Interrupted)), end.clone());
    thread::spawn(move || {
        let ended = reel.draw(painter, &events, &brake, &props);
        props.clear();
        let _ = events.send(Event::End(ended));
    });
    loop {
        match received.recv() {
            Ok(Event::End(ended)) => return Some(ended),
            Ok(Event::Interrupted) => break,
            Ok(event) => on_event(&event),
            // The panic was reported where it happened.
            Err(_) => return Some(Err(anyhow!("a thread was lost"))),
        }
    }
    end();
    while let Ok(event) = received.recv_timeout(PATIENCE) {
        // The file may have been finished at the last moment.
        if let Event::End(ended) = event {
            return ended.is_ok().then_some(Ok(()));
        }
    }
    None
}

/// What a reel needs and must not leave behind; any thread may take it away.
#[derive(Clone, Default)]
struct Props(Arc<Mutex<Option<Set>>>);

/// In the order in which they go.
struct Set {
    decoder: Tool,
    encoder: Tool,
    temporary: NamedTempFile,
}

impl Props {
    fn lock(&self) -> MutexGuard<'_, Option<Set>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it returns, they are gone, whoever else clears them.
    fn clear(&self) {
        *self.lock() = None;
    }

    /// Waits for a tool's end, and gives what it complained of even so.
    fn finish(&self, tool: fn(&mut Set) -> &mut Tool) -> anyhow::Result<String> {
        loop {
            let words = self.lock().as_mut().map(|set| tool(set).ended()).context("interrupted")?;
            match words? {
                Some(words) => return Ok(words),
                None => thread::sleep(POLL_INTERVAL),
            }
        }
    }
}

/// A frame, and what was drawn of it: none if it is the frame before.
struct Drawn {
    source: Arc<Vec<u8>>,
    pixels: Option<(Vec<u8>, f32)>,
}

impl Reel {
    fn draw(
        &self,
        painter: impl Paint,
        events: &Sender<Event>,
        brake: &Brake,
        props: &Props,
    ) -> anyhow::Result<()> {
        let unwritable = || format!("{}: can't be written", self.output.display());
        let temporary = temporary(&self.output).with_context(unwritable)?;
        let mut decoder = Tool::start("ffmpeg", recipe::decoder(&self.source, &self.clip))?;
        let film = temporary.path().to_owned();
        let encoding = recipe::encoder(&self.source, &self.clip, self.container, &film);
        let mut encoder = Tool::start("ffmpeg", encoding)?;
        let frames = decoder.take_output().context("ffmpeg has no output")?;
        let file = encoder.take_input().context("ffmpeg has no input")?;
        brake
            .unless_pulled(|| *props.lock() = Some(Set { decoder, encoder, temporary }))
            .context("interrupted")?;

        let (decoded, to_draw) = sync_channel(1);
        let (drawn, to_write) = sync_channel(1);
        let (read, painted, written) = thread::scope(|scope| {
            let frame_bytes = self.spec.raster().row_bytes() * self.spec.raster().height() as usize;
            let read = scope.spawn(move || read(frames, frame_bytes, &decoded));
            let painted = scope.spawn(move || paint(painter, &self.spec, &to_draw, &drawn, brake));
            let damping = Damping::new(self.damping, self.spec.raster().width());
            let written = write(file, damping, to_write, events);
            let lost = |_| anyhow!("a thread was lost");
            (read.join().map_err(lost), painted.join().map_err(lost), written)
        });
        painted??;
        if let Err(error) = written {
            props.finish(|set| &mut set.encoder)?;
            bail!("the frames can't be encoded: {error}");
        }
        let frames = read??;
        let warn = |words: String| {
            if !words.is_empty() {
                let words = format!("{}: ffmpeg says: {words}", self.source.display());
                let _ = events.send(Event::Warning(words));
            }
        };
        warn(props.finish(|set| &mut set.decoder).context("can't be decoded")?);
        ensure!(frames > 0, "ffmpeg finds no frames in it");
        let words = props.finish(|set| &mut set.encoder).context("the frames can't be encoded")?;
        // ffmpeg ends as if all were well when the disk is full at the end.
        let kept = probe::count_frames(&film).with_context(unwritable)?;
        ensure!(kept >= frames, "{}: {kept} of {frames} frames are in it. {words}", unwritable());
        warn(words);
        let publish = || publish(props.lock().take().context("interrupted")?.temporary, &self.output);
        brake.unless_pulled(publish).unwrap_or_else(|| bail!("interrupted"))
    }
}

/// Reads whole frames, as long as somebody takes them, and gives their number.
fn read(mut frames: impl Read, frame_bytes: usize, decoded: &SyncSender<Vec<u8>>) -> anyhow::Result<u64> {
    let mut count = 0;
    loop {
        let mut frame = Vec::with_capacity(frame_bytes);
        let bytes = (&mut frames).take(frame_bytes as u64).read_to_end(&mut frame)?;
        if bytes == 0 {
            return Ok(count);
        }
        ensure!(bytes == frame_bytes, "it breaks off within frame {}", count + 1);
        count += 1;
        if decoded.send(frame).is_err() {
            return Ok(count);
        }
    }
}

fn paint(
    mut painter: impl Paint,
    spec: &PictureSpec,
    to_draw: &Receiver<Vec<u8>>,
    drawn: &SyncSender<Drawn>,
    brake: &Brake,
) -> anyhow::Result<()> {
    let mut before: Option<Arc<Vec<u8>>> = None;
    for (index, source) in to_draw.iter().enumerate() {
        let goes_on = || if brake.is_pulled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let is_repeated = before.as_deref().is_some_and(|before| *before == source);
        let pixels = match is_repeated {
            true => None,
            false => Some(painter.paint(spec, &source, &mut |_| goes_on()).map_err(|error| match error {
                PaintError::Picture(why) => anyhow!("frame {} can't be drawn: {why}", index + 1),
                PaintError::Daemon(why) => anyhow!(why),
                PaintError::Cancelled => anyhow!("interrupted"),
            })?),
        };
        let source = Arc::new(source);
        before = Some(Arc::clone(&source));
        let pixels = pixels.map(|(pixels, report)| (pixels, report.engine_ms));
        if goes_on().is_break() || drawn.send(Drawn { source, pixels }).is_err() {
            break;
        }
    }
    Ok(())
}

fn write(
    mut file: impl Write,
    mut damping: Damping,
    to_write: Receiver<Drawn>,
    events: &Sender<Event>,
) -> io::Result<()> {
    let mut last = Vec::new();
    for Drawn { source, pixels } in to_write {
        let engine_ms = pixels.as_ref().map(|(_, engine_ms)| *engine_ms);
        if let Some((pixels, _)) = pixels {
            last = pixels;
        }
        let mut shown = last.clone();
        damping.damp(&source, &mut shown);
        file.write_all(&shown)?;
        let _ = events.send(Event::Frame { engine_ms });
    }
    Ok(())
}

/// A file beside the output, with the permissions that any program's new files get.
fn temporary(output: &Path) -> io::Result<NamedTempFile> {
    let target = fs::canonicalize(output).unwrap_or_else(|_| output.to_owned());
    remove_leftovers([&*target].into_iter());
    unfinished(&target, Permissions::from_mode(0o666))
}

/// Gives the finished file its name. One that is replaced leaves its permissions, and a link stays.
fn publish(temporary: NamedTempFile, output: &Path) -> anyhow::Result<()> {
    let target = fs::canonicalize(output).unwrap_or_else(|_| output.to_owned());
    let finish = || -> io::Result<()> {
        // By its name: ffmpeg may have written another file there.
        File::open(temporary.path())?.sync_all()?;
        if let Ok(before) = fs::metadata(&target) {
            fs::set_permissions(temporary.path(), before.permissions())?;
        }
        Ok(())
    };
    finish()
        .and_then(|()| temporary.persist(&target).map_err(|error| error.error))
        .map(drop)
        .with_context(|| format!("{}: can't be written", output.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_frames_are_read() {
        fn check(bytes: usize, expected: Option<u64>) {
            let (decoded, frames) = sync_channel(9);
            let count = read(&vec![1; bytes][..], 4, &decoded).ok();
            drop(decoded);
            assert_eq!(count, expected, "{bytes}");
            assert_eq!(
                frames.iter().map(|frame| frame.len()).collect::<Vec<_>>(),
                vec![4; bytes / 4],
                "{bytes}"
            );
        }
        check(0, Some(0));
        check(4, Some(1));
        check(12, Some(3));
        check(7, None);
    }
}
