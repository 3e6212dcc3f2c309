//! Ten thousand requests of every kind, through the whole program: what the daemon holds afterwards.
//!
//! ```text
//! cargo bench --package utsushi-tests --bench endurance
//! ```
//!
//! A line after each tenth: resident memory, open descriptors, threads. After the first, all three should stay as they are.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Instant;

use utsushi_ipc::client::Client;
use utsushi_ipc::endpoint;
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_ipc::protocol::{Priority, StylizeSpec};
use utsushi_tests::binary::{Home, wait_until};
use utsushi_tests::waiting::{small_picture, waiting_picture};

const REQUESTS: usize = 10_000;
const STYLES: [&str; 4] = ["cel", "oil", "comic", "anime"];

fn main() {
    let home = Home::new();
    let mut daemon =
        home.utsushi(&["serve"]).stderr(std::process::Stdio::null()).spawn().expect("the binary runs");
    wait_until("the daemon answers", || home.status()["running"] == true);
    println!("requests   resident MB   descriptors   threads   seconds");
    let begun = Instant::now();
    let mut client = connect(&home);
    for number in 0..REQUESTS {
        client = request(&home, client, number);
        if (number + 1) % (REQUESTS / 10) == 0 {
            // Those who were cut off are gone a moment later.
            wait_until("all but one have left", || {
                client.status().is_ok_and(|status| status.running + status.queued == 0)
            });
            let (resident, descriptors, threads) = held(daemon.id());
            let seconds = begun.elapsed().as_secs_f64();
            println!(
                "{:>8}   {resident:>11.1}   {descriptors:>11}   {threads:>7}   {seconds:>7.1}",
                number + 1
            );
        }
    }
    home.run(&["stop"]);
    daemon.wait().expect("a child");
}

fn connect(home: &Home) -> Client {
    Client::connect(&home.socket()).expect("the daemon answers")
}

/// One request; returns the connection for the next.
fn request(home: &Home, mut client: Client, number: usize) -> Client {
    match number % 10 {
        0 => drop(client.styles().expect("styles")),
        1 => drop(client.status().expect("a status")),
        2 => drop(client.jobs().expect("jobs")),
        // Refused, which ends the connection.
        3 => {
            let mix = vec![utsushi_ipc::protocol::StyleShare { id: "nobody".into(), share: 1.0 }];
            let refused = draw(client, &StylizeSpec { mix, ..small_picture() }, usize::MAX);
            assert!(refused.is_none(), "there is no such style");
            return connect(home);
        }
        // Cancelled half-way.
        4 => {
            drop(draw(client, &spec(number, 256), 0));
            return connect(home);
        }
        // Cut off: a picture without rows, and bytes that are no message.
        5 => drop(waiting_picture(&home.socket())),
        6 => {
            let mut stranger = endpoint::connect(&home.socket()).expect("the daemon listens");
            let _ = stranger.write_all(&[0xff; 100]);
        }
        7 if number % 1000 == 7 => client.unload().expect("unloaded"),
        _ => return draw(client, &spec(number, 8 + number % 57), usize::MAX).expect("a picture"),
    }
    client
}

fn spec(number: usize, side_px: usize) -> StylizeSpec {
    let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
    let mut spec = small_picture();
    spec.raster = Raster::new(side_px as u32, side_px as u32, format).expect("a raster");
    spec.mix[0].id = STYLES[number / 10 % STYLES.len()].into();
    spec.priority = if number % 20 < 10 { Priority::Batch } else { Priority::Interactive };
    spec
}

/// Draws a picture, unless it is to be cancelled at so many words from the daemon.
fn draw(client: Client, spec: &StylizeSpec, patience: usize) -> Option<Client> {
    let mut told = 0;
    let go_on = |_| {
        told += 1;
        if told > patience { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    Some(client.stylize(spec, |_, _, _| Ok(()), |_, _, _| Ok(()), go_on).ok()?.0)
}

/// Resident memory in MB, descriptors and threads of a process.
fn held(pid: u32) -> (f64, usize, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let number = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("a folder").count();
    (number("VmRSS:") / 1024.0, descriptors, number("Threads:") as usize)
}
