//! Compiles the kernels to PTX, which the driver compiles for the GPU that it finds. clang does that without any toolkit of
//! NVIDIA's.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The GPUs from which on each file serves, by their compute capability: Turing, and Ampere with its larger products.
const TARGETS: [&str; 2] = ["75", "80"];

fn main() {
    println!("cargo::rerun-if-changed=kernels");
    println!("cargo::rerun-if-env-changed=CLANG");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for target in TARGETS {
        let ptx = out.join(format!("sm_{target}.ptx"));
        if env::var_os("CARGO_FEATURE_KERNELS").is_some() {
            compile(target, &ptx);
        } else {
            fs::write(&ptx, "").expect("cargo's folder can be written");
        }
    }
}

fn compile(target: &str, ptx: &PathBuf) {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let mut command = Command::new(&clang);
    command.args(["-x", "cuda", "-std=c++17", "-O3", "-ffp-contract=fast", "-Wall", "-Wextra", "-Werror"]);
    command.args(["-nocudainc", "-nocudalib", "--cuda-device-only", "-Wno-unknown-cuda-version"]);
    // Of 2020: drivers since then take it.
    command.args(["-Xclang", "-target-feature", "-Xclang", "+ptx71"]);
    command.arg(format!("--cuda-gpu-arch=sm_{target}")).args(["-S", "-o"]).arg(ptx).arg("kernels/kernels.cu");
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{clang} can't compile kernels/kernels.cu: {status}"),
        Err(error) => {
            panic!(
                "{clang}: {error}; the feature `cuda` needs clang 14 or later (Debian: apt install clang), or say \
                 where it is by CLANG"
            )
        }
    }
}
