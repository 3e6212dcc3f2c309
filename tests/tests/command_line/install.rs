//! GIMP's plug-in, into every profile, and out again. What the desktop gets is in `install_desktop`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use utsushi_po::CATALOGUES;
use utsushi_tests::binary::{Home, assert_code, binary, errors, finish, operation, plug_in};

const PROFILES: [&str; 3] =
    [".config/GIMP/2.10", ".config/GIMP/3.0", ".var/app/org.gimp.GIMP/config/GIMP/3.0"];

/// Runs the binary, for which the folder is the user's home, and `root` in it the system's root.
pub(super) fn run(home: &Home, code: i32, line: &str) -> (String, String) {
    run_after(home, "", code, line)
}

/// The same, after the shell has run `before`.
pub(super) fn run_after(home: &Home, before: &str, code: i32, line: &str) -> (String, String) {
    let args: Vec<_> = line.split_whitespace().chain(["--root", "root"]).collect();
    let mut command = home.utsushi_after(before, &args);
    live_in(home, &mut command);
    let output = finish(command);
    assert_code(&output, code, &args);
    (String::from_utf8_lossy(&output.stdout).into_owned(), errors(&output))
}

/// Has the command take the folder for the user's home. The tester's own systemd isn't to hear of it.
pub(super) fn live_in(home: &Home, command: &mut Command) {
    command.env("HOME", home.path());
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
}

/// Where GEGL looks, for these profiles.
const OF_GEGL: [&str; 2] =
    [".local/share/gegl-0.4/plug-ins", ".var/app/org.gimp.GIMP/data/gegl-0.4/plug-ins"];

pub(super) fn install() -> String {
    format!("install --plugin {}", plug_in().display())
}

/// A folder for which the program is installed.
pub(super) fn put_program(home: &Home, folder: &str) -> PathBuf {
    let folder = home.path().join(folder);
    fs::create_dir_all(&folder).expect("made");
    fs::copy(binary(), folder.join("utsushi")).expect("a copy");
    folder.join("utsushi")
}

#[test]
fn every_profile_gets_the_plug_in_and_loses_it_again() {
    let home = Home::new();
    let install = install();
    for profile in PROFILES {
        fs::create_dir_all(home.path().join(profile).join("plug-ins/other")).expect("made");
        fs::write(home.path().join(profile).join("plug-ins/other/other"), "not ours").expect("written");
    }
    fs::create_dir_all(home.path().join(".config/GIMP/2.8")).expect("made");
    let notes = home.path().join(PROFILES[0]).join("plug-ins/utsushi-gimp/notes");
    fs::create_dir_all(notes.parent().expect("a folder")).expect("made");
    fs::write(notes, "not ours either").expect("written");
    let before = home.files(".");

    let (told, _) = run(&home, 0, &format!("{install} --dry-run"));
    let of_gimp = |told: &str, what: &str| {
        told.lines().filter(|line| line.contains(what) && line.contains("/utsushi-gimp/")).count()
    };
    let files = PROFILES.len() * (2 + CATALOGUES.len());
    assert_eq!(of_gimp(&told, "would install"), files, "{told}");
    assert!(home.files(".") == before, "a dry run changes nothing");

    let (told, _) = run(&home, 0, &install);
    assert!(of_gimp(&told, "installed /") == files && told.contains("restart GIMP"), "{told}");
    let mut expected = before.clone();
    for profile in PROFILES {
        for source in [binary(), plug_in()] {
            let name = source.file_name().expect("a name").to_str().expect("plain");
            let name = format!("{profile}/plug-ins/utsushi-gimp/{name}");
            let mode = fs::metadata(home.path().join(&name)).expect("a file").permissions().mode();
            assert_eq!(mode & 0o7777, 0o755, "{name}");
            expected.insert(name, fs::read(source).expect("a program"));
        }
        for (language, catalogue) in CATALOGUES {
            let name =
                format!("{profile}/plug-ins/utsushi-gimp/locale/{language}/LC_MESSAGES/utsushi-gimp.mo");
            let mode = fs::metadata(home.path().join(&name)).expect("a file").permissions().mode();
            assert_eq!(mode & 0o7777, 0o644, "{name}");
            expected.insert(name, catalogue.to_vec());
        }
    }
    for folder in OF_GEGL {
        for source in [binary(), &operation()] {
            let name = source.file_name().expect("a name").to_str().expect("plain");
            expected.insert(
                format!("{folder}/utsushi/{name}"),
                fs::read(source).expect("a program or a library"),
            );
        }
    }
    let installed = home.files(".");
    let is_of_gimp = |name: &str| !name.starts_with(".local/") || name.contains("/gegl-0.4/");
    let of_gimp_alone = installed.iter().filter(|(name, _)| is_of_gimp(name));
    assert!(of_gimp_alone.eq(expected.iter()), "{:?}", installed.keys());

    let (told, _) = run(&home, 0, &install);
    assert!(of_gimp(&told, "up to date") == files && !told.contains("restart"), "{told}");
    assert!(home.files(".") == installed, "installing again changes nothing");

    run(&home, 0, "uninstall --dry-run");
    assert!(home.files(".") == installed, "a dry run changes nothing");
    let (told, _) = run(&home, 0, "uninstall");
    assert!(told.contains("removed /") && told.contains("left /"), "{told}");
    assert!(home.files(".") == before, "{:?}", home.files(".").into_keys());
    let left = PROFILES.map(|profile| home.names(&format!("{profile}/plug-ins")).len());
    assert_eq!(left, [2, 1, 1], "only the folder with other files is left");

    let (told, _) = run(&home, 0, "uninstall");
    assert!(told.contains("not installed"), "{told}");
}

