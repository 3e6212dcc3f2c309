//! What desktops and shops of software read, with the programs that check it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
