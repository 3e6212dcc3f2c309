//! How files come to be on the disk, or don't.

use std::fs::{self, Permissions};
use std::io::{self, SeekFrom};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| PathBuf::from(entry.unwrap().file_name())).collect();
    names.sort();
    names
}

#[test]
fn a_new_file_is_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let picture = picture(9, 9, Channels::Rgba, Depth::U8);
    let plain = folder.path().join("plain");
    File::create(&plain).unwrap();
    for format in Format::ALL {
        let path = folder.path().join("new").with_extension(format.extensions()[0]);
        write(&path, format, &picture, &WriteOptions::default()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
        assert_eq!(read(&path).unwrap().raster.width(), 9);
    }
    assert_eq!(names(folder.path()).len(), 5);
}

#[test]
fn an_old_file_is_replaced_and_keeps_its_permissions_and_links() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("a.png"), folder.path().join("link.png"));
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    symlink("a.png", &link).unwrap();
    write(&link, Format::Png, &picture(3, 3, Channels::Grey, Depth::U8), &WriteOptions::default()).unwrap();
    assert_eq!(read(&path).unwrap().raster.width(), 3);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(names(folder.path()), [PathBuf::from("a.png"), PathBuf::from("link.png")]);
}

#[test]
fn a_failure_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    fs::write(&path, "old").unwrap();
    let result = replace::replace(&path, |out| {
        out.write_all(&vec![1; BUFFER_BYTES * 2]).unwrap();
        Err(Problem::Write(io::ErrorKind::StorageFull.into()))
    });
    assert!(matches!(result, Err(Problem::Write(_))));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), [PathBuf::from("a.png")]);

    let mut short = picture(5, 5, Channels::Rgb, Depth::U8);
    short.pixels.pop();
    for format in Format::ALL {
        let error = write(&path, format, &short, &WriteOptions::default()).unwrap_err();
        assert!(matches!(error.problem, Problem::WrongLength { expected: 75, found: 74 }));
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), [PathBuf::from("a.png")]);
}

/// A disk with so much room left.
struct Disk {
    file: Cursor<Vec<u8>>,
    room: u64,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.position() + bytes.len() as u64 > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[test]
fn a_full_disk_is_told_wherever_it_strikes() {
    let mut picture = picture(33, 21, Channels::Rgb, Depth::U8);
    picture.metadata = Metadata {
        icc: Some(icc(400)),
        exif: None,
        resolution: Resolution::per_inch(300.0, 300.0),
        ..Metadata::default()
    };
    for format in Format::ALL {
        let length = to_bytes(format, &picture).len() as u64;
        for room in (0..length).step_by(7).chain([length - 1]) {
            let mut disk = Disk { file: Cursor::new(Vec::new()), room };
            let problem = encode(&mut disk, format, &picture, &WriteOptions::default()).unwrap_err();
            assert!(problem.to_string().contains("the disk is full"), "{format:?} at {room}: {problem}");
        }
    }
}

#[test]
fn what_cannot_be_written_says_why() {
    #[track_caller]
    fn check(path: &Path, format: Format, picture: &Picture, expected: &str) {
        let error = write(path, format, picture, &WriteOptions::default()).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let small = picture(2, 2, Channels::Grey, Depth::U8);
    check(&path.join("b.png"), Format::Png, &small, "there is no such file or folder");
    check(folder.path(), Format::Png, &small, "something else than a file");
    check(Path::new("/dev/full"), Format::Png, &small, "something else than a file");
    check(
        &path,
        Format::Jpeg,
        &picture(65536, 1, Channels::Grey, Depth::U8),
        "JPEG holds at most 65535 a side",
    );
    check(
        &path,
        Format::WebP,
        &picture(1, 16384, Channels::Grey, Depth::U8),
        "WebP holds at most 16383 a side",
    );
    assert!(names(folder.path()).is_empty());

    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere.
    if File::create(folder.path().join("probe")).is_err() {
        check(&path, Format::Png, &small, "permission denied; change the permissions");
    }
}
