//! The daemon on a GPU, which an emulator takes the place of: pictures are as the processor draws them, and neither a
//! full memory nor a GPU that goes away costs one.

use std::fs;
use std::path::Path;
use std::process::Command;

use utsushi::picture;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, assert_code, binary, errors, finish, wait_until};
use utsushi_tests::emulator;
use utsushi_tests::pictures::write_drawn;
use utsushi_tests::training::{write_pictures, write_recipe};
use utsushi_training::recipe::Length;

/// A home with a picture of 48 x 1000 pixels, which is four bands if they are small.
struct Place {
    home: Home,
    emulator: &'static Path,
}

/// What the emulated GPU was asked for.
struct Trace(String);

impl Place {
    fn new() -> Option<Self> {
        let place = Self { home: Home::new(), emulator: emulator::folder()? };
        write_drawn(&place.home.path().join("in.png"), 48, 1000, Channels::Rgb, Depth::U8);
        Some(place)
    }

    fn command(&self, settings: &[(&str, &str)], args: &[&str]) -> Command {
        let mut command = self.home.utsushi(args);
        command.env("LD_LIBRARY_PATH", self.emulator).env("EMULATED_TRACE", self.home.path().join("trace"));
        command.env_remove("UTSUSHI_DEVICE").envs(settings.iter().copied());
        command
    }

    /// Draws the picture by a daemon that starts with these settings, or that runs already.
    #[track_caller]
    fn draw(&self, settings: &[(&str, &str)]) -> Vec<u8> {
        let args = ["stylize", "in.png", "-o", "out.png", "--brush-size", "1", "--style", "paint"];
        assert_code(&finish(self.command(settings, &args)), 0, &args);
        picture::read(&self.home.path().join("out.png")).expect("a picture").pixels
    }

    /// Ends the daemon, and with it the trace.
    fn stop(&self) {
        self.home.expect(0, &["stop"]);
        wait_until("it has ended", || self.home.daemons().is_empty());
        self.trace();
    }

    fn device(&self) -> String {
        self.home.status()["device"].as_str().expect("a device").to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("state/utsushi/daemon.log")).unwrap_or_default()
    }

    /// What came since it was last asked.
    fn trace(&self) -> Trace {
        let file = self.home.path().join("trace");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        Trace(text)
    }
}

impl Trace {
    fn launches(&self, kernel: &str) -> usize {
        self.0.lines().filter(|line| line.starts_with(&format!("launch {kernel}"))).count()
    }

    /// The GPU's memory in use after each change, in bytes.
    fn memory(&self) -> Vec<i64> {
        self.in_use("memory ")
    }

    /// So of the processor's memory that is page-locked.
    fn locked(&self) -> Vec<i64> {
        self.in_use("locked ")
    }

    fn in_use(&self, what: &str) -> Vec<i64> {
        let changes = self.0.lines().filter_map(|line| line.strip_prefix(what)?.parse::<i64>().ok());
        changes
            .scan(0, |sum, change| {
                *sum += change;
                Some(*sum)
            })
            .collect()
    }

    /// The most that was in use, in bytes.
    fn peak(&self) -> i64 {
        self.memory().into_iter().max().expect("memory was taken")
    }
}

/// Of 8-bit pictures, in dB.
fn psnr_db(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    10.0 * (255.0_f64.powi(2) * a.len() as f64 / squares.max(1e-9)).log10()
}

#[track_caller]
fn assert_alike(a: &[u8], b: &[u8]) {
    let psnr = psnr_db(a, b);
    assert!(psnr > 50.0, "{psnr:.1} dB");
}

const CPU: (&str, &str) = ("UTSUSHI_DEVICE", "cpu");

