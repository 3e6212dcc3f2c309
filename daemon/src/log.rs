//! What the daemon logs: a line an event, of bounded length and without control characters, to standard error, whose
//! file is kept small.
//!
//! Names, versions and panics come from outside, and whoever sends them may send anything, as often as they like. So
//! every line is cut and escaped here, where all of them come through, repeated ones are counted, and a log that a client
//! opened for the daemon ([`utsushi_ipc::log`]) makes way for a new one when it has grown.

use std::any::Any;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic::{self, PanicHookInfo};
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::Context;
use rustix::fs::fstat;
use rustix::stdio::{dup2_stderr, dup2_stdout};
use tracing::error;
use tracing_subscriber::EnvFilter;
use utsushi_ipc::log::{self, FILE_VARIABLE, MOST_BYTES};

/// A line's longest; what is beyond is counted.
const MAX_LINE_BYTES: usize = 1 << 10;

/// A panic's longest message.
const MAX_PANIC_BYTES: usize = 300;

/// Has everything logged, panics too. Call once.
pub(crate) fn start() -> anyhow::Result<()> {
    let variable = ["UTSUSHI_LOG", "RUST_LOG"].into_iter().find(|name| std::env::var_os(name).is_some());
    let filter = match variable {
        Some(name) => EnvFilter::try_from_env(name)
            .with_context(|| format!("{name}: no such filter; try {name}=debug"))?,
        // That a desktop lacks a portal is for this program to tell, not for its library.
        None => EnvFilter::new("info,zbus=error"),
    };
    let is_terminal = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Mutex::new(Lines::new(StandardError::new(), is_terminal)))
        .with_ansi(is_terminal)
        .try_init()
        .map_err(|error| anyhow::anyhow!("can't log: {error}"))?;
    panic::set_hook(Box::new(tell));
    Ok(())
}

/// Logs a panic.
fn tell(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "nowhere".into(), ToString::to_string);
    let thread = std::thread::current();
    let (thread, what) = (thread.name().unwrap_or("unnamed"), words(panic.payload()));
    error!(thread, place, "a thread panicked: {what}; this is a defect, please report it");
}

/// A panic's message. It may hold bytes of a file that was being read, so not as it is.
pub(crate) fn words(payload: &(dyn Any + Send)) -> String {
    let what = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref().map(String::as_str));
    tidy(what.unwrap_or("without a message"), MAX_PANIC_BYTES, false)
}

/// Takes an event with each `write`, and passes it on as one line.
struct Lines<W> {
    out: W,
    /// Escape characters are colours, and those in what is told were escaped before.
    is_coloured: bool,
    /// The last line, without its time.
    last: String,
    repeats: u64,
}

impl<W: Write> Lines<W> {
    fn new(out: W, is_coloured: bool) -> Self {
        Self { out, is_coloured, last: String::new(), repeats: 0 }
    }

    fn tell(&mut self, event: &str) -> io::Result<()> {
        let line = tidy(event, MAX_LINE_BYTES, self.is_coloured);
        // The time is all up to the first space.
        let (_time, what) = line.split_once(' ').unwrap_or(("", &line));
        if what == self.last {
            self.repeats += 1;
            // A line that goes on and on is told of now and then.
            return if is_power_of_ten(self.repeats) { self.tell_repeats() } else { Ok(()) };
        }
        if self.repeats > 0 && !is_power_of_ten(self.repeats) {
            self.tell_repeats()?;
        }
        self.repeats = 0;
        what.clone_into(&mut self.last);
        writeln!(self.out, "{line}")
    }

    fn tell_repeats(&mut self) -> io::Result<()> {
        writeln!(self.out, "    the last line was repeated {} times", self.repeats)
    }
}

