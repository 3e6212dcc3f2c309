//! What the desktop and systemd get: an entry, an icon and units, and out again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use utsushi_tests::binary::{Home, assert_code, binary, errors, finish, plug_in, wait_until};
use utsushi_tests::dbus::is_there;

use super::install::{install, live_in, put_program, run, run_after};

const SHARE: &str = ".local/share";
const PROGRAM: &str = ".local/lib/utsushi/utsushi";
const ENTRY: &str = "applications/org.utsushi.Utsushi.desktop";
const ICON: &str = "icons/hicolor/scalable/apps/org.utsushi.Utsushi.svg";
const SERVICE: &str = "systemd/user/utsushi.service";
const SOCKET: &str = "systemd/user/utsushi.socket";
const ALL: [&str; 4] = [ENTRY, ICON, SERVICE, SOCKET];

fn text(home: &Home, name: &str) -> String {
    fs::read_to_string(home.path().join(SHARE).join(name)).expect("a text")
}

/// A home in a folder that takes quoting. GLib finds no program with a percent sign in its path.
fn odd_home() -> (Home, Home) {
    let outer = Home::new();
    let parent = outer.path().join("a b;$c");
    fs::create_dir(&parent).expect("made");
    (Home::new_in(&parent), outer)
}

#[test]
fn the_desktop_gets_what_it_reads_and_loses_it_again() {
    let (home, _outer) = odd_home();
    let (told, _) = run(&home, 0, &format!("{} --dry-run", install()));
    assert_eq!(told.matches("would install").count(), 5, "{told}");
    assert!(home.files(".").is_empty(), "a dry run changes nothing");

    let (told, _) = run(&home, 0, &install());
    assert_eq!(told.matches("installed /").count(), 5, "{told}");
    assert!(told.contains("GIMP has no filter yet") && told.contains("start GIMP once"), "{told}");
    assert!(!told.contains("restart GIMP") && !told.contains("systemctl"), "{told}");
    let mut expected = ALL.map(|name| format!("{SHARE}/{name}")).to_vec();
    expected.insert(0, PROGRAM.to_owned());
    let installed = home.files(".");
    assert_eq!(installed.keys().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    assert!(installed[PROGRAM] == fs::read(binary()).expect("a program"));

    // The desktop's own checker, and systemd's, which looks for the program, too.
    let path = |name: &str| home.path().join(SHARE).join(name);
    let program = home.path().join(PROGRAM);
    assert!(text(&home, ENTRY).contains(&format!("\nTryExec={}\n", program.display())));
    if is_there("desktop-file-validate") {
        let output = Command::new("desktop-file-validate").arg(path(ENTRY)).output().expect("it runs");
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
    if is_there("systemd-analyze") {
        let mut command = Command::new("systemd-analyze");
        command.args(["--user", "--man=no", "verify"]).args([path(SOCKET), path(SERVICE)]);
        command.env("XDG_RUNTIME_DIR", home.path()).env("HOME", home.path());
        let output = finish(command);
        assert_code(&output, 0, &["verify"]);
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // As desktops do who have GLib take the line apart.
    if is_there("gio") {
        let mut launch = Command::new("gio");
        launch.arg("launch").arg(path(ENTRY)).env_remove("DBUS_SESSION_BUS_ADDRESS").env("HOME", home.path());
        launch.env("UTSUSHI_SOCKET", home.socket()).env("XDG_STATE_HOME", home.path().join("state"));
        // Which the daemon inherits.
        launch.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(launch.status().expect("it runs").success());
        wait_until("the entry has started the daemon", || home.status()["running"] == true);
        home.expect(0, &["stop"]);
        for folder in ["run", "state"] {
            drop(fs::remove_dir_all(home.path().join(folder)));
        }
    }

    let (told, _) = run(&home, 0, &install());
    assert_eq!(told.matches("up to date").count(), 5, "{told}");
    let (told, _) = run(&home, 0, "uninstall --dry-run");
    assert!(told.matches("would remove").count() == 6 && home.files(".") == installed, "{told}");
    run(&home, 0, "uninstall");
    assert!(home.files(".").is_empty(), "{:?}", home.files(".").into_keys());
    assert!(!home.path().join(".local/lib/utsushi").exists());
    let (told, _) = run(&home, 0, "uninstall");
    assert!(told.contains("not installed"), "{told}");
}

#[test]
fn what_was_changed_stays() {
    let home = Home::new();
    run(&home, 0, &install());
    // An older version's entry, and a unit that somebody has changed.
    let other = Home::new();
    let moved = put_program(&other, "bin");
    let mut command = Command::new(moved);
    live_in(&home, command.args(["install", "--plugin"]).arg(plug_in()));
    assert_code(&finish(command), 0, &["install"]);
    assert!(text(&home, ENTRY).contains(&other.path().join("bin/utsushi").display().to_string()));
    assert!(!home.path().join(PROGRAM).exists(), "nobody needs the copy any more");
    let mine = text(&home, SERVICE).replace("MemoryMax=75%", "MemoryMax=25%");
    let service = home.path().join(SHARE).join(SERVICE);
    fs::write(&service, &mine).expect("written");

    let (told, _) = run(&home, 0, &install());
    assert!(told.contains(&format!("left {}, which was changed", service.display())), "{told}");
    assert!(told.contains("updated") && text(&home, ENTRY).contains(PROGRAM), "{told}");
    let (told, _) = run(&home, 0, "uninstall");
    assert!(told.contains(&format!("left {}, which was changed", service.display())), "{told}");
    assert_eq!(home.files(".").into_keys().collect::<Vec<_>>(), [format!("{SHARE}/{SERVICE}")]);
    assert_eq!(text(&home, SERVICE), mine);
}

#[test]
fn for_all_users() {
    let home = Home::new();
    run_after(&home, "umask 077;", 0, &format!("{} --system", install()));
    let local = home.path().join("root/usr/local");
    for (name, mode) in [
        ("lib/utsushi/utsushi", 0o755),
        ("lib/systemd/user/utsushi.service", 0o644),
        ("lib/systemd/user/utsushi.socket", 0o644),
        (&format!("share/{ICON}"), 0o644),
        (&format!("share/{ENTRY}"), 0o644),
    ] {
        let found = fs::metadata(local.join(name)).expect("a file").permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{name}");
        let above = local.join(name).ancestors().skip(1).map(Path::to_path_buf).collect::<Vec<_>>();
        for folder in above.iter().take_while(|folder| **folder != local) {
            let found = fs::metadata(folder).expect("a folder").permissions().mode() & 0o7777;
            assert_eq!(found, 0o755, "{}: all may enter it", folder.display());
        }
    }
    let read = |name: &str| fs::read_to_string(local.join(name)).expect("a text");
    let program = "\"/usr/local/lib/utsushi/utsushi\"";
    assert!(read("lib/systemd/user/utsushi.service").contains(&format!("\nExecStart={program} serve\n")));
    assert_eq!(read(&format!("share/{ENTRY}")).matches(&format!("\nExec={program} ")).count(), 4);

    // As `systemctl --global enable` does.
    let wants = home.path().join("root/etc/systemd/user/sockets.target.wants");
    fs::create_dir_all(&wants).expect("made");
    symlink("/usr/local/lib/systemd/user/utsushi.socket", wants.join("utsushi.socket")).expect("made");
    run(&home, 0, "uninstall --system");
    assert!(home.files(".").is_empty() && !wants.join("utsushi.socket").is_symlink());
}

/// A package that has come with the program has brought all of it.
#[test]
fn what_a_package_has_brought_is_not_ours() {
    let home = Home::new();
    let program = put_program(&home, "prefix/bin");
    let metainfo = home.path().join("prefix/share/metainfo/org.utsushi.Utsushi.metainfo.xml");
    fs::create_dir_all(metainfo.parent().expect("a folder")).expect("made");
    fs::write(metainfo, "").expect("written");
    // The tarball's, in the user's own folders.
    fs::create_dir_all(home.path().join(SHARE).join("applications")).expect("made");
    fs::write(home.path().join(SHARE).join(ENTRY), "the package's").expect("written");
    let before = home.files(".");
    let run = |code: i32, args: &[&str]| {
        let mut command = Command::new(&program);
        live_in(&home, command.args(args));
        let output = finish(command);
        assert_code(&output, code, args);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), errors(&output))
    };
    let told = run(1, &["install"]);
    assert!(told.contains("start GIMP once") && told.contains("--profile"), "{told}");
    fs::create_dir_all(home.path().join(".config/GIMP/3.0")).expect("made");
    let told = run(0, &["install", "--plugin", plug_in().to_str().expect("plain")]);
    assert!(told.contains("came with") && told.contains("restart GIMP"), "{told}");
    let told = run(0, &["uninstall"]);
    assert!(home.files(".") == before && !told.contains(ENTRY), "{told}");
}

#[test]
fn a_running_manager_is_told() {
    let home = Home::new();
    let path = |name: &str| home.path().join(name);
    // A manager that is there, and a systemctl that notes what it is to do, enables, and fails if it is told to.
    fs::create_dir_all(path("runtime/systemd")).expect("made");
    fs::write(path("runtime/systemd/private"), "").expect("written");
    fs::create_dir_all(path("tools")).expect("made");
    let systemctl =
        "#!/bin/sh\necho \"$@\" >>told\n[ ! -e fails ] || { echo no such manager >&2; exit 1; }\n";
    fs::write(path("tools/systemctl"), systemctl).expect("written");
    fs::set_permissions(path("tools/systemctl"), fs::Permissions::from_mode(0o755)).expect("set");
    let before = "export XDG_RUNTIME_DIR=\"$PWD/runtime\" PATH=\"$PWD/tools:$PATH\";";
    let noted = || {
        fs::read_to_string(path("told")).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
    };

    let (told, _) = run_after(&home, before, 0, &install());
    assert!(told.contains("systemctl --user enable --now utsushi.socket\n"), "{told}");
    assert_eq!(noted(), ["--user daemon-reload"], "nothing is enabled unasked");
    let wants = path(".config/systemd/user/sockets.target.wants");
    fs::create_dir_all(&wants).expect("made");
    symlink(path(SHARE).join(SOCKET), wants.join("utsushi.socket")).expect("made");
    fs::remove_file(path(SHARE).join(SERVICE)).expect("removed");
    let (told, _) = run_after(&home, before, 0, &install());
    assert!(!told.contains("enable"), "{told}");

    fs::remove_file(path("told")).expect("removed");
    let (told, _) = run_after(&home, before, 0, "uninstall --dry-run");
    assert!(
        told.contains("would run systemctl --user disable --now utsushi.socket") && noted().is_empty(),
        "{told}"
    );
    // The link goes even if systemctl can't.
    fs::write(path("fails"), "").expect("written");
    let (_, error) = run_after(&home, before, 1, "uninstall");
    assert!(error.contains("systemctl --user disable --now utsushi.socket: no such manager"), "{error}");
    assert_eq!(noted(), ["--user disable --now utsushi.socket", "--user daemon-reload"]);
    assert!(!wants.join("utsushi.socket").is_symlink() && home.files(SHARE).is_empty());
    // Nothing was there any more.
    let (told, _) = run_after(&home, before, 0, "uninstall");
    assert!(told.contains("not installed") && noted().len() == 2, "{told}");
}
