//! A daemon that is killed again and again, at whatever moments: in the end there is, to the last byte, what an
//! undisturbed one makes. The moments are random, the same ones in each run as far as the machine lets them be.

use std::fs;
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, signal, wait_until};
use utsushi_tests::pictures::write_drawn;

use crate::batch::outputs;
use crate::train::{self, checkpoints, kill, serve};

/// How often a batch's daemon is killed, and a training's.
const KILLS: usize = 100;
const TRAINING_KILLS: usize = 20;
/// The most time between two kills: some daemons die while they start, others after several pictures.
const MOST_BETWEEN: Duration = Duration::from_millis(500);

fn batch(folder: &str) -> [&str; 6] {
    ["batch", "in", "-o", folder, "--style", "cel"]
}

#[test]
fn a_batch_whose_daemons_are_killed_a_hundred_times() {
    let home = Home::new();
    for (number, name) in ["a.png", "b.jpg", "c.tif", "d.webp", "e.png", "f.png"].into_iter().enumerate() {
        let side_px = 60 + 40 * number as u32;
        write_drawn(&home.path().join("in").join(name), side_px, 150, Channels::Rgb, Depth::U8);
    }
    home.expect(0, &batch("undisturbed"));
    let expected = outputs(&home, "undisturbed");
    assert_eq!(expected.len(), 6);

    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut kills = 0;
    for round in 0.. {
        let folder = format!("out-{round}");
        // A picture under which two daemons died has failed, and so has a batch that finds no daemon: it is run again.
        loop {
            let mut command = home.utsushi(&batch(&folder));
            let mut child =
                command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
            let status = end(&mut child, || {
                thread::sleep(MOST_BETWEEN.mul_f64(random.random()));
                if kills < KILLS {
                    let daemons = home.daemons();
                    daemons.iter().for_each(|pid| signal(*pid, Signal::KILL));
                    kills += daemons.len();
                }
            });
            match status.code() {
                Some(0) => break,
                code => assert_eq!(code, Some(1), "{status}"),
            }
        }
        assert!(outputs(&home, &folder) == expected, "{folder}: other files than undisturbed");
        if kills >= KILLS {
            break;
        }
    }
}

/// Does something until the command has ended.
fn end(command: &mut Child, mut disturb: impl FnMut()) -> ExitStatus {
    loop {
        if let Some(status) = command.try_wait().expect("a child") {
            return status;
        }
        disturb();
    }
}

#[test]
fn a_training_whose_daemons_are_killed_twenty_times() {
    const STEPS: &str = "100";
    let style = |home: &Home| fs::read(home.path().join("styles/hana.safetensors")).expect("a style");
    let undisturbed = train::home();
    undisturbed.expect(0, &train::train(&["--steps", STEPS]));

    let home = train::home();
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for kills in 0..TRAINING_KILLS {
        let daemon = serve(&home, "");
        if kills == 0 {
            home.expect(0, &train::train(&["--steps", STEPS, "--detach"]));
        }
        // After some time, or some steps: so none comes after the end, however fast the machine is.
        let (begun, time) = (Instant::now(), 3 * MOST_BETWEEN.mul_f64(random.random()));
        let (before, steps) = (checkpoints(&home), random.random_range(1..4));
        let mut seen = before.len();
        wait_until("it is time", || {
            let now = checkpoints(&home);
            seen += usize::from(now != before);
            begun.elapsed() > time || seen > before.len() + steps
        });
        kill(daemon);
        assert!(home.names("styles").is_empty(), "it was through before kill {kills}");
    }
    home.expect(0, &["jobs", "watch", "1"]);
    assert!(style(&home) == style(&undisturbed), "another style than undisturbed");
}
