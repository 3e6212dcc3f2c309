//! A part of a picture, all of it in memory, through the daemon, over a connection that stays warm between pictures.

use std::ops::ControlFlow;

use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::protocol::{FaultKind, Progress, StylizeReport, StylizeSpec};

use crate::region::Rect;

/// Pixels to draw, and what is wanted of them.
pub(crate) struct Part<'a> {
    pub(crate) spec: &'a StylizeSpec,
    /// Where the pixels lie.
    pub(crate) region: Rect,
    /// All of the region, without gaps between rows.
    pub(crate) pixels: &'a [u8],
    /// What of it is wanted.
    pub(crate) area: Rect,
}

/// Draws over the connection in `client`, or over a new one where that has gone cold, and leaves there what can be used
/// again. What comes back are the drawn pixels of the area, without gaps between rows.
pub(crate) fn draw(
    client: &mut Option<Client>,
    mut connect: impl FnMut() -> Result<Client, ClientError>,
    part: &Part<'_>,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Vec<u8>, StylizeReport), ClientError> {
    if let Some(warm) = client.take() {
        match draw_over(warm, part, client, &mut progress) {
            Err(ClientError::Lost { .. }) => {}
            // While it was idle, it gave way to somebody else's.
            Err(ClientError::Fault(fault)) if fault.kind == FaultKind::Busy => {}
            ended => return ended,
        }
    }
    draw_over(connect()?, part, client, &mut progress)
}

/// Leaves the connection in `kept` if it can be used again.
fn draw_over(
    client: Client,
    part: &Part<'_>,
    kept: &mut Option<Client>,
    progress: &mut impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Vec<u8>, StylizeReport), ClientError> {
    let Part { spec, region, pixels, area } = *part;
    let row_bytes = spec.raster.row_bytes();
    let pixel_bytes = spec.raster.format().pixel_bytes();
    let from = (area.x - region.x) as usize * pixel_bytes;
    let wanted_bytes = area.width as usize * pixel_bytes;
    let mut drawn = Vec::with_capacity(wanted_bytes * area.height as usize);
    let (client, report) = client.stylize(
        spec,
        |first_row, _, band| {
            let from = first_row as usize * row_bytes;
            band.copy_from_slice(&pixels[from..from + band.len()]);
            Ok(())
        },
        |first_row, rows, band| {
            let Some(wanted) = area.rows_within(region, first_row, rows) else { return Ok(()) };
            let skipped = (wanted.y - region.y) as usize - first_row as usize;
            for row in band.chunks_exact(row_bytes).skip(skipped).take(wanted.height as usize) {
                drawn.extend_from_slice(&row[from..from + wanted_bytes]);
            }
            Ok(())
        },
        progress,
    )?;
    *kept = Some(client);
    Ok((drawn, report))
}
