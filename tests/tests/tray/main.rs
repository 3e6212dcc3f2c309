//! The daemon on a desktop: a bus of the test's own, stand-ins for a portal and for notifications, and a real panel.

mod bus;
mod commands;
mod menu;
mod panel;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};

use rustix::process::Signal;
use utsushi_tests::binary::{Home, signal, wait_until};
use utsushi_tests::dbus::{Bus, Desktop};
use utsushi_tests::training::{write_pictures, write_recipe};
use utsushi_training::recipe::Length;

/// Longer than any test, and over at once.
const LONG: Length = Length::Steps(1_000_000);
const SHORT: Length = Length::Steps(3);

/// A user's session: a home with pictures to train from, a bus, and a desktop on it.
struct Session {
    home: Home,
    bus: Bus,
}

impl Session {
    /// A session, if there can be one. Trainings are so long.
    fn begin(length: Length) -> Option<(Self, Desktop)> {
        let home = Home::new();
        let bus = Bus::start(home.path())?;
        write_pictures(home.path());
        write_recipe(home.path(), length);
        let desktop = Desktop::on(&bus);
        Some((Self { home, bus }, desktop))
    }

    /// The binary in this session.
    fn utsushi(&self, args: &[&str]) -> Command {
        let mut command = self.home.utsushi(args);
        command.env("DBUS_SESSION_BUS_ADDRESS", self.bus.address());
        for (name, folder) in [("HOME", ""), ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data")] {
            command.env(name, self.home.path().join(folder));
        }
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        command
    }

    /// A daemon, which says what it does in `serve.log`.
    fn serve(&self, args: &[&str]) -> Daemon {
        let log = File::create(self.home.path().join("serve.log")).expect("a log");
        let serve = ["serve", "--checkpoint-interval", "500ms", "--tray-recipe", "recipe.toml"];
        let mut command = self.utsushi(&[&serve, args].concat());
        let child = command.stderr(log).spawn().expect("the binary runs");
        wait_until("the daemon answers", || self.home.status()["running"] == true);
        Daemon(child)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("serve.log")).expect("a log")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The state of a job, and the steps that it has taken.
    fn job(&self, number: usize) -> Option<(String, u64)> {
        let list = self.home.expect(0, &["jobs", "--json"]).stdout;
        let jobs: serde_json::Value = serde_json::from_slice(&list).expect("a list");
        let job = jobs.get(number - 1)?;
        Some((job["state"].as_str()?.to_owned(), job["step"].as_u64()?))
    }

    #[track_caller]
    fn wait_for_job(&self, number: usize, state: &str) {
        wait_until(&format!("job {number} is {state}"), || {
            self.job(number).is_some_and(|(found, _)| found == state)
        });
    }
}

/// A daemon that ends with the test.
struct Daemon(Child);

impl Daemon {
    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The names of its threads.
    fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("a process").flatten();
        let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
        tasks.filter_map(name).map(|name| name.trim().to_owned()).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        signal(self.pid() as i32, Signal::KILL);
        drop(self.0.wait());
    }
}
