//! Frames: how a message and its pixels lie on the socket. The only user of bincode.
//!
//! ```text
//! head length: u32 LE | head: bincode | body length: u32 LE | body: raw pixels
//! ```
//!
//! Both lengths are checked against their caps before anything is allocated, and a body's memory grows only as
//! its bytes arrive, so a lying length costs the liar more than it costs us. Pixels are never copied on the way:
//! a frame leaves in one vectored write, and a body arrives in a buffer that its reader uses again and again.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use bincode::config;
use serde::{Serialize, de::DeserializeOwned};

use crate::pixels::Raster;

/// The longest encoded message.
pub const MAX_HEAD_BYTES: u32 = 64 << 10;
/// The most pixels' bytes in one frame; the widest row allowed fits in several times over.
pub const MAX_BODY_BYTES: u32 = 32 << 20;

/// What a sender aims at for one frame's body.
const BAND_BYTES: usize = 1 << 20;
/// How much a body's buffer grows before the bytes for it have arrived.
const GROWTH_BYTES: usize = 1 << 20;

const ENCODING: config::Configuration<
    config::LittleEndian,
    config::Varint,
    config::Limit<{ MAX_HEAD_BYTES as usize }>,
> = config::standard().with_limit::<{ MAX_HEAD_BYTES as usize }>();

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer closed the connection between two frames.
    #[error("the other side closed the connection")]
    Closed,
    /// The peer closed the connection in the middle of a frame.
    #[error("the other side closed the connection in the middle of a message")]
    Truncated,
    /// A length beyond its cap.
    #[error("a message's {part} claims {bytes} bytes, but at most {most} are allowed")]
    TooLarge {
        /// Head or body.
        part: &'static str,
        /// What the frame claims.
        bytes: u32,
        /// The cap.
        most: u32,
    },
    /// Bytes that are no message.
    #[error("these bytes are no message: {0}")]
    Malformed(String),
    /// The socket failed, or a timeout passed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
}

/// Sends a message and its body, in one system call where the socket's buffer has room.
///
/// A message or a body beyond its cap is refused with [`ErrorKind::InvalidInput`] before anything is sent.
pub fn write_frame<H: Serialize>(w: &mut impl Write, head: &H, body: &[u8]) -> io::Result<()> {
    let too_large = |what: &str| {
        io::Error::new(ErrorKind::InvalidInput, format!("a message's {what} is too large to be sent"))
    };

    let mut start = vec![0; 4];
    let head_bytes =
        bincode::serde::encode_into_std_write(head, &mut start, ENCODING).map_err(io::Error::other)?;
    let head_length =
        u32::try_from(head_bytes).ok().filter(|&n| n <= MAX_HEAD_BYTES).ok_or_else(|| too_large("head"))?;
    let body_length =
        u32::try_from(body.len()).ok().filter(|&n| n <= MAX_BODY_BYTES).ok_or_else(|| too_large("body"))?;
    start[..4].copy_from_slice(&head_length.to_le_bytes());
    start.extend_from_slice(&body_length.to_le_bytes());

    write_all_vectored(w, &mut [IoSlice::new(&start), IoSlice::new(body)])?;
    w.flush()
}

/// What `Write::write_all_vectored` will be once it is stable.
fn write_all_vectored(w: &mut impl Write, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match w.write_vectored(parts) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Receives a message, and its body into `body`, whose memory is used again and whose old contents are lost.
pub fn read_frame<H: DeserializeOwned>(r: &mut impl Read, body: &mut Vec<u8>) -> Result<H, WireError> {
    let (message, body_length) = read_head(r)?;
    read_body(r, body, body_length)?;
    Ok(message)
}

/// Receives a message, and how many bytes its body has, for [`read_body`]: whoever is short of memory decides first.
pub fn read_head<H: DeserializeOwned>(r: &mut impl Read) -> Result<(H, usize), WireError> {
    let mut length = [0; 4];
    read_first(r, &mut length)?;
    let head_length = checked_length(length, "head", MAX_HEAD_BYTES)?;

    // The body's length comes with the head, which saves a system call.
    let mut head = vec![0; head_length + 4];
    read_rest(r, &mut head)?;
    let (head, length) = head.split_at(head_length);
    let body_length = checked_length([length[0], length[1], length[2], length[3]], "body", MAX_BODY_BYTES)?;

    let (message, used) = bincode::serde::decode_from_slice(head, ENCODING)
        .map_err(|error| WireError::Malformed(error.to_string()))?;
    if used != head_length {
        let left = head_length - used;
        return Err(WireError::Malformed(format!("{left} bytes are left over after the message")));
    }

    Ok((message, body_length))
}

fn checked_length(bytes: [u8; 4], part: &'static str, most: u32) -> Result<usize, WireError> {
    let bytes = u32::from_le_bytes(bytes);
    if bytes > most { Err(WireError::TooLarge { part, bytes, most }) } else { Ok(bytes as usize) }
}

/// Reads a frame's first bytes: here alone, the end of the stream is no accident.
fn read_first(r: &mut impl Read, buffer: &mut [u8]) -> Result<(), WireError> {
    let read = loop {
        match r.read(buffer) {
            Ok(0) => return Err(WireError::Closed),
            Ok(read) => break read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // What a peer looks like that closed while bytes of ours were still unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(WireError::Closed),
            Err(error) => return Err(WireError::Io(error)),
        }
    };
    read_rest(r, &mut buffer[read..])
}

fn read_rest(r: &mut impl Read, buffer: &mut [u8]) -> Result<(), WireError> {
    r.read_exact(buffer).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => WireError::Truncated,
        _ => WireError::Io(error),
    })
}

/// Receives a body of this length, over the bytes of the last one, so that frames of equal size cost no clearing.
pub fn read_body(r: &mut impl Read, body: &mut Vec<u8>, length: usize) -> Result<(), WireError> {
    body.truncate(length);
    let mut filled = 0;
    while filled < length {
        if body.len() == filled {
            body.resize(length.min(filled + GROWTH_BYTES), 0);
        }
        read_rest(r, &mut body[filled..])?;
        filled = body.len();
    }
    Ok(())
}

/// How many rows a sender puts into one frame: about 1 MiB, at least one row, at most the picture.
pub fn band_rows(raster: &Raster) -> u32 {
    let rows = u32::try_from(BAND_BYTES / raster.row_bytes()).unwrap_or(u32::MAX);
    rows.clamp(1, raster.height())
}

#[cfg(test)]
mod tests;
