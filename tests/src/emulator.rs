//! A GPU for machines that have none: `cuda/emulator.cpp` takes the place of NVIDIA's driver and runs the kernels
//! themselves, on the processor.
//!
//! A test that finds no C++ compiler, or a processor that isn't x86-64, says so and passes, unless `UTSUSHI_REQUIRE_CUDA`
//! is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::binary::binary;

/// The folder with a `libcuda.so.1`, for `LD_LIBRARY_PATH`; it is built for the first test that asks.
pub fn folder() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    if !cfg!(target_arch = "x86_64") {
        return missing("the emulator converts f16 by x86-64's instructions");
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = binary().with_file_name("emulator");
    fs::create_dir_all(&folder).expect("a folder");
    // Tests of one run are processes of their own, and may build it at the same time.
    let fresh = tempfile::NamedTempFile::new_in(&folder).expect("a file").into_temp_path();
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let mut command = Command::new(&compiler);
    command.args(["-std=c++17", "-O3", "-mf16c", "-ffp-contract=off", "-Wno-unknown-pragmas"]);
    command.args(["-DUTSUSHI_EMULATOR", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-I"]);
    command.arg(sources.join("../daemon/cuda/kernels")).arg("-I").arg(sources.join("cuda"));
    command.arg("-o").arg(&fresh).arg(sources.join("cuda/emulator.cpp"));
    match command.status() {
        Ok(status) => assert!(status.success(), "{command:?}: {status}"),
        Err(error) => return missing(&format!("{compiler}: {error}")),
    }
    fresh.persist(folder.join("libcuda.so.1")).expect("renamed");
    Some(folder)
}

fn missing<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("UTSUSHI_REQUIRE_CUDA").is_none(), "{why}");
    eprintln!("skipped: {why}");
    None
}
