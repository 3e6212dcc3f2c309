//! Whole commands, with a real daemon whose engine turns black into white.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clap::CommandFactory;
use tempfile::TempDir;
use utsushi_ipc::client::Client;
use utsushi_ipc::endpoint::Listener;
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_ipc::protocol::{Fault, PictureSpec, StyleInfo};

use super::{Cli, Ending, exit_code};
use crate::jobs::{self, Jobs, fake::FakeTrainers};
use crate::library::Library;
use crate::picture::{self, Format, Metadata, Picture, WriteOptions};
use crate::server::{self, Config, Stop};
use crate::worker::{Engine, Refusal, Stream};

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn requests_that_need_no_daemon() {
    fn check(line: &str, expected: Ending) {
        let args = line.split_whitespace().map(OsString::from);
        assert_eq!(exit_code(args), expected as u8, "{line}");
    }
    check("utsushi --version", Ending::Done);
    check("utsushi help stop", Ending::Done);
    check("utsushi", Ending::Usage);
    check("utsushi paint", Ending::Usage);
    check("utsushi stylize in.png", Ending::Usage);
    check("utsushi stylize in.png -o out.png --strength 2", Ending::Usage);
    check("utsushi stylize in.png -o out.png --style a --style a", Ending::Usage);
    check("utsushi stylize no-such-file.png -o out.png", Ending::Usage);
    check("utsushi stylize no-such-file.png -o out.gif", Ending::Usage);
    check("utsushi stylize in.png -o out.png --in-place", Ending::Usage);
    check("utsushi batch no-such-folder -o out", Ending::Usage);
    check("utsushi batch no-such-*.png -o out", Ending::Usage);
    check("utsushi batch in.png -o out --json --quiet", Ending::Usage);
    check("utsushi batch in.png -o out --redo --skip-existing", Ending::Usage);
    check("utsushi serve --idle-unload soon", Ending::Usage);
    check("utsushi install --system --profile /nonexistent --dry-run", Ending::Usage);
    check("utsushi install --plugin /nonexistent/utsushi-gimp --dry-run", Ending::Usage);
    check("utsushi uninstall --profile /nonexistent", Ending::Usage);
    check("utsushi styles show no-such-style", Ending::Failed);
    check("utsushi status --socket /nonexistent/utsushi.sock", Ending::Failed);
    check("utsushi stop --socket /nonexistent/utsushi.sock", Ending::Done);
}

#[test]
fn one_picture() {
    let studio = Studio::open();
    studio.write_picture("in.png", 10);
    fs::write(studio.path("broken.png"), "no picture").unwrap();
    let check = |line: &str, expected: Ending, output: &str, sample: Option<u8>| {
        assert_eq!(studio.run(line), expected as u8, "{line}");
        assert_eq!(studio.sample(output), sample, "{line}");
    };
    check("stylize IN/in.png -o IN/out.png", Ending::Done, "out.png", Some(245));
    check("stylize IN/in.png -o IN/out.tif --json", Ending::Done, "out.tif", Some(245));
    check("stylize IN/in.png -o IN/out.png --no-clobber", Ending::Usage, "out.png", Some(245));
    check("stylize IN/out.png --in-place", Ending::Done, "out.png", Some(10));
    check("stylize IN/in.png -o IN/other.png --style no-such-style", Ending::Usage, "other.png", None);
    check("stylize IN/broken.png -o IN/other.png", Ending::Failed, "other.png", None);
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/cases/two-pages.tif");
    fs::copy(&pages, studio.path("pages.tif")).unwrap();
    check("stylize IN/pages.tif --in-place", Ending::Failed, "pages.tif", Some(0));
    assert!(fs::read(studio.path("pages.tif")).unwrap() == fs::read(&pages).unwrap());
    assert_eq!(studio.drawn(), 3);
    check("stylize IN/pages.tif -o IN/page.tif", Ending::Done, "page.tif", Some(255));
    assert_eq!(studio.run("status"), Ending::Done as u8);
}

