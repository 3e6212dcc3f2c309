//! The desktop's own windows, by way of xdg-desktop-portal: choosing a folder, showing a file.
//!
//! They belong to the session, not to this process, which may run as a service without a screen or a network.

use std::fs::File;
use std::path::{Path, PathBuf};

use ashpd::Error;
use ashpd::desktop::ResponseError;
use ashpd::desktop::file_chooser::SelectedFiles;
use ashpd::desktop::open_uri::{OpenDirectoryRequest, OpenFileRequest};
use zbus::Connection;

/// The folder that the user has chosen; none if it was none. Waits until then.
pub(super) fn choose_folder(
    bus: &Connection,
    title: &str,
    start: Option<&Path>,
) -> Result<Option<PathBuf>, Error> {
    zbus::block_on(async {
        let request = SelectedFiles::open_file().connection(Some(bus.clone())).title(title);
        let request = request.accept_label("Choose").modal(false).multiple(false).directory(true);
        match request.current_folder::<&Path>(start)?.send().await?.response() {
            Ok(chosen) => Ok(chosen.uris().first().and_then(|uri| path(uri.as_str()))),
            Err(Error::Response(ResponseError::Cancelled)) => Ok(None),
            Err(error) => Err(error),
        }
    })
}

/// Opens a file in the program that is for it.
pub(super) fn open(bus: &Connection, file: &Path) -> Result<(), Error> {
    let file = File::open(file).map_err(Error::IO)?;
    zbus::block_on(async {
        let request = OpenFileRequest::default().connection(Some(bus.clone())).ask(false);
        request.send_file(&file).await?.response()
    })
}

/// Shows a file among those beside it.
pub(super) fn show(bus: &Connection, file: &Path) -> Result<(), Error> {
    let file = File::open(file).map_err(Error::IO)?;
    zbus::block_on(async {
        let request = OpenDirectoryRequest::default().connection(Some(bus.clone()));
        request.send(&file).await?.response()
    })
}

/// That of a `file:` URI.
fn path(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    // A host may come first.
    let mut bytes = rest[rest.find('/')?..].bytes();
    let mut path = Vec::new();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| char::from(byte?).to_digit(16);
        path.push(match byte {
            b'%' => (hex(bytes.next())? * 16 + hex(bytes.next())?) as u8,
            byte => byte,
        });
    }
    Some(PathBuf::from(String::from_utf8(path).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_uris() {
        fn check(uri: &str, expected: Option<&str>) {
            assert_eq!(path(uri).as_deref(), expected.map(Path::new), "{uri}");
        }
        check("file:///home/me/art", Some("/home/me/art"));
        check("file://host/home/me", Some("/home/me"));
        check("file:///a%20b/%e5%86%99%E3%81%97", Some("/a b/写し"));
        check("file:///a%2", None);
        check("file:///a%zz", None);
        check("file:///%ff", None);
        check("file://host", None);
        check("https://example.org/a", None);
        check("", None);
    }
}
