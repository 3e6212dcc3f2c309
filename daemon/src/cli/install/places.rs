//! Where GIMP looks for plug-ins: a folder `plug-ins` in each profile, and one for all users. And where GEGL does, for every
//! GIMP and other program of a user's, or of all users'.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use utsushi_ipc::paths::FLATPAK_GIMP;

/// What GEGL calls its folders, in every version that GIMP 2.10 and 3 have.
const GEGL: &str = "gegl-0.4";

/// Where profiles are, and what a desktop reads.
pub(super) struct Homes {
    /// The user's home folder.
    pub(super) home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub(super) config: Option<PathBuf>,
    /// `$XDG_DATA_HOME`.
    pub(super) data: Option<PathBuf>,
}

impl Homes {
    pub(super) fn from_environment() -> Self {
        let home = env::home_dir().filter(|home| home.is_absolute());
        // A path that isn't whole counts as none, by XDG's specification.
        let whole = |name| env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        Self { home, config: whole("XDG_CONFIG_HOME"), data: whole("XDG_DATA_HOME") }
    }

    /// The folders that hold a profile a version; they need not exist.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let default = || Some(self.home.as_ref()?.join(".config"));
        let own = self.config.clone().or_else(default).map(|config| config.join("GIMP"));
        let flatpak = self.flatpak().map(|flatpak| flatpak.join("config/GIMP"));
        own.into_iter().chain(flatpak).collect()
    }

    /// Has Flatpak's GIMP ever run here? It sees none of the system's programs, and shares the other GIMPs' profiles.
    pub(super) fn have_flatpak(&self) -> bool {
        self.flatpak().is_some_and(|flatpak| flatpak.is_dir())
    }

    /// The folder in which Flatpak's GIMP believes itself at home.
    fn flatpak(&self) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(".var/app").join(FLATPAK_GIMP))
    }

    /// The plug-ins' folder of every profile, which itself need not exist.
    pub(super) fn places(&self) -> Vec<PathBuf> {
        let profiles = self.folders().into_iter().flat_map(|folder| profiles(&folder));
        without_repetition(profiles.map(|profile| profile.join("plug-ins")))
    }

    /// GEGL's folders, which need not exist, for the system's programs and for Flatpak's GIMP, which has its own data even
    /// where it shares the profiles.
    pub(super) fn of_gegl(&self) -> Vec<PathBuf> {
        let default = || Some(self.home.as_ref()?.join(".local/share"));
        let own = self.data.clone().or_else(default);
        let flatpak = self.flatpak().filter(|flatpak| flatpak.is_dir()).map(|flatpak| flatpak.join("data"));
        own.into_iter().chain(flatpak).map(|data| data.join(GEGL).join("plug-ins")).collect()
    }
}

/// The profiles in a folder, by their versions.
fn profiles(folder: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<_> = entries(folder)
        .into_iter()
        .filter_map(|profile| Some((version(profile.file_name()?.to_str()?)?, profile)))
        .filter(|(version, profile)| is_served(*version) && profile.is_dir())
        .collect();
    versions.sort();
    versions.into_iter().map(|(_, profile)| profile).collect()
}

/// GIMP's own folders below `root` that are there; 2.10 calls its folder 2.0, and so does every 3 with 3.0.
pub(super) fn of_the_system(root: &Path) -> Vec<PathBuf> {
    in_libraries(root, &["gimp/2.0/plug-ins", "gimp/3.0/plug-ins"])
}

/// GEGL's own folders below `root` that are there.
pub(super) fn of_the_systems_gegl(root: &Path) -> Vec<PathBuf> {
    in_libraries(root, &[GEGL])
}

/// Those of these folders that are there, in each of the system's for libraries.
fn in_libraries(root: &Path, names: &[&str]) -> Vec<PathBuf> {
    let libraries = root.join("usr/lib");
    let mut below = entries(&libraries);
    below.sort();
    let folders = [libraries, root.join("usr/lib64")].into_iter().chain(below);
    let found = folders.flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    without_repetition(found.filter(|folder| folder.is_dir()))
}

/// The program of this name that every desktop's session has on PATH, whatever a shell adds for itself.
pub(super) fn program_of_the_system(root: &Path, name: &str) -> Option<PathBuf> {
    let places = ["usr/local/bin", "usr/bin", "bin"].map(|folder| root.join(folder).join(name));
    places.into_iter().find(|program| program.is_file())
}

fn is_served(version: (u32, u32)) -> bool {
    version == (2, 10) || version >= (3, 0)
}