/// Of bounded length, and on one line.
fn tidy(text: &str, most_bytes: usize, keeps_colours: bool) -> String {
    let text = text.trim_end();
    let end = (0..=most_bytes.min(text.len())).rfind(|end| text.is_char_boundary(*end));
    let kept = &text[..end.unwrap_or(0)];
    let mut line = String::with_capacity(kept.len());
    for character in kept.chars() {
        match character {
            '\x1b' if keeps_colours => line.push(character),
            _ if character.is_control() || is_reordering(character) => {
                line.extend(character.escape_default())
            }
            _ => line.push(character),
        }
    }
    match text.len() - kept.len() {
        0 => line,
        cut => format!("{line}... ({cut} bytes more)"),
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.tell(&String::from_utf8_lossy(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn is_power_of_ten(number: u64) -> bool {
    number > 1 && number.ilog10() > number.saturating_sub(1).ilog10()
}

/// Characters that have others shown in another order, so that a line isn't what it looks like.
fn is_reordering(character: char) -> bool {
    matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Standard error, and the file that it is, if a client has opened one for it.
struct StandardError {
    file: Option<PathBuf>,
}

impl StandardError {
    fn new() -> Self {
        let file = std::env::var_os(FILE_VARIABLE).map(PathBuf::from);
        // The variable may have come down from another daemon.
        Self { file: file.filter(|file| File::open(file).is_ok_and(|file| is_same(&file, io::stderr()))) }
    }

    /// Goes on in a new file if the one at hand has grown, or was replaced by another daemon that found it so.
    fn keep_small(&self) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let size = fstat(io::stderr())?.st_size;
        if u64::try_from(size).unwrap_or(0) <= MOST_BYTES {
            return Ok(());
        }
        match log::open(path) {
            Ok(file) => {
                if is_same(io::stdout(), io::stderr()) {
                    dup2_stdout(&file)?;
                }
                dup2_stderr(&file)?;
                Ok(())
            }
            // Where nothing can be renamed, what is there is given up.
            Err(_) => Ok(rustix::fs::ftruncate(io::stderr(), 0)?),
        }
    }
}

fn is_same(one: impl AsFd, other: impl AsFd) -> bool {
    let place = |file: &dyn AsFd| fstat(file.as_fd()).ok().map(|file| (file.st_dev, file.st_ino));
    place(&one).is_some_and(|one| Some(one) == place(&other))
}

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.keep_small()?;
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written of these events, each at another time.
    fn check(events: &[&str], expected: &str) {
        let mut lines = Lines::new(Vec::new(), false);
        for (second, event) in events.iter().enumerate() {
            lines
                .write_all(format!("2026-01-01T00:00:{second:02}Z  INFO {event}\n").as_bytes())
                .expect("memory");
        }
        let written = String::from_utf8(lines.out).expect("UTF-8");
        assert_eq!(written.replace("2026-01-01T00:00:", ""), expected);
    }

    #[test]
    fn lines_are_cut_and_escaped() {
        check(&["hello", "h\u{e9}llo"], "00Z  INFO hello\n01Z  INFO h\u{e9}llo\n");
        check(&["a\nb\r\t\x1b[2J\u{9b}\u{202e}"], "00Z  INFO a\\nb\\r\\t\\u{1b}[2J\\u{9b}\\u{202e}\n");
        let head = "2026-01-01T00:00:00Z  INFO ".len();
        let exact = "x".repeat(MAX_LINE_BYTES - head);
        check(&[&exact], &format!("00Z  INFO {exact}\n"));
        check(&[&format!("{exact}{exact}")], &format!("00Z  INFO {exact}... ({} bytes more)\n", exact.len()));
        // Not within a character.
        let odd = format!("{}\u{e9}\u{e9}", &exact[1..]);
        check(&[&odd], &format!("00Z  INFO {}... (4 bytes more)\n", &exact[1..]));
    }

    #[test]
    fn repeated_lines_are_counted() {
        check(
            &["a", "a", "a", "b", "a"],
            "00Z  INFO a\n    the last line was repeated 2 times\n03Z  INFO b\n04Z  INFO a\n",
        );
        check(&["a", "b", "a"], "00Z  INFO a\n01Z  INFO b\n02Z  INFO a\n");
        let ten = "00Z  INFO a\n    the last line was repeated 10 times\n";
        check(&["a"; 11], ten);
        check(&["a"; 20], ten);
        let twelve = [&["a"; 13][..], &["b"]].concat();
        check(&twelve, &format!("{ten}    the last line was repeated 12 times\n13Z  INFO b\n"));
        check(&[&["a"; 11][..], &["b"]].concat(), &format!("{ten}11Z  INFO b\n"));
    }

    #[test]
    fn panics_are_told_in_short() {
        let check = |panic: fn(), expected: &str| {
            let payload = panic::catch_unwind(panic).expect_err("it panics");
            assert_eq!(words(&*payload), expected);
        };
        check(|| panic!("a \x1b[2J of\na file"), "a \\u{1b}[2J of\\na file");
        check(
            || panic!("{}", "x".repeat(MAX_PANIC_BYTES + 5)),
            &format!("{}... (5 bytes more)", "x".repeat(MAX_PANIC_BYTES)),
        );
        check(|| panic::panic_any(5), "without a message");
    }
}