#[test]
fn a_gpu_draws_as_the_processor_and_a_small_one_as_a_large_one() {
    let Some(place) = Place::new() else { return };
    let on_cpu = place.draw(&[CPU]);
    assert!(place.device().starts_with("CPU ("), "{}", place.device());
    assert_eq!(place.trace().0, "", "nothing is asked of the GPU");
    place.stop();

    let whole = place.draw(&[]);
    assert_alike(&whole, &on_cpu);
    let device = place.device();
    assert!(device.starts_with("Emulated GPU (cuda:0), 0.0 of 1.0 GiB"), "{device}");
    assert!(place.log().contains("networks run on Emulated GPU (cuda:0)"), "{}", place.log());
    let trace = place.trace();
    assert_eq!(trace.launches("tail_of_brush"), 1, "one band");
    let peak = trace.peak();
    place.stop();

    // The band around the wanted rows is 352 rows longer than them.
    let bands = place.draw(&[("EMULATED_MEMORY", &(peak * 7 / 10).to_string())]);
    assert!(bands == whole, "bands show");
    let trace = place.trace();
    let (tried, drawn) = (trace.launches("unshuffle_picture"), trace.launches("tail_of_brush"));
    assert!(drawn > 1 && tried == drawn, "{drawn} bands");
    assert!(place.device().starts_with("Emulated GPU"), "{}", place.device());
}

#[test]
fn a_gpu_without_room_leaves_it_to_the_processor() {
    let Some(place) = Place::new() else { return };
    let on_cpu = place.draw(&[CPU]);
    place.stop();
    // The first is too little for the network, the second for its smallest bands.
    for memory in ["100000", "1500000"] {
        assert!(place.draw(&[("EMULATED_MEMORY", memory)]) == on_cpu, "{memory}");
        assert!(place.log().contains("on the processor: the GPU's memory is full"), "{}", place.log());
        place.stop();
    }
}

#[test]
fn a_system_that_locks_no_pages_gets_the_same_picture() {
    let Some(place) = Place::new() else { return };
    let whole = place.draw(&[]);
    assert!(place.trace().locked().last().is_some_and(|bytes| *bytes > 0), "it is kept for the next");
    place.stop();
    assert!(place.draw(&[("EMULATED_LOCKED", "0")]) == whole);
    let trace = place.trace();
    assert!(trace.locked().is_empty() && trace.launches("tail_of_brush") == 1, "{}", trace.0);
    place.stop();
}

#[test]
fn a_gpu_that_goes_away_takes_nothing_along() {
    let Some(place) = Place::new() else { return };
    let on_cpu = place.draw(&[CPU]);
    place.stop();
    let whole = place.draw(&[]);
    let trace = place.trace();
    let in_a_band = trace.launches("");
    let two_bands = trace.peak() * 7 / 10;
    place.stop();

    // In the first band of the first picture; in its second; in the second picture.
    for (memory, launches) in [(1 << 30, 3), (two_bands, in_a_band + 3), (1 << 30, in_a_band + 3)] {
        let settings = [("EMULATED_MEMORY", memory.to_string()), ("EMULATED_LAUNCHES", launches.to_string())];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        for _ in 0..2 {
            let drawn = place.draw(&settings);
            assert_alike(&drawn, &on_cpu);
            assert_alike(&drawn, &whole);
        }
        assert!(
            place.log().contains("from here on: the GPU failed: unspecified launch failure"),
            "{}",
            place.log()
        );
        let device = place.device();
        assert!(device.starts_with("CPU (") && device.ends_with("unspecified launch failure"), "{device}");
        place.stop();
    }
}

#[test]
fn an_idle_daemon_gives_the_memory_back() {
    let Some(place) = Place::new() else { return };
    let mut daemon = place.command(&[], &["serve", "--idle-unload", "1s"]).spawn().expect("the binary runs");
    wait_until("the daemon answers", || place.home.status()["running"] == true);
    assert_eq!(place.trace().0, "", "nothing is taken before there is a picture");
    let first = place.draw(&[]);
    wait_until("the GPU is let go of", || place.device().contains("no style in its memory"));
    let trace = place.trace();
    assert_eq!(trace.memory().last(), Some(&0), "{}", trace.0);
    assert!(trace.0.ends_with("context 0\n"), "{}", trace.0);
    assert_eq!(trace.locked().last(), Some(&0), "{}", trace.0);
    assert!(place.draw(&[]) == first, "it is opened again");
    place.stop();
    daemon.wait().expect("it ends");
}