#[test]
fn one_profile() {
    let home = Home::new();
    for profile in ["mine", PROFILES[1]] {
        fs::create_dir_all(home.path().join(profile)).expect("made");
    }
    let names =
        || ["mine", PROFILES[1]].map(|profile| home.names(&format!("{profile}/plug-ins/utsushi-gimp")).len());
    run(&home, 0, &format!("{} --profile mine", install()));
    assert_eq!((names(), home.names(".local").len()), ([3, 0], 0), "and nothing for the desktop");
    run(&home, 0, "uninstall --profile mine");
    assert_eq!(names(), [0, 0]);
}

#[test]
fn a_program_that_every_gimp_finds_is_not_copied() {
    let check = |prepare: fn(&Home), expected: &[&str]| {
        let home = Home::new();
        fs::create_dir_all(home.path().join(PROFILES[1])).expect("made");
        fs::create_dir_all(home.path().join("root/usr/bin")).expect("made");
        prepare(&home);
        let (told, _) = run(&home, 0, &install());
        let names = home.names(&format!("{}/plug-ins/utsushi-gimp", PROFILES[1]));
        assert_eq!(names, expected, "{told}");
        assert_eq!(told.contains("the daemon is root/usr/"), names.len() == 2, "{told}");
    };
    let both = ["locale", "utsushi", "utsushi-gimp"];
    let alone = ["locale", "utsushi-gimp"];
    check(|_| {}, &both);
    check(|home| drop(put_program(home, "root/usr/bin")), &alone);
    check(|home| drop(put_program(home, "root/usr/local/bin")), &alone);
    // A session's PATH has none of these, even if a shell's has.
    check(|home| drop(put_program(home, ".cargo/bin")), &both);
    check(|home| drop(put_program(home, "root/opt/bin")), &both);
    check(
        |home| {
            let own = put_program(home, ".cargo/bin");
            symlink(own, home.path().join("root/usr/bin/utsushi")).expect("made");
        },
        &both,
    );
    // The first on PATH is what counts.
    check(
        |home| {
            put_program(home, "root/usr/bin");
            let old = put_program(home, "root/usr/local/bin");
            fs::write(old, "an older one").expect("written");
        },
        &both,
    );
    // Flatpak's GIMP shares the profile, but sees no program of the system's.
    check(
        |home| {
            put_program(home, "root/usr/bin");
            fs::create_dir_all(home.path().join(".var/app/org.gimp.GIMP")).expect("made");
        },
        &both,
    );
}

