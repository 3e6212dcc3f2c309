//! Compiles the kernels to PTX, which the driver compiles for the GPU that it finds. clang does that without any toolkit of
//! NVIDIA's.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What is compiled, for the GPUs from which on it serves, by their compute capability: Turing, and Ampere with its larger
/// products.
const FILES: [(&str, &str, &str); 3] = [
    ("kernels.cu", "75", "sm_75.ptx"),
    ("kernels.cu", "80", "sm_80.ptx"),
    ("training/training.cu", "80", "training_sm_80.ptx"),
];

fn main() {
    println!("cargo::rerun-if-changed=kernels");
    println!("cargo::rerun-if-env-changed=CLANG");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for (file, target, ptx) in FILES {
        let ptx = out.join(ptx);
        if env::var_os("CARGO_FEATURE_KERNELS").is_some() {
            compile(&format!("kernels/{file}"), target, &ptx);
        } else {
            fs::write(&ptx, "").expect("cargo's folder can be written");
        }
    }
}

fn compile(file: &str, target: &str, ptx: &PathBuf) {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let mut command = Command::new(&clang);
    command.args(["-x", "cuda", "-std=c++17", "-O3", "-ffp-contract=fast", "-Wall", "-Wextra", "-Werror"]);
    command.args(["-nocudainc", "-nocudalib", "--cuda-device-only", "-Wno-unknown-cuda-version"]);
    // Of 2020: drivers since then take it.
    command.args(["-Xclang", "-target-feature", "-Xclang", "+ptx71"]);
    command.arg(format!("--cuda-gpu-arch=sm_{target}")).args(["-S", "-o"]).arg(ptx).arg(file);
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{clang} can't compile {file}: {status}"),
        Err(error) => {
            panic!(
                "{clang}: {error}; the feature `cuda` needs clang 14 or later (Debian: apt install clang), or say \
                 where it is by CLANG"
            )
        }
    }
}