/// What its log says of a short training, which ends well.
#[track_caller]
fn train(place: &Place, settings: &[(&str, &str)]) -> String {
    write_pictures(place.home.path());
    write_recipe(place.home.path(), Length::Steps(4));
    let folders = ["--name", "Hana", "--art", "art", "--photos", "photos"];
    let args = [&["train"], &folders[..], &["--recipe", "recipe.toml", "--licence", "CC0-1.0"]].concat();
    assert_code(&finish(place.command(settings, &args)), 0, &args);
    assert_eq!(place.home.names("styles"), ["hana.safetensors"]);
    String::from_utf8(place.home.expect(0, &["jobs", "log", "1"]).stdout).expect("UTF-8")
}

#[test]
fn a_gpu_trains() {
    let Some(place) = Place::new() else { return };
    let log = train(&place, &[]);
    assert!(log.contains("the GPU trains") && !log.contains("failed"), "{log}");
    let trace = place.trace();
    assert!(trace.launches("weight_parts") > 4, "{}", trace.0);
    assert_eq!(trace.memory().last(), Some(&0), "what the training took is given back");
}

#[test]
fn a_gpu_that_fails_costs_no_training() {
    let fails = "the training goes on on the processor";
    for (settings, why) in [
        (("EMULATED_LAUNCHES", "300"), "unspecified launch failure"),
        (("EMULATED_MEMORY", "500000"), "the GPU's memory is full"),
    ] {
        let Some(place) = Place::new() else { return };
        let log = train(&place, &[settings]);
        assert!(log.contains("the GPU trains") && log.contains(why) && log.contains(fails), "{log}");
        assert_eq!(log.matches(fails).count(), 1, "{log}");
    }

    let Some(place) = Place::new() else { return };
    let log = train(&place, &[("EMULATED_CAPABILITY", "75")]);
    assert!(!log.contains("the GPU"), "{log}");
    assert_eq!(place.trace().launches("weight_parts"), 0);
    let too_old = "trainings run on the processor: Emulated GPU is too old to train";
    assert!(place.log().contains(too_old), "{}", place.log());
}

#[test]
fn who_cannot_have_a_gpu_learns_why() {
    let Some(place) = Place::new() else { return };
    // Without the emulator there is no driver here, or a real one.
    let has_driver = Path::new("/dev/nvidiactl").exists();
    let no_driver = "there is no driver for CUDA (libcuda.so.1)";
    let too_old = "Emulated GPU is too old: its compute capability is 6.1, and 7.5 is needed";
    let missing = "there is no GPU with the number 5; the driver finds 1, counted from 0";
    let old = [("EMULATED_CAPABILITY", "61")];
    let check = |settings: &[(&str, &str)], args: &[&str], code, words: &str| {
        let output = finish(place.command(settings, args));
        assert_code(&output, code, args);
        assert!(errors(&output).contains(words), "{}", errors(&output));
    };
    check(&old, &["serve", "--device", "cuda"], 1, too_old);
    check(&[], &["serve", "--device", "cuda:5"], 1, missing);
    check(&[], &["serve", "--device", "gpu"], 2, "it is auto, cpu, cuda or cuda:NUMBER");
    let plain = [("LD_LIBRARY_PATH", "")];
    if !has_driver {
        check(&plain, &["serve", "--device", "cuda:0"], 1, no_driver);
    }

    // Nobody who didn't ask for one is kept from drawing.
    let on_cpu = place.draw(&[CPU]);
    place.stop();
    for (settings, words) in [(&old, too_old), (&plain, no_driver)] {
        if settings == &plain && has_driver {
            continue;
        }
        assert!(place.draw(settings) == on_cpu);
        assert!(place.log().contains(&format!("networks run on the processor: {words}")), "{}", place.log());
        assert!(place.device().starts_with("CPU ("), "{}", place.device());
        place.stop();
    }
}

#[test]
fn the_program_needs_no_driver_to_start() {
    let program = fs::read(binary()).expect("the program");
    let names = |name: &[u8]| program.windows(name.len()).any(|bytes| bytes == name);
    assert!(names(b"tail_of_brush"), "the kernels are in it");
    let needed = Command::new("ldd").arg(binary()).output().expect("ldd runs");
    let needed = String::from_utf8_lossy(&needed.stdout).into_owned();
    assert!(needed.contains("libc.so") && !needed.contains("cuda"), "{needed}");
}
