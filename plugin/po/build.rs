//! Compiles every `.po` file beside this into a catalogue of gettext's. It is done by a crate, so that nothing but cargo is
//! needed to build: many a machine has no msgfmt.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=.");
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo tells"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo tells"));
    let entries = fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "po")).collect();
    files.sort();

    let compiled = files.iter().map(|file| compile(file, &out));
    let list: String =
        compiled.map(|(language, mo)| format!("({language:?}, include_bytes!({mo:?})),\n")).collect();
    fs::write(out.join("catalogues.rs"), format!("&[\n{list}]")).expect("written");
}

/// The language, and the catalogue's file.
fn compile(file: &Path, out: &Path) -> (String, PathBuf) {
    let language = file.file_stem().expect("a name").to_str().expect("a language's code").to_owned();
    let catalogue = polib::po_file::parse(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mo = out.join(format!("{language}.mo"));
    polib::mo_file::write(&catalogue, &mo).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    (language, mo)
}
