//! GIMP's plug-in: into every profile, and out again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use utsushi_tests::binary::{Home, assert_code, binary, errors, finish, plug_in};

const PROFILES: [&str; 3] =
    [".config/GIMP/2.10", ".config/GIMP/3.0", ".var/app/org.gimp.GIMP/config/GIMP/3.0"];

/// Runs the binary, for which the folder is the user's home, and no other `utsushi` is on PATH but what `path` has.
fn run_with(home: &Home, path: &str, code: i32, line: &str) -> (String, String) {
    let args: Vec<_> = line.split_whitespace().collect();
    let mut command = home.utsushi(&args);
    command.env("HOME", home.path()).env("PATH", path).env_remove("XDG_CONFIG_HOME");
    let output = finish(command);
    assert_code(&output, code, &args);
    (String::from_utf8_lossy(&output.stdout).into_owned(), errors(&output))
}

fn run(home: &Home, code: i32, line: &str) -> (String, String) {
    run_with(home, "/nonexistent", code, line)
}

#[test]
fn every_profile_gets_the_plug_in_and_loses_it_again() {
    let home = Home::new();
    let install = format!("install --plugin {}", plug_in().display());
    let (_, error) = run(&home, 1, &install);
    assert!(error.contains("start GIMP once") && error.contains("--profile"), "{error}");

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
    assert_eq!(told.matches("would install").count(), 6, "{told}");
    assert!(home.files(".") == before, "a dry run changes nothing");

    let (told, _) = run(&home, 0, &install);
    assert!(told.matches("installed /").count() == 6 && told.contains("restart GIMP"), "{told}");
    let mut expected = before.clone();
    for profile in PROFILES {
        for source in [binary(), plug_in()] {
            let name = source.file_name().expect("a name").to_str().expect("plain");
            let name = format!("{profile}/plug-ins/utsushi-gimp/{name}");
            let mode = fs::metadata(home.path().join(&name)).expect("a file").permissions().mode();
            assert_eq!(mode & 0o7777, 0o755, "{name}");
            expected.insert(name, fs::read(source).expect("a program"));
        }
    }
    assert!(home.files(".") == expected, "{:?}", home.files(".").into_keys());

    let (told, _) = run(&home, 0, &install);
    assert!(told.matches("up to date").count() == 6 && !told.contains("restart"), "{told}");
    assert!(home.files(".") == expected, "installing again changes nothing");

    run(&home, 0, "uninstall --dry-run");
    assert!(home.files(".") == expected, "a dry run changes nothing");
    let (told, _) = run(&home, 0, "uninstall");
    assert!(told.contains("removed /") && told.contains("left /"), "{told}");
    assert!(home.files(".") == before, "{:?}", home.files(".").into_keys());
    let left = PROFILES.map(|profile| home.names(&format!("{profile}/plug-ins")).len());
    assert_eq!(left, [2, 1, 1], "only the folder with other files is left");

    let (told, _) = run(&home, 0, "uninstall");
    assert!(told.contains("not installed"), "{told}");
}

#[test]
fn one_profile_and_a_daemon_on_path() {
    let (home, system) = (Home::new(), Home::new());
    fs::copy(binary(), system.path().join("utsushi")).expect("a copy");
    let path = system.path().to_str().expect("plain");
    for profile in ["mine", PROFILES[1], PROFILES[2]] {
        fs::create_dir_all(home.path().join(profile)).expect("made");
    }
    let install = format!("install --plugin {}", plug_in().display());
    let folders =
        ["mine", PROFILES[1], PROFILES[2]].map(|profile| format!("{profile}/plug-ins/utsushi-gimp"));
    let names = || folders.each_ref().map(|folder| home.names(folder).len());

    run(&home, 0, &format!("{install} --profile mine"));
    assert_eq!(names(), [2, 0, 0]);
    run(&home, 0, "uninstall --profile mine");
    assert_eq!(names(), [0, 0, 0]);

    // Flatpak's GIMP doesn't see the system's programs.
    let (told, _) = run_with(&home, path, 0, &install);
    assert!(told.contains(&format!("its daemon is {path}/utsushi")), "{told}");
    assert_eq!(names(), [0, 1, 2]);
}

#[test]
fn without_a_plug_in_it_says_how_to_get_one() {
    let (home, alone) = (Home::new(), Home::new());
    fs::create_dir_all(home.path().join(PROFILES[1])).expect("made");
    let program = alone.path().join("utsushi");
    fs::copy(binary(), &program).expect("a copy");
    let mut command = Command::new(program);
    command.arg("install").env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
    let output = finish(command);
    assert_code(&output, 1, &["install"]);
    assert!(errors(&output).contains("cargo build --release --package utsushi-gimp"), "{output:?}");
    assert!(home.files(".").is_empty());
}
