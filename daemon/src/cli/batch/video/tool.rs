//! ffmpeg and ffprobe, run beside this process: in a process group of their own, so that Ctrl-C doesn't reach them
//! before this process has decided what becomes of it, and never left behind. They open no address and no other file
//! than the ones they are given, whatever a video says.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{anyhow, bail};

/// What videos are in (ffmpeg's names of formats): those of [`is_video`](super::container::is_video), and what is found
/// under their names. Lists of files, such as HLS's and ffconcat's, are not among them.
const FORMATS: &str = "mov,matroska,avi,mpeg,mpegvideo,mpegts,ogg,asf,flv,h264,hevc,m4v,mjpeg,dv,ivf,mxf";

/// How long a line of a tool's is remembered.
const MAX_LINE_BYTES: u64 = 1 << 12;

/// A tool that complains of errors alone.
pub(super) fn command(name: &str) -> Command {
    let mut command = Command::new(name);
    command.process_group(0).args(["-hide_banner", "-v", "error"]);
    command
}

/// Has the tool read the file, and none that it names.
pub(super) fn read(command: &mut Command, path: &Path) {
    command.args(["-protocol_whitelist", "file", "-format_whitelist", FORMATS, "-i"]).arg(file(path));
}

/// A file's name that can't be taken for an option, or an address.
pub(super) fn file(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// Why there is no such tool, and what to do.
pub(super) fn cannot_start(name: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::NotFound => anyhow!(
            "videos need {name}, which is not installed: install the package `ffmpeg`, as by `apt install ffmpeg`, and \
             try again"
        ),
        _ => anyhow!("can't start {name}: {error}"),
    }
}

/// A running tool. It is killed when this is dropped.
pub(super) struct Tool {
    name: &'static str,
    child: Child,
    words: Option<JoinHandle<String>>,
}

impl Tool {
    /// Starts it; its standard input and output are as the command says.
    pub(super) fn start(name: &'static str, mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| cannot_start(name, &error))?;
        let words = child.stderr.take().map(|words| thread::spawn(|| last_words(words)));
        Ok(Self { name, child, words })
    }

    pub(super) fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(super) fn take_input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// What it complained of even so, if it has ended well; nothing while it runs.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<String>> {
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        let words = self.words.take().and_then(|words| words.join().ok()).unwrap_or_default();
        match status.success() {
            true => Ok(Some(words)),
            false if words.is_empty() => bail!("{} ended with {status}", self.name),
            false => bail!("{} failed: {words}", self.name),
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Fails if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end, and remembers the last line.
fn last_words(words: impl Read) -> String {
    let mut words = BufReader::new(words);
    let mut last = String::new();
    loop {
        let mut line = Vec::new();
        match (&mut words).take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return last,
            Ok(_) => {
                let line = String::from_utf8_lossy(&line);
                if !line.trim().is_empty() {
                    last = line.trim().into();
                }
            }
        }
    }
}

/// The last line that says something.
pub(super) fn last_line(words: &str) -> &str {
    words.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing")
}
