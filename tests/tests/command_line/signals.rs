//! Tests that are started by `nohup`, or in the background of a script, test the same as others.

use std::env;
use std::fs;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use utsushi_tests::binary::{Home, wait_until};

const CHILD_VARIABLE: &str = "UTSUSHI_TEST_SIGNALS";

/// Which of these signals a process ignores.
fn ignored(pid: impl std::fmt::Display) -> Vec<Signal> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a mask");
    let mask = u64::from_str_radix(mask.trim(), 16).expect("a number");
    let signals = [Signal::HUP, Signal::INT, Signal::QUIT];
    signals.into_iter().filter(|signal| mask & (1 << (signal.as_raw() - 1)) != 0).collect()
}

#[test]
fn what_is_started_in_a_home_ignores_no_signal() {
    if env::var_os(CHILD_VARIABLE).is_some() {
        assert_eq!(ignored("self"), [Signal::HUP, Signal::INT, Signal::QUIT]);
        let home = Home::new();
        // In the place of ours, a program that waits for the end of its input.
        let mut child = home.utsushi_after("exec cat;", &[]).stdin(Stdio::piped()).spawn().expect("a shell");
        wait_until("it ignores none", || ignored(child.id()).is_empty());
        drop(child.stdin.take());
        assert!(child.wait().expect("a child").success());
        return;
    }
    let name = "signals::what_is_started_in_a_home_ignores_no_signal";
    let mut deaf = Command::new("sh");
    deaf.args(["-c", "trap '' HUP INT QUIT; exec \"$0\" --exact \"$1\" --nocapture"]);
    deaf.arg(env::current_exe().expect("this program has a path")).arg(name).env(CHILD_VARIABLE, "1");
    let output = deaf.output().expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
