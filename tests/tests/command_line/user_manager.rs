//! The units under a real systemd of a user's: Debian 12's, and Debian 13's in the folder that `.ci/gimps` makes.
//!
//! The former leaves out what takes namespaces of the service's own (`PrivateTmp`, `PrivateNetwork`, `ProtectSystem`),
//! which a user's manager may not make; the latter has them, since it makes one of users first. Both filter system calls.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, binary, errors, finish};
use utsushi_tests::gimp::debian;
use utsushi_tests::pictures::write_drawn;
use utsushi_tests::training::{write_pictures, write_recipe};
use utsushi_training::recipe::Length;

/// Something that the script needs isn't there.
const SKIPPED: i32 = 77;

/// What a user does, and what is seen of it: `name=value` on lines of their own.
const SESSION: &str = r#"
    set -eu
    show() { echo "$1=$(systemctl --user show --property="$2" --value "$3")"; }
    is_own() { [ "$(readlink "/proc/$pid/ns/$1")" = "$(readlink "/proc/self/ns/$1")" ] && echo "$1=shared" || echo "$1=own"; }
    train() { built/utsushi train --photos photos --recipe recipe.toml --licence private "$@"; }

    built/utsushi install >installed
    systemctl --user enable --now utsushi.socket 2>/dev/null
    show before ActiveState utsushi.service
    built/utsushi stylize in.png -o out.png >&2
    pid=$(systemctl --user show --property=MainPID --value utsushi.service)
    echo "program=$(readlink "/proc/$pid/exe")"
    sed -n 's/^\(NoNewPrivs\|Seccomp\):\t/\1=/p' "/proc/$pid/status"
    for name in mnt net user; do is_own "$name"; done

    train --name Hana --art art >&2
    built/utsushi styles show hana >/dev/null && echo trained=hana
    cp -r art /tmp/art
    echo "from_tmp=$(train --name Tmp --art /tmp/art --detach 2>&1 || true)"

    systemctl --user stop utsushi.service
    cp in.png /tmp
    built/utsushi stylize /tmp/in.png -o /tmp/again.png >&2
    cp /tmp/again.png .
    show after ActiveState utsushi.service
    show result Result utsushi.service
    built/utsushi uninstall >uninstalled
    echo "socket=$(systemctl --user is-active utsushi.socket || true)"
    built/utsushi stylize in.png -o without.png >&2
    built/utsushi stop >&2
"#;

/// None if it can't be had, which is said.
fn seen_below(root: &Path, home: &Home) -> Option<BTreeMap<String, String>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/command_line/user_manager.sh");
    let mut command = Command::new("bash");
    command.arg(script).arg(root).arg(home.path()).args(["bash", "-c", SESSION]);
    // By which it is found, should it have to be ended.
    command.env("XDG_STATE_HOME", home.path().join("state"));
    let output = finish(command);
    if output.status.code() == Some(SKIPPED) {
        assert!(std::env::var_os("UTSUSHI_REQUIRE_DESKTOP").is_none(), "{}", errors(&output));
        eprintln!("skipped: no systemd of a user's: {}", errors(&output));
        return None;
    }
    let said = String::from_utf8(output.stdout.clone()).expect("text");
    assert!(output.status.success(), "{}: {said}{}", root.display(), errors(&output));
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some(said.lines().filter_map(pair).collect())
}

#[test]
fn a_users_systemd_starts_the_confined_daemon() {
    fn check(root: &Path, has_namespaces: bool) {
        let home = Home::new();
        write_pictures(home.path());
        write_recipe(home.path(), Length::Steps(3));
        write_drawn(&home.path().join("in.png"), 90, 70, Channels::Rgb, Depth::U8);
        fs::create_dir(home.path().join("built")).expect("made");
        fs::copy(binary(), home.path().join("built/utsushi")).expect("a copy");
        let Some(seen) = seen_below(root, &home) else { return };

        let namespace = if has_namespaces { "own" } else { "shared" };
        for (name, expected) in [
            ("before", "inactive"),
            ("program", "/home/user/.local/lib/utsushi/utsushi"),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
            ("mnt", namespace),
            ("net", namespace),
            ("user", namespace),
            ("trained", "hana"),
            ("after", "active"),
            ("result", "success"),
            ("socket", "inactive"),
        ] {
            assert_eq!(seen.get(name).map(String::as_str), Some(expected), "{name} of {seen:?}");
        }
        // The client sees the folder, which the daemon doesn't.
        let words = if has_namespaces { "systemd gave a /tmp of its own" } else { "is going to be trained" };
        assert!(seen["from_tmp"].contains(words), "{seen:?}");
        let read = |name: &str| fs::read(home.path().join(name)).expect("a file");
        assert!(read("out.png") == read("again.png") && read("out.png") == read("without.png"));
        assert_eq!(home.names(".config/systemd/user"), [""; 0]);
        assert_eq!(home.names(".local/share/systemd/user"), [""; 0]);
    }
    check(Path::new("/"), version_here() >= Some(257));
    check(&debian("trixie").unwrap_or_else(|| PathBuf::from("/nonexistent")), true);
}

/// Of the systemd that is installed.
fn version_here() -> Option<u32> {
    let output = Command::new("systemctl").arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()?.split_whitespace().nth(1)?.parse().ok()
}
