//! What the program says of itself: help, completions, manual pages.

use std::fs;
use std::process::Command;

use utsushi_tests::binary::{Home, finish};

const COMMANDS: [&str; 12] = [
    "stylize",
    "batch",
    "enlarge",
    "styles",
    "train",
    "jobs",
    "evaluate",
    "status",
    "stop",
    "serve",
    "completions",
    "man",
];

fn told(home: &Home, args: &[&str]) -> String {
    String::from_utf8(home.expect(0, args).stdout).expect("UTF-8")
}

#[test]
fn help_and_version() {
    let home = Home::new();
    assert_eq!(told(&home, &["--version"]), format!("utsushi {}\n", env!("CARGO_PKG_VERSION")));
    let all = told(&home, &["help"]);
    for command in COMMANDS {
        assert!(all.contains(command), "{command}");
        let help = told(&home, &["help", command]);
        assert!(help.contains("Example") && help.contains(&format!("utsushi {command}")), "{help}");
    }
    assert!(home.processes().is_empty());
}

#[test]
fn completions() {
    let home = Home::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = told(&home, &["completions", shell]);
        for word in COMMANDS.into_iter().chain(["--keep-colours", "--idle-unload"]) {
            // powershell and elvish write the dashes, fish leaves them out.
            assert!(script.contains(word.trim_start_matches('-')), "{shell}: {word}");
        }
        fs::write(home.path().join(shell), script).expect("written");
    }
    let mut bash = Command::new("bash");
    bash.args(["-c", ". ./bash && complete -p utsushi"]).current_dir(home.path());
    if bash.output().is_err() {
        return eprintln!("skipped in part: there is no bash");
    }
    let complete = finish(bash);
    assert!(complete.status.success() && complete.stderr.is_empty(), "{complete:?}");
}

#[test]
fn manual_pages() {
    let home = Home::new();
    let page = told(&home, &["man"]);
    assert!(page.contains(".TH utsushi 1"), "{page}");
    home.expect(0, &["man", "-o", "share/man1"]);
    let pages = home.files("share/man1");
    assert_eq!(String::from_utf8_lossy(&pages["utsushi.1"]), page);
    for command in COMMANDS {
        let page = String::from_utf8_lossy(&pages[&format!("utsushi-{command}.1")]).into_owned();
        assert!(page.contains(".SH SYNOPSIS") && page.contains("Example"), "{command}: {page}");
    }
}
