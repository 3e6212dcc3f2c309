//! The program as people and scripts use it: the real binary, the daemon that it starts by itself, the real style.

mod batch;
mod chaos;
mod colours;
mod daemon;
mod disturbed;
mod enlarge;
mod evaluate;
mod flatpak;
mod import;
mod install;
mod install_desktop;
mod packaging;
mod picture_files;
mod refused;
mod signals;
mod styles;
mod systemd;
mod train;
mod user_manager;
mod words;