#[test]
fn for_all_users() {
    let home = Home::new();
    let folders = ["root/usr/lib/x86_64-linux-gnu/gimp/2.0/plug-ins", "root/usr/lib64/gimp/3.0/plug-ins"];
    let gegl = "root/usr/lib/x86_64-linux-gnu/gegl-0.4";
    fs::create_dir_all(home.path().join(gegl)).expect("made");
    folders.iter().for_each(|folder| fs::create_dir_all(home.path().join(folder)).expect("made"));
    fs::create_dir_all(home.path().join(PROFILES[1])).expect("made");
    let before = home.files(".");

    run_after(&home, "umask 077;", 0, &format!("{} --system", install()));
    for folder in folders {
        let ours = home.path().join(folder).join("utsushi-gimp");
        for path in [&ours, &ours.join("utsushi"), &ours.join("utsushi-gimp")] {
            let mode = fs::metadata(path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o7777, 0o755, "{}: all may use it", path.display());
        }
    }
    assert_eq!(home.names(&format!("{gegl}/utsushi")), ["libutsushi_gegl.so", "utsushi"]);
    assert_eq!(home.names(PROFILES[1]), [""; 0], "profiles stay as they are");
    assert_eq!(home.names(OF_GEGL[0]), [""; 0], "nor is anything for one user");
    run(&home, 0, "uninstall --system");
    assert!(home.files(".") == before);
    assert_eq!(folders.map(|folder| home.names(folder).len()), [0, 0]);
}

#[test]
fn a_failure_leaves_what_was_there_and_the_other_profiles_get_theirs() {
    let home = Home::new();
    for profile in PROFILES {
        let ours = home.path().join(profile).join("plug-ins/utsushi-gimp");
        fs::create_dir_all(&ours).expect("made");
        fs::write(ours.join("utsushi-gimp"), "old").expect("written");
    }
    let before = home.files(".");
    // As on a full disk: no file may become as large as the programs are.
    let (told, error) = run_after(&home, "trap '' XFSZ; ulimit -f 64;", 1, &install());
    assert_eq!((error.matches("File too large").count(), told.contains("restart")), (6, false), "{error}");
    assert!(home.files(".") == before, "{:?}", home.files(".").into_keys());

    // The first profile's folder is no folder.
    let first = home.path().join(PROFILES[0]).join("plug-ins");
    fs::remove_dir_all(&first).expect("removed");
    fs::write(&first, "a file").expect("written");
    let (told, error) = run(&home, 1, &install());
    assert!(error.contains(first.to_str().expect("plain")), "{error}");
    assert_eq!((told.matches("updated /").count(), told.contains("restart GIMP")), (2, true), "{told}");
}

#[test]
fn programs_that_run_are_replaced() {
    let home = Home::new();
    let ours = home.path().join(PROFILES[1]).join("plug-ins/utsushi-gimp");
    fs::create_dir_all(&ours).expect("made");
    let mut running: Vec<_> = ["utsushi", "utsushi-gimp"]
        .into_iter()
        .map(|name| {
            fs::copy("/bin/sleep", ours.join(name)).expect("a program");
            Command::new(ours.join(name)).arg("600").spawn().expect("it runs")
        })
        .collect();
    let (told, _) = run(&home, 0, &install());
    assert_eq!(told.matches("updated /").count(), 2, "{told}");
    for source in [binary(), plug_in()] {
        let name = source.file_name().expect("a name");
        assert!(fs::read(ours.join(name)).expect("a file") == fs::read(source).expect("a file"));
    }
    run(&home, 0, "uninstall");
    assert!(!ours.exists());
    for child in &mut running {
        assert!(child.try_wait().expect("a child").is_none(), "it goes on");
        child.kill().and_then(|()| child.wait()).expect("a child");
    }
}

#[test]
fn without_a_plug_in_it_says_how_to_get_one() {
    let (home, alone) = (Home::new(), Home::new());
    fs::create_dir_all(home.path().join(PROFILES[1])).expect("made");
    let program = alone.path().join("utsushi");
    fs::copy(binary(), &program).expect("a copy");
    let mut command = Command::new(program);
    live_in(&home, command.arg("install"));
    let output = finish(command);
    assert_code(&output, 1, &["install"]);
    assert!(errors(&output).contains("cargo build --release --package utsushi-gimp"), "{output:?}");
    assert!(home.files(".").is_empty());
}
