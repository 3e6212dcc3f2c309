//! Draws a layer anew, whatever GIMP it lies in: that is behind [`Host`].
//!
//! ```text
//! this thread, libgimp's only one              the client's threads
//! read rows of the layer     <=== Want ======  source ==> daemon
//!                            ==== pixels ===>
//! write rows into the shadow <=== Drawn =====  sink   <== daemon
//! show progress              <=== Progress ==
//! ```
//!
//! Only a few bands are ever on their way, so that a huge layer isn't held a second time. What was drawn becomes
//! visible at the very end, in one step: whatever fails before leaves the layer as it was. There is no cancelling
//! from within: GIMP ends the whole process, which closes the connection, which the daemon takes for a cancel.

mod bands;
#[cfg(test)]
mod tests;

use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster, RasterError};
use utsushi_ipc::protocol::{BrushSize, Place, Priority, Profile, StyleInfo, StyleShare, StylizeSpec};

use crate::params::{BadValue, Output, Settings};
use crate::region::{Rect, Scaled};
use crate::trouble;
use crate::words::{self, Word};

/// Pixels in and out. Everything is called on the thread that made it.
pub(crate) trait Rows {
    /// Pixels of the drawable, or of a copy of it that is smaller by `scale`, in whose pixels the area is then.
    fn read(&mut self, area: Rect, scale: f64, format: PixelFormat, pixels: &mut [u8]);
    /// Takes what was drawn.
    fn write(&mut self, area: Rect, format: PixelFormat, pixels: &[u8]);
    /// How much is done, up to 1.
    fn progress(&mut self, fraction: f64);
    /// Says what is going on.
    fn announce(&mut self, what: &str);
}

/// A drawable in GIMP. What is written goes where [`Host::begin`] has made a place for it.
pub(crate) trait Host: Rows {
    /// What was chosen to be drawn on.
    fn target(&mut self) -> Target;
    /// The part of it that is selected, even if only a little; all of it without a selection.
    fn selection(&mut self) -> Option<Rect>;
    /// How much each pixel of an area is selected, up to 255, of a copy as in [`Rows::read`]; nothing without a selection.
    fn mask(&mut self, area: Rect, scale: f64) -> Option<Vec<u8>>;
    /// The layer may have become another: its pixels are to be asked for anew.
    fn look_again(&mut self);
    /// Turns 8-bit samples of the drawable's colours into those of a screen, which is sRGB.
    fn show(&self, format: PixelFormat, pixels: &mut [u8]);
    /// Makes a place to draw this area on, unseen until [`Host::finish`].
    fn begin(&mut self, output: Output, area: Rect) -> Result<(), HostError>;
    /// Shows what was drawn in this area, as far as the selection allows, as one step to undo. `name` says what it
    /// is. A failure leaves nothing behind.
    fn finish(&mut self, area: Rect, name: &str) -> Result<(), HostError>;
    /// Forgets what was drawn.
    fn abandon(&mut self);
}

/// Something to draw on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: TargetKind,
    pub(crate) extent: Rect,
    /// Its pixels as babl calls them, without the colour space: `R'G'B'A u8`.
    pub(crate) encoding: String,
    /// Of its colours; its samples are encoded as it says.
    pub(crate) profile: Profile,
    /// Are samples light, by the profile, where they are floating-point numbers?
    pub(crate) is_linear: bool,
}

/// What a drawable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetKind {
    Layer,
    FloatingSelection,
    Locked,
    Group,
    Mask,
    Channel,
    Indexed,
}

