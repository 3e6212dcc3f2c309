//! A screen without a monitor, which tests look at and on which they type: Xvfb with a window manager, and xdotool.
//! Each test has its own.
//!
//! Nothing here sleeps for a fixed time: a test waits for what has to be seen. What was seen when it waited in vain,
//! and whatever it says is worth keeping, goes into the folder that `UTSUSHI_SCREENSHOTS` names.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use utsushi::picture::{self, Format, Metadata, Picture, WriteOptions};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};

/// How long a test waits for what has to be seen: much longer than that takes on any machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it waits between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A screen.
pub struct Screen {
    server: Child,
    manager: Child,
    name: String,
    /// Where the server keeps what is on the screen.
    folder: TempDir,
}

/// A part of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Its left side.
    pub x: u32,
    /// Its upper side.
    pub y: u32,
    /// From its left side to its right one.
    pub width: u32,
    /// From its upper side to its lower one.
    pub height: u32,
}

/// Whether there is all that a screen needs.
pub fn is_available() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    ["Xvfb", "openbox", "xdotool"].iter().all(|name| folders.iter().any(|folder| folder.join(name).exists()))
}

impl Screen {
    /// An empty screen.
    #[expect(clippy::new_without_default, reason = "it starts programs")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1280x900x24",
                "-nolisten",
                "tcp",
                "-noreset",
                "-fbdir",
            ])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let mut number = String::new();
        let told = BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut number);
        told.expect("Xvfb tells its number");
        let name = format!(":{}", number.trim());
        let homes = ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"];
        let manager = Command::new("openbox")
            .env("DISPLAY", &name)
            .envs(homes.map(|home| (home, folder.path())))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openbox starts");
        let screen = Self { server, manager, name, folder };
        // The pointer would cover what is looked for.
        screen.point_at((1279, 899));
        screen
    }

    /// As `DISPLAY` names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn xdotool(&self, line: &str) -> String {
        let mut command = Command::new("xdotool");
        let output = command.args(line.split(' ')).env("DISPLAY", &self.name).output().expect("xdotool runs");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Presses keys, as xdotool calls them, one after the other.
    pub fn press(&self, keys: &str) {
        self.xdotool(&format!("key --delay 30 {keys}"));
    }

    /// Presses a key, waits until the screen shows it, and until it is still.
    #[track_caller]
    pub fn press_and_see(&self, key: &str) {
        let before = self.look();
        self.press(key);
        let mut last = before.clone();
        self.wait_until(&format!("{key} is answered"), || {
            let now = self.look();
            let is_still = now == last;
            last = now;
            is_still && last != before
        });
    }

    /// Moves the pointer there.
    pub fn point_at(&self, (x, y): (u32, u32)) {
        self.xdotool(&format!("mousemove {x} {y}"));
    }

    /// Presses a button of the mouse there, and leaves the pointer.
    pub fn click(&self, (x, y): (u32, u32), button: u32) {
        self.xdotool(&format!("mousemove {x} {y} click {button}"));
    }

    /// Presses the button of the mouse at one place, and lets it go at another, by way of one between.
    pub fn drag(&self, from: (u32, u32), to: (u32, u32)) {
        let between = (from.0.midpoint(to.0), from.1.midpoint(to.1));
        let go = |(x, y): (u32, u32)| format!("mousemove --sync {x} {y}");
        self.xdotool(&format!("{} mousedown 1 {} {} mouseup 1", go(from), go(between), go(to)));
    }

    /// Gives the newest window with a title that matches another size.
    pub fn resize_window(&self, title: &str, width: u32, height: u32) {
        let found = self.xdotool(&format!("search --onlyvisible --name {title}"));
        if let Some(window) = found.lines().last() {
            self.xdotool(&format!("windowsize {window} {width} {height}"));
        }
    }

    /// The newest window with a title that matches.
    pub fn find_window(&self, title: &str) -> Option<Area> {
        let found = self.xdotool(&format!("search --onlyvisible --name {title}"));
        let geometry = self.xdotool(&format!("getwindowgeometry --shell {}", found.lines().last()?));
        let number = |name| {
            let line = geometry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line?.parse().ok()
        };
        Some(Area { x: number("X")?, y: number("Y")?, width: number("WIDTH")?, height: number("HEIGHT")? })
    }

    /// What is on the screen, in 8-bit RGB.
    pub fn look(&self) -> Picture {
        // An X window dump: numbers with their high bytes first, colours, then the pixels.
        let dump = fs::read(self.folder.path().join("Xvfb_screen0")).expect("the screen");
        let number = |index: usize| {
            u32::from_be_bytes(dump[index * 4..index * 4 + 4].try_into().expect("four bytes")) as usize
        };
        let [header, width, height, bits, row_bytes, colours] = [0, 4, 5, 11, 12, 19].map(number);
        assert_eq!(bits, 32, "bits a pixel");
        let rows = dump[header + colours * 12..].chunks(row_bytes).take(height);
        let pixels = rows.flat_map(|row| row.chunks(4).take(width));
        let pixels = pixels.flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
        let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
        let raster = Raster::new(width as u32, height as u32, format).expect("a raster");
        Picture { raster, pixels, metadata: Metadata::default() }
    }

    /// Whether this is seen, pixel for pixel, somewhere in the area.
    pub fn shows(&self, wanted: &Picture, area: Area) -> bool {
        self.find(wanted, area).is_some()
    }

    /// Where in the area this is seen, pixel for pixel.
    pub fn find(&self, wanted: &Picture, area: Area) -> Option<(u32, u32)> {
        let seen = self.look();
        let row_bytes = wanted.raster.row_bytes();
        let row = |y: u32, x: u32| &seen.pixels[y as usize * seen.raster.row_bytes() + x as usize * 3..];
        let right = (area.x + area.width).min(seen.raster.width());
        let below = (area.y + area.height).min(seen.raster.height());
        let mut places = (area.y..(below + 1).saturating_sub(wanted.raster.height()))
            .flat_map(|y| (area.x..(right + 1).saturating_sub(wanted.raster.width())).map(move |x| (x, y)));
        places.find(|&(x, y)| {
            (y..).zip(wanted.pixels.chunks(row_bytes)).all(|(y, pixels)| row(y, x).starts_with(pixels))
        })
    }

    /// All of it.
    pub fn area(&self) -> Area {
        let raster = self.look().raster;
        Area { x: 0, y: 0, width: raster.width(), height: raster.height() }
    }

    /// Waits for something that has to be seen.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut is_seen: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_seen() {
            if Instant::now() > deadline {
                let seen = self.keep("in-vain");
                panic!(
                    "waited in vain until {what}; the screen is in {seen:?}, if UTSUSHI_SCREENSHOTS is set"
                );
            }
            thread::sleep(PAUSE);
        }
    }

    /// Keeps what is on the screen, if that is wanted.
    pub fn keep(&self, name: &str) -> Option<PathBuf> {
        let folder = PathBuf::from(std::env::var_os("UTSUSHI_SCREENSHOTS")?);
        let path = folder.join(format!("{name}.png"));
        fs::create_dir_all(&folder).expect("a folder");
        picture::write(&path, Format::Png, &self.look(), &WriteOptions::default()).expect("it is written");
        Some(path)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        for child in [&mut self.manager, &mut self.server] {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
