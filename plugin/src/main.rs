//! The plug-in's program, which GIMP starts; all of it is in the library.

fn main() -> std::process::ExitCode {
    utsushi_gegl::run()
}