#[test]
fn pictures_become_larger() {
    let studio = Studio::open();
    ["in.png", "in/a.png", "in/sub/b.png"].iter().for_each(|name| studio.write_picture(name, 10));
    let size = |name: &str| {
        let path = studio.path(name);
        path.exists()
            .then(|| picture::read(&path).unwrap().raster)
            .map(|raster| (raster.width(), raster.height()))
    };
    let check = |line: &str, expected: Ending, outputs: &[(&str, Option<(u32, u32)>)]| {
        assert_eq!(studio.run(line), expected as u8, "{line}");
        for (output, expected) in outputs {
            assert_eq!(size(output), *expected, "{line}: {output}");
        }
    };
    let (twice, four_times) = (Some((6, 4)), Some((12, 8)));
    check("enlarge IN/in.png -o IN/out.png", Ending::Done, &[("out.png", twice)]);
    assert_eq!(studio.sample("out.png"), Some(245));
    check("enlarge IN/in.png -o IN/4.tif --scale 4 --kind drawing", Ending::Done, &[("4.tif", four_times)]);
    check("enlarge IN/in.png -o IN/out.png --no-clobber", Ending::Usage, &[]);
    check("enlarge IN/in.png -o IN/in.png", Ending::Usage, &[("in.png", Some((3, 2)))]);
    check("enlarge IN/in.png -o IN/out.png --recursive", Ending::Usage, &[]);
    check("enlarge IN/in.png -o IN/3.png --scale 3", Ending::Usage, &[("3.png", None)]);
    check("enlarge IN/in.png -o IN/3.webp --quality 5", Ending::Usage, &[("3.webp", None)]);
    check("enlarge IN/none.png -o IN/3.png", Ending::Usage, &[("3.png", None)]);
    fs::write(studio.path("clip.mp4"), "").unwrap();
    check("enlarge IN/clip.mp4 -o IN/large", Ending::Usage, &[]);

    // Into a folder, as a batch: what is there as it was ordered isn't done again.
    let both = [("large/a.jpg", twice), ("large/sub/b.jpg", twice)];
    let drawn = |line: &str, outputs: &[_]| {
        let before = studio.drawn();
        check(&format!("enlarge IN/in -o IN/large --recursive --format jpeg {line}"), Ending::Done, outputs);
        studio.drawn() - before
    };
    assert_eq!(drawn("", &both), 2);
    assert_eq!(drawn("--json", &both), 0);
    assert_eq!(drawn("--kind drawing", &both), 2);
    assert_eq!(drawn("--kind drawing --scale 4", &[("large/a.jpg", four_times)]), 2);
    assert_eq!(drawn("--skip-existing", &[("large/a.jpg", four_times)]), 0);
    assert_eq!(drawn("--redo", &both), 2);
    check("enlarge IN/in.png IN/out.png -o IN/more", Ending::Done, &[("more/in.png", twice)]);
    check("enlarge IN/in.png -o IN/more --no-clobber", Ending::Usage, &[]);
}

#[test]
fn what_would_be_too_large_is_told_before_it_is_begun() {
    let studio = Studio::open();
    let format = PixelFormat { channels: Channels::Grey, depth: Depth::U8 };
    let wide = |name: &str, width| {
        let raster = Raster::new(width, 1, format).unwrap();
        let picture = Picture { raster, pixels: vec![7; width as usize], metadata: Metadata::default() };
        picture::write(&studio.path(name), Format::Png, &picture, &WriteOptions::default()).unwrap();
    };
    wide("8192.png", 8192);
    wide("65537.png", 65_537);
    let check = |line: &str, expected: Ending| {
        let before = studio.drawn();
        assert_eq!(studio.run(line), expected as u8, "{line}");
        assert_eq!(studio.drawn() - before, u64::from(expected == Ending::Done), "{line}");
    };
    check("enlarge IN/8192.png -o IN/out.webp", Ending::Failed);
    check("enlarge IN/8192.png -o IN/out.jpg", Ending::Done);
    check("enlarge IN/65537.png -o IN/out.jpg", Ending::Failed);
    check("enlarge IN/65537.png -o IN/out.png", Ending::Done);
    check("enlarge IN/65537.png -o IN/out.png --scale 4", Ending::Failed);
    check("stylize IN/65537.png -o IN/out.jpg", Ending::Failed);
}

#[test]
fn a_batch_goes_on_where_it_was() {
    let studio = Studio::open();
    for (name, sample) in [("in/a.png", 1), ("in/b.png", 2), ("in/sub/c.png", 3)] {
        studio.write_picture(name, sample);
    }
    let mut before = 0;
    let mut check = |line: &str, expected: Ending, drawn: u64, samples: [Option<u8>; 3]| {
        assert_eq!(
            studio.run(&format!("batch IN/in -o IN/out --recursive {line}")),
            expected as u8,
            "{line}"
        );
        assert_eq!(studio.drawn() - before, drawn, "{line}");
        before = studio.drawn();
        let outputs = ["out/a.png", "out/b.png", "out/sub/c.png"];
        assert_eq!(outputs.map(|output| studio.sample(output)), samples, "{line}");
    };
    let inverted = [Some(254), Some(253), Some(252)];
    check("", Ending::Done, 3, inverted);
    check("", Ending::Done, 0, inverted);
    check("--json", Ending::Done, 0, inverted);
    check("--seed 1", Ending::Done, 3, inverted);
    check("", Ending::Done, 3, inverted);

    // As if an older program had drawn them, with another training of the style.
    let journal = studio.path("out/.utsushi-batch.jsonl");
    let version = format!("built-in {} ", env!("CARGO_PKG_VERSION"));
    let drawn = fs::read_to_string(&journal).unwrap();
    assert!(drawn.contains(&version), "{drawn}");
    fs::write(&journal, drawn.replace(&version, "built-in 0.0.1 ")).unwrap();
    check("", Ending::Done, 3, inverted);
    check("", Ending::Done, 0, inverted);

    fs::remove_file(studio.path("out/b.png")).unwrap();
    check("", Ending::Done, 1, inverted);
    studio.write_picture("in/b.png", 200);
    check("--skip-existing", Ending::Done, 0, inverted);
    check("", Ending::Done, 1, [Some(254), Some(55), Some(252)]);
    check("--redo", Ending::Done, 3, [Some(254), Some(55), Some(252)]);

    fs::write(studio.path("in/a.png"), "no picture any more").unwrap();
    check("", Ending::Failed, 0, [Some(254), Some(55), Some(252)]);
    studio.write_picture("in/a.png", 4);
    check("", Ending::Done, 1, [Some(251), Some(55), Some(252)]);
}

