//! What desktops and shops of software read, with the programs that check it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use utsushi_tests::binary::{Home, assert_code, errors, finish};

const PACKAGING: &str = "../packaging";
const APP_ID: &str = "org.utsushi.Utsushi";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(PACKAGING).join(name)
}

/// Runs a program that checks files; which has nothing to check with if it isn't installed.
fn passes(program: &str, args: &[&str], files: &[PathBuf]) {
    if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("UTSUSHI_REQUIRE_DESKTOP").is_none(), "{program} is not installed");
        eprintln!("skipped: {program} is not installed");
        return;
    }
    let mut command = Command::new(program);
    // Which systemd's wants to have, as a session does.
    let output = command.args(args).args(files).env("XDG_RUNTIME_DIR", "/tmp").output().expect("it runs");
    assert!(output.status.success(), "{program}: {output:?}");
}

#[test]
fn the_metainfo_is_valid_and_of_this_version() {
    let components =
        [APP_ID, "org.gimp.GIMP.Plugin.Utsushi"].map(|id| (id, path(&format!("metainfo/{id}.metainfo.xml"))));
    for (id, file) in &components {
        let text = fs::read_to_string(file).expect("the metainfo");
        assert!(text.contains(&format!("<id>{id}</id>")), "{id}");
        // The first release is the newest.
        let release = text.split("<release version=\"").nth(1).and_then(|rest| rest.split('"').next());
        assert_eq!(release, Some(env!("CARGO_PKG_VERSION")), "{id}");
    }
    passes("appstreamcli", &["validate", "--no-net"], &components.map(|(_, file)| file));
}

#[test]
fn the_entry_and_the_icon_have_the_metainfos_names() {
    let text = fs::read_to_string(path(&format!("metainfo/{APP_ID}.metainfo.xml"))).expect("the metainfo");
    let entry = path(&format!("desktop/{APP_ID}.desktop"));
    let icon = path(&format!("icons/hicolor/scalable/apps/{APP_ID}.svg"));
    assert!(text.contains(&format!("<launchable type=\"desktop-id\">{APP_ID}.desktop<")), "{text}");
    assert!(text.contains(&format!("<icon type=\"stock\">{APP_ID}<")), "{text}");
    let lines = fs::read_to_string(&entry).expect("the entry");
    assert!(lines.contains(&format!("\nIcon={APP_ID}\n")), "{lines}");
    assert!(icon.is_file());
    passes("desktop-file-validate", &[], &[entry]);
}

/// From 0, safe, to 10, times 10. What would make it less, a user's manager can't do.
#[test]
fn the_service_is_confined() {
    let args = ["--user", "--man=no", "--no-pager", "--offline=true", "--threshold=55", "security"];
    passes("systemd-analyze", &args, &[path("systemd/utsushi.service")]);
}

/// A folder as the tarball makes it, in one with a space in its name, with programs that say what they are told.
fn unpacked(home: &Home) -> PathBuf {
    let folder = home.path().join("un packed");
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
    };
    let say = format!("#!/bin/sh\necho \"${{0##*/}} $*\" >> '{}'\n", home.path().join("said").display());
    write("bin/utsushi", &say);
    write("programs/systemctl", &say);
    write("lib/utsushi/utsushi-gimp", "");
    for (file, to) in [
        ("install.sh", "install.sh"),
        ("systemd/utsushi.service", "share/systemd/user/utsushi.service"),
        ("desktop/org.utsushi.Utsushi.desktop", "share/applications/org.utsushi.Utsushi.desktop"),
    ] {
        write(to, &fs::read_to_string(path(file)).expect("it is there"));
    }
    folder
}

#[test]
fn the_tarball_is_installed_and_taken_away_again() {
    let home = Home::new();
    let folder = unpacked(&home);
    let run = |script: &Path, args: &[&str]| -> Output {
        let mut command = Command::new("sh");
        let programs = std::env::var("PATH").unwrap_or_default();
        let programs = format!("{}:{programs}", folder.join("programs").display());
        command.arg(script).args(args).env("HOME", home.path()).env("PATH", programs);
        finish({
            command.env_remove("XDG_CONFIG_HOME");
            command
        })
    };
    let script = folder.join("install.sh");
    let said = || {
        let said = fs::read_to_string(home.path().join("said")).unwrap_or_default();
        let _ = fs::remove_file(home.path().join("said"));
        said
    };
    let check = |args: &[&str], prefix: &Path| {
        let before = home.files("");
        let shown = prefix.display();
        let entry = home.path().join(".config/autostart/org.utsushi.Utsushi.desktop");
        fs::create_dir_all(entry.parent().expect("a folder")).expect("made");
        // Twice, as an update is.
        for _ in 0..2 {
            assert_code(&run(&script, args), 0, args);
            assert_eq!(said(), format!("utsushi install --plugin {shown}/lib/utsushi/utsushi-gimp\n"));
        }
        let read = |path: &str| fs::read_to_string(prefix.join(path)).expect("it is there");
        let unit = read("share/systemd/user/utsushi.service");
        assert!(unit.contains(&format!("\nExecStart={shown}/bin/utsushi serve\n")), "{unit}");
        let launcher = read("share/applications/org.utsushi.Utsushi.desktop");
        assert!(launcher.contains(&format!("\nExec={shown}/bin/utsushi train --ask\n")), "{launcher}");
        assert!(!launcher.contains("Exec=utsushi"), "{launcher}");

        // The tray's entry goes with the program, and another program's stays.
        let others = "[Desktop Entry]\nExec=\"/opt/bin/utsushi\" serve\n".to_owned();
        let remove = [&["--uninstall"], args].concat();
        for (text, stays) in
            [(others, true), (format!("[Desktop Entry]\nExec=\"{shown}/bin/utsushi\" serve\n"), false)]
        {
            assert_code(&run(&script, args), 0, args);
            fs::write(&entry, text).expect("written");
            said();
            assert_code(&run(&script, &remove), 0, &remove);
            assert_eq!(
                said(),
                "systemctl --user disable --now utsushi.socket\nutsushi stop\nutsushi uninstall\n"
            );
            assert_eq!(entry.exists(), stays);
        }
        assert_eq!(home.files(""), before, "that is left");
    };
    check(&[], &home.path().join(".local"));
    let prefix = home.path().join("else/where");
    check(&[&prefix.display().to_string()], &prefix);
    check(&[&format!("{}/", prefix.display())], &prefix);

    for (script, args, code, words) in [
        (script.clone(), &["relative"][..], 2, "a whole path is needed"),
        (script.clone(), &["/with space"], 2, "only letters, digits"),
        (path("install.sh"), &["/nowhere"], 1, "run the script from the folder that the tarball makes"),
    ] {
        let output = run(&script, args);
        assert_code(&output, code, args);
        assert!(errors(&output).contains(words), "{}", errors(&output));
    }
    assert_eq!(said(), "");
}