fn version(name: &str) -> Option<(u32, u32)> {
    let (major, minor) = name.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// None, if the folder can't be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Some of these folders are links to others.
fn without_repetition(places: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    places.filter(|place| seen.insert(real(place))).collect()
}

/// A folder without links on the way; a profile's folder for plug-ins may yet have to be made.
fn real(plug_ins: &Path) -> PathBuf {
    let from_profile = || Some(plug_ins.parent()?.canonicalize().ok()?.join(plug_ins.file_name()?));
    plug_ins.canonicalize().ok().or_else(from_profile).unwrap_or_else(|| plug_ins.to_path_buf())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder in which these are.
    fn made(folders: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for folder in folders.split_whitespace() {
            match folder.split_once("->") {
                Some((link, target)) => {
                    symlink(root.path().join(target), root.path().join(link)).expect("made")
                }
                None => fs::create_dir_all(root.path().join(folder)).expect("made"),
            }
        }
        root
    }

    #[test]
    fn every_profile_of_a_version_that_is_served() {
        fn check(folders: &str, config: Option<&str>, expected: &[&str]) {
            let root = made(folders);
            let homes = Homes {
                home: Some(root.path().to_path_buf()),
                config: config.map(|config| root.path().join(config)),
                data: None,
            };
            let expected: Vec<_> =
                expected.iter().map(|profile| root.path().join(profile).join("plug-ins")).collect();
            assert_eq!(homes.places(), expected, "{folders}");
        }
        check("", None, &[]);
        check(".config/GIMP", None, &[]);
        check(".config/GIMP/2.10", None, &[".config/GIMP/2.10"]);
        check(
            ".config/GIMP/3.2 .config/GIMP/2.10/plug-ins .config/GIMP/3.10 .config/GIMP/3.0",
            None,
            &[".config/GIMP/2.10", ".config/GIMP/3.0", ".config/GIMP/3.2", ".config/GIMP/3.10"],
        );
        check(
            ".config/GIMP/2.8 .config/GIMP/2.99 .config/GIMP/3 .config/GIMP/3.0.bak .config/GIMP/old",
            None,
            &[],
        );
        check(".config/GIMP/3.0 mine/GIMP/3.2", Some("mine"), &["mine/GIMP/3.2"]);
        check(
            ".config/GIMP/3.0 .var/app/org.gimp.GIMP/config/GIMP/3.0",
            None,
            &[".config/GIMP/3.0", ".var/app/org.gimp.GIMP/config/GIMP/3.0"],
        );
        check(".config/GIMP/3.0 .config/GIMP/3.2->.config/GIMP/3.0", None, &[".config/GIMP/3.0"]);
    }

    #[test]
    fn the_systems_folders() {
        fn check(folders: &str, expected: &[&str]) {
            let root = made(folders);
            let expected: Vec<_> = expected.iter().map(|folder| root.path().join(folder)).collect();
            assert_eq!(of_the_system(root.path()), expected, "{folders}");
        }
        check("", &[]);
        check("usr/lib/gimp/2.0", &[]);
        check("usr/lib/gimp/2.0/plug-ins", &["usr/lib/gimp/2.0/plug-ins"]);
        check(
            "usr/lib/x86_64-linux-gnu/gimp/2.0/plug-ins usr/lib/x86_64-linux-gnu/gimp/3.0/plug-ins",
            &["usr/lib/x86_64-linux-gnu/gimp/2.0/plug-ins", "usr/lib/x86_64-linux-gnu/gimp/3.0/plug-ins"],
        );
        check("usr/lib64/gimp/3.0/plug-ins", &["usr/lib64/gimp/3.0/plug-ins"]);
        check("usr/lib/gimp/3.0/plug-ins usr/lib64->usr/lib", &["usr/lib/gimp/3.0/plug-ins"]);
    }

    #[test]
    fn gegls_folders() {
        fn check(folders: &str, data: Option<&str>, expected: &[&str]) {
            let root = made(folders);
            let homes = Homes {
                home: Some(root.path().to_path_buf()),
                config: None,
                data: data.map(|data| root.path().join(data)),
            };
            let expected: Vec<_> = expected.iter().map(|folder| root.path().join(folder)).collect();
            assert_eq!(homes.of_gegl(), expected, "{folders}");
        }
        let own = ".local/share/gegl-0.4/plug-ins";
        let flatpak = ".var/app/org.gimp.GIMP/data/gegl-0.4/plug-ins";
        check("", None, &[own]);
        check("", Some("mine"), &["mine/gegl-0.4/plug-ins"]);
        check(".config/GIMP/3.0 .var/app/org.example.Other", None, &[own]);
        check(".config/GIMP/3.0 .var/app/org.gimp.GIMP", None, &[own, flatpak]);
    }

    #[test]
    fn the_systems_gegl() {
        fn check(folders: &str, expected: &[&str]) {
            let root = made(folders);
            let expected: Vec<_> = expected.iter().map(|folder| root.path().join(folder)).collect();
            assert_eq!(of_the_systems_gegl(root.path()), expected, "{folders}");
        }
        check("usr/lib", &[]);
        check("usr/lib/x86_64-linux-gnu/gegl-0.4", &["usr/lib/x86_64-linux-gnu/gegl-0.4"]);
        check("usr/lib64/gegl-0.4", &["usr/lib64/gegl-0.4"]);
    }

    #[test]
    fn the_systems_programs() {
        fn check(files: &[&str], expected: Option<&str>) {
            let root = made("usr/local/bin usr/bin bin opt/bin");
            files.iter().for_each(|file| fs::write(root.path().join(file), "").expect("written"));
            let expected = expected.map(|file| root.path().join(file));
            assert_eq!(program_of_the_system(root.path(), "utsushi"), expected, "{files:?}");
        }
        check(&[], None);
        check(&["opt/bin/utsushi", "usr/bin/utsushi-gimp"], None);
        check(&["usr/bin/utsushi"], Some("usr/bin/utsushi"));
        check(&["usr/bin/utsushi", "usr/local/bin/utsushi"], Some("usr/local/bin/utsushi"));
    }

    #[test]
    fn flatpaks_gimp_was_there_if_it_left_a_home() {
        fn check(folders: &str, expected: bool) {
            let root = made(folders);
            let homes = Homes { home: Some(root.path().to_path_buf()), config: None, data: None };
            assert_eq!(homes.have_flatpak(), expected, "{folders}");
        }
        check(".config/GIMP/3.0 .var/app/org.example.Other", false);
        check(".config/GIMP/3.0 .var/app/org.gimp.GIMP", true);
    }
}