#[test]
fn a_batch_goes_on_past_what_it_cannot_read() {
    let studio = Studio::open();
    studio.write_picture("in/b.png", 1);
    std::os::unix::fs::symlink(studio.path("nowhere"), studio.path("in/a.png")).unwrap();
    assert_eq!(studio.run("batch IN/in -o IN/out"), Ending::Failed as u8);
    assert_eq!(studio.sample("out/b.png"), Some(254));
    assert_eq!(studio.run("batch IN/in/a.png -o IN/out"), Ending::Usage as u8);
}

#[test]
fn a_batch_may_change_the_format() {
    let studio = Studio::open();
    studio.write_picture("in/a.png", 1);
    assert_eq!(studio.run("batch IN/in/*.png -o IN/out --format tiff"), Ending::Done as u8);
    assert_eq!(studio.sample("out/a.tif"), Some(254));
    assert_eq!(studio.run("batch IN/in/a.png IN/out/a.tif -o IN/out --format tiff"), Ending::Usage as u8);
    assert_eq!(studio.drawn(), 1);
}

/// A folder, and a daemon that runs in it.
struct Studio {
    folder: TempDir,
    stop: Stop,
    daemon: Option<JoinHandle<()>>,
    _training: jobs::fake::Remote,
}

impl Studio {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stop = Stop::default();
        let listener = Listener::bind(&folder.path().join("run/daemon.sock")).unwrap();
        let config = Config {
            budget: crate::memory::Budget::of_the_system(),
            idle_unload: None,
            stall_timeout: Duration::from_secs(30),
            side_door: None,
        };
        let stopped = stop.clone();
        let library = Library::open(folder.path().join("styles"));
        let (trainers, training) = FakeTrainers::new();
        let jobs = Jobs::new(jobs::Config::new(folder.path().join("jobs"), library), trainers);
        let daemon = thread::spawn(move || {
            server::run(listener, config, Inverter { times: 1 }, jobs, || vec![style()], stopped).unwrap();
        });
        Self { folder, stop, daemon: Some(daemon), _training: training }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command line in which `IN` is the folder.
    fn run(&self, line: &str) -> u8 {
        let folder = self.folder.path().to_str().unwrap();
        let line = format!(
            "utsushi --socket {folder}/run/daemon.sock {}",
            line.replace("IN/", &format!("{folder}/"))
        );
        exit_code(line.split_whitespace().map(OsString::from))
    }

    /// How many pictures the daemon has drawn.
    fn drawn(&self) -> u64 {
        Client::connect(&self.path("run/daemon.sock")).unwrap().status().unwrap().finished
    }

    fn write_picture(&self, name: &str, sample: u8) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
        let raster = Raster::new(3, 2, format).unwrap();
        let picture = Picture { raster, pixels: vec![sample; 18], metadata: Metadata::default() };
        picture::write(&path, Format::Png, &picture, &WriteOptions::default()).unwrap();
    }

    /// The first sample of a picture, if it is there.
    fn sample(&self, name: &str) -> Option<u8> {
        let path: &Path = &self.path(name);
        path.exists().then(|| picture::read(path).unwrap().pixels[0])
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(daemon) = self.daemon.take() {
            let _ = daemon.join();
        }
    }
}

fn style() -> StyleInfo {
    StyleInfo {
        id: "anime".into(),
        name: "Anime".into(),
        author: "Nobody".into(),
        licence: "CC0-1.0".into(),
        attribution: "nobody".into(),
        built_in: true,
        reach_px: 0,
    }
}

/// An engine without a network, which makes so many bytes of each.
struct Inverter {
    times: usize,
}

impl Engine for Inverter {
    fn open(&mut self, job: &PictureSpec) -> Result<Box<dyn Stream>, Refusal> {
        let times = job.result().total_bytes() / job.raster().total_bytes();
        Ok(Box::new(Self { times: times as usize }))
    }

    fn unload(&mut self) {}

    fn loaded(&self) -> Vec<String> {
        Vec::new()
    }

    fn device(&self) -> String {
        "none".into()
    }
}

impl Stream for Inverter {
    fn push(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        out.extend(rows.iter().map(|sample| !sample).collect::<Vec<_>>().repeat(self.times));
        Ok(())
    }
}