/// GIMP refused; it seldom says why.
#[derive(Debug, thiserror::Error)]
#[error("GIMP could not {0}")]
pub(crate) struct HostError(pub(crate) &'static str);

/// Why a layer was not drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    #[error("{}", .0.text())]
    Unsuitable(Word),
    #[error("{}", words::ENCODING.with(&[("encoding", encoding.as_str())]))]
    Encoding { encoding: String },
    #[error("{}", words::NOTHING_SELECTED.text())]
    NothingSelected,
    #[error(transparent)]
    Value(#[from] BadValue),
    #[error(transparent)]
    Size(#[from] RasterError),
    #[error("{}", words::UNCHANGED.with(&[("reason", &trouble::describe(.0))]))]
    Daemon(#[from] ClientError),
    #[error("{}", words::UNCHANGED.with(&[("reason", &.0.to_string())]))]
    Host(#[from] HostError),
}

/// Draws the host's layer.
pub(crate) fn run(
    host: &mut impl Host,
    settings: &Settings,
    connect: impl FnOnce() -> Result<Client, ClientError>,
) -> Result<(), FilterError> {
    let Subject { target, format, selected } = subject(host, settings.output)?;

    host.announce("Utsushi");
    let mut client = connect()?;
    let Plan { mut spec, region, name } =
        plan(settings, &client.styles()?, Scaled::whole(target.extent), format, selected)?;
    spec.profile = target.profile;

    let title = words::TITLE_OF.with(&[("style", &name)]);
    host.announce(&title);
    host.begin(settings.output, selected)?;
    if let Err(error) = bands::draw(host, client, &spec, region, selected, &title) {
        host.abandon();
        return Err(error.into());
    }
    Ok(host.finish(selected, &name)?)
}

/// What can be drawn.
pub(crate) struct Subject {
    pub(crate) target: Target,
    pub(crate) format: PixelFormat,
    pub(crate) selected: Rect,
}

/// What is to be drawn, or why nothing can be.
pub(crate) fn subject(host: &mut impl Host, output: Output) -> Result<Subject, FilterError> {
    let target = host.target();
    suitable(target.kind, output)?;
    let format = pixel_format(&target.encoding)
        .ok_or_else(|| FilterError::Encoding { encoding: target.encoding.clone() })?;
    let selected = host.selection().ok_or(FilterError::NothingSelected)?;
    Ok(Subject { target, format, selected })
}

/// What the daemon is asked for.
pub(crate) struct Plan {
    pub(crate) spec: StylizeSpec,
    /// The part of the layer that it is sent.
    pub(crate) region: Rect,
    /// Of the styles.
    pub(crate) name: String,
}

/// What has to be sent so that the selected part is drawn as if the whole layer were, or the whole of its copy.
pub(crate) fn plan(
    settings: &Settings,
    styles: &[StyleInfo],
    layer: Scaled,
    format: PixelFormat,
    selected: Rect,
) -> Result<Plan, FilterError> {
    let mix = settings.mix(styles)?;
    let extent = layer.extent();
    let whole = Raster::new(side(extent.width), side(extent.height), format)?;
    let brush_size = layer.brush_size(settings.brush_size);
    let reach_px = mix.iter().map(|(style, _)| style.reach_px).max().unwrap_or(0);
    let region = selected.with_context(extent, reach_px, brush_size, format.channels.has_alpha());
    let place = (region != extent).then(|| Place {
        x: side(region.x - extent.x),
        y: side(region.y - extent.y),
        width: whole.width(),
        height: whole.height(),
    });
    let names: Vec<_> = mix.iter().map(|(style, _)| style.name.as_str()).collect();
    let spec = StylizeSpec {
        raster: Raster::new(side(region.width), side(region.height), format)?,
        mix: mix.iter().map(|(style, share)| StyleShare { id: style.id.clone(), share: *share }).collect(),
        strength: settings.strength,
        brush_size: BrushSize::Factor(brush_size),
        keep_colours: settings.keep_colours,
        seed: settings.seed,
        grain: settings.grain,
        place,
        priority: Priority::Interactive,
        profile: Profile::default(),
    };
    Ok(Plan { spec, region, name: names.join(" + ") })
}

fn side(pixels: i32) -> u32 {
    u32::try_from(pixels).unwrap_or(0)
}

fn suitable(kind: TargetKind, output: Output) -> Result<(), FilterError> {
    let why = match (kind, output) {
        (TargetKind::Layer, _) | (TargetKind::FloatingSelection, Output::Layer) => return Ok(()),
        (TargetKind::Locked, Output::NewLayer) => return Ok(()),
        (TargetKind::Locked, Output::Layer) => words::LOCKED,
        (TargetKind::FloatingSelection, Output::NewLayer) => words::FLOATING,
        (TargetKind::Group, _) => words::GROUP,
        (TargetKind::Mask, _) => words::MASK,
        (TargetKind::Channel, _) => words::CHANNEL,
        (TargetKind::Indexed, _) => words::INDEXED,
    };
    Err(FilterError::Unsuitable(why))
}

/// How to have pixels without losing any of their precision: as they are where the daemon knows such pixels, else as
/// floating point numbers. babl marks gamma-encoded components with `'`.
pub(crate) fn pixel_format(encoding: &str) -> Option<PixelFormat> {
    let (model, samples) = encoding.rsplit_once(' ')?;
    let channels = match model.replace(['\'', '~'], "").as_str() {
        "Y" => Channels::Grey,
        "YA" => Channels::GreyAlpha,
        "RGB" => Channels::Rgb,
        "RGBA" => Channels::Rgba,
        _ => return None,
    };
    let depth = match (model.contains('\''), samples) {
        (true, "u8") => Depth::U8,
        (true, "u16") => Depth::U16,
        (_, "u8" | "u16" | "u32" | "half" | "float" | "double") => Depth::F32,
        _ => return None,
    };
    Some(PixelFormat { channels, depth })
}
