//! The kernels' calling conventions: what `kernels/kernels.cu` declares, and nothing else calls.

#![allow(unsafe_code)]

use cudarc::driver::{CudaSlice, DeviceRepr, LaunchConfig, PushKernelArg};

use crate::Error;
use crate::gpu::Gpu;
use crate::strokes::Strokes;
use crate::workspace::{Buffer, Map, Shape};

/// A kernel, and the shared memory that it needs, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) shared: usize,
}

const WARP: usize = 32;
/// Rows of a warp, and columns of every tile.
const WARP_ROWS: usize = 2;
const TILE_COLS: usize = 16;

/// Kernels for maps of this many channels, padded.
struct Width {
    channels: usize,
    block: Kernel,
    conv: Kernel,
}

macro_rules! widths {
    ($($channels:literal),*) => {
        [$(Width {
            channels: $channels,
            block: Kernel { name: concat!("block_", $channels), shared: block_shared($channels) },
            conv: Kernel { name: concat!("conv_", $channels), shared: 0 },
        }),*]
    };
}

static WIDTHS: [Width; 6] = widths![16, 32, 48, 64, 96, 128];
const STROKES: Kernel = Kernel { name: "strokes_of_map", shared: 0 };
const UNSHUFFLE: Kernel = Kernel { name: "unshuffle_picture", shared: 0 };
const UPSAMPLE: Kernel = Kernel { name: "upsample2_add_maps", shared: 0 };
const BLUR: Kernel = Kernel { name: "blur_add_maps", shared: 0 };
const TAIL: Kernel = Kernel { name: "tail_of_brush", shared: tail::SHARED };
const FILTERING_TAIL: Kernel = Kernel { name: "tail_that_filters", shared: tail::FILTERING_SHARED };

/// All of them.
pub(crate) fn kernels() -> impl Iterator<Item = Kernel> {
    let others = [STROKES, UNSHUFFLE, UPSAMPLE, BLUR, TAIL, FILTERING_TAIL];
    WIDTHS.iter().flat_map(|width| [width.block, width.conv]).chain(others)
}

/// `BlockTile` of `kernels/block.cuh`.
const fn block_warps(channels: usize) -> usize {
    match channels {
        0..=48 => 8,
        49..=96 => 4,
        _ => 2,
    }
}

const fn block_shared(channels: usize) -> usize {
    let (rows, cols) = (WARP_ROWS * block_warps(channels) + 4, TILE_COLS + 4);
    rows * cols * (channels / 2 + 4) * size_of::<u32>()
}

const CONV_WARPS: usize = 4;

/// `TailTile` of `kernels/tail.cuh`.
mod tail {
    pub(super) const WARPS: usize = 8;
    pub(super) const SIDE: usize = 16;
    const STRIDE: usize = 12;
    const fn shared(inner: usize) -> usize {
        ((SIDE + 4) * (SIDE + 4) + inner * inner) * STRIDE * size_of::<u32>()
    }
    pub(super) const SHARED: usize = shared(SIDE + 2);
    /// What is filtered lies where later what is between the last two layers does, and is larger.
    pub(super) const FILTERING_SHARED: usize = shared(SIDE + 6);
}

/// The narrowest kernels for so many channels.
///
/// # Errors
/// If there are none.
pub(crate) fn width_for(channels: usize) -> Result<usize, Error> {
    let width = WIDTHS.iter().find(|width| width.channels >= channels);
    width.map(|width| width.channels).ok_or(Error::TooWide(channels))
}

fn width(channels: usize) -> &'static Width {
    WIDTHS.iter().find(|width| width.channels == channels).expect("layers have a width of these")
}

/// A residual block's weights on the GPU.
pub(crate) struct BlockWeights {
    pub(crate) depthwise: CudaSlice<f32>,
    pub(crate) depthwise_bias: CudaSlice<f32>,
    /// In networks that have noise.
    pub(crate) noise: Option<CudaSlice<f32>>,
    pub(crate) expand: CudaSlice<u32>,
    pub(crate) expand_bias: CudaSlice<f32>,
    pub(crate) project: CudaSlice<u32>,
    pub(crate) project_bias: CudaSlice<f32>,
    /// Channels, as the norm counts them; and those inside, padded.
    pub(crate) channels: usize,
    pub(crate) inside: usize,
}

/// A convolution's weights on the GPU.
pub(crate) struct ConvWeights {
    pub(crate) weight: CudaSlice<u32>,
    pub(crate) bias: CudaSlice<f32>,
    /// Padded; those of one pixel, if the result is shuffled.
    pub(crate) outputs: usize,
}

/// What kind of convolution it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// Rows and columns that are repeated above and to the left.
    pub(crate) pad: usize,
    /// The input is normalised over so many channels of each pixel.
    pub(crate) normed: Option<usize>,
    /// Each pixel of the sums becomes 2 x 2 of the result.
    pub(crate) shuffle: bool,
    /// The result is added to what is there.
    pub(crate) adds: bool,
}

impl Geometry {
    /// Of this size, around each pixel.
    pub(crate) fn around(kernel: usize) -> Self {
        Self { kernel, stride: 1, pad: kernel / 2, normed: None, shuffle: false, adds: false }
    }
}

/// `Convolution` of `kernels/conv.cuh`.
#[repr(C)]
struct Convolution {
    in_rows: i32,
    in_cols: i32,
    in_channels: i32,
    normed: i32,
    kernel: i32,
    stride: i32,
    pad: i32,
    out_rows: i32,
    out_cols: i32,
    shuffle: i32,
    adds: i32,
}

// SAFETY: It is the struct of the same fields, in the same order, in C.
unsafe impl DeviceRepr for Convolution {}

/// A null pointer.
const NULL: u64 = 0;

/// A layer's noise: the parts of `utsushi_kernels::Noise`, of a block those for strokes; and `Noise` of `kernels/noise.cuh`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Noise {
    /// The layer's, for the picture's seed.
    pub key: u32,
    /// What a sum of bytes is multiplied with.
    pub scale: f32,
    /// Where the map's first pixel lies in the map of the whole picture: the column.
    pub x: u32,
    /// And the row.
    pub y: u32,
}

// SAFETY: As above.
unsafe impl DeviceRepr for Noise {}

/// The tail's layers on the GPU.
pub(crate) struct TailWeights {
    pub(crate) expand: ConvWeights,
    /// In networks that filter, and have noise.
    pub(crate) noise: Option<CudaSlice<f32>>,
    pub(crate) join: ConvWeights,
    pub(crate) rgb: ConvWeights,
    /// Channels at half the size, as the norm counts them; and at full size.
    pub(crate) normed: usize,
    pub(crate) inner: usize,
}

/// `Tail` of `kernels/tail.cuh`.
#[repr(C)]
struct Tail {
    rows: i32,
    cols: i32,
    channels: i32,
    normed: i32,
    inner: i32,
    height: i32,
    width: i32,
    above: i32,
    left: i32,
    first: i32,
    count: i32,
    noise: Noise,
}

// SAFETY: As above.
unsafe impl DeviceRepr for Tail {}

/// A picture, the padding before it, and which of its rows are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) above: usize,
    pub(crate) left: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
}

/// Sizes are far below what an `i32` holds: a picture's sides are at most 2^18.
fn int(size: usize) -> i32 {
    i32::try_from(size).expect("a picture's side")
}

fn tiles(
    rows: usize,
    cols: usize,
    tile_rows: usize,
    parts: usize,
    warps: usize,
    kernel: Kernel,
) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (cols.div_ceil(TILE_COLS) as u32, rows.div_ceil(tile_rows) as u32, parts as u32),
        block_dim: ((warps * WARP) as u32, 1, 1),
        shared_mem_bytes: kernel.shared as u32,
    }
}

fn each(count: usize) -> LaunchConfig {
    const THREADS: usize = 256;
    LaunchConfig {
        grid_dim: (count.div_ceil(THREADS) as u32, 1, 1),
        block_dim: (THREADS as u32, 1, 1),
        shared_mem_bytes: 0,
    }
}

impl Gpu {
    /// The picture as squares of 4 x 4 and 2 x 2 pixels.
    pub(crate) fn unshuffle(
        &self,
        picture: &Buffer,
        Wanted { height, width, above, left, .. }: Wanted,
        by4: &mut Map,
        by2: &mut Map,
    ) -> Result<(), Error> {
        let Shape { rows, cols, .. } = by4.shape();
        let (height, width, above, left) = (int(height), int(width), int(above), int(left));
        let (rows_arg, cols_arg) = (int(rows), int(cols));
        let mut launch = self.stream.launch_builder(self.kernel(UNSHUFFLE.name));
        launch.arg(picture.slice()).arg(by4.values.slice_mut()).arg(by2.values.slice_mut());
        launch.arg(&height).arg(&width).arg(&above).arg(&left).arg(&rows_arg).arg(&cols_arg);
        // SAFETY: The arguments are those that the kernel declares; the workspace has the maps in the sizes that belong to
        // the picture's.
        unsafe { launch.launch(each(rows * cols)) }?;
        Ok(())
    }

    /// A convolution.
    pub(crate) fn conv(
        &self,
        x: &Map,
        out: &mut Map,
        weights: &ConvWeights,
        geometry: Geometry,
    ) -> Result<(), Error> {
        let Geometry { kernel, stride, pad, normed, shuffle, adds } = geometry;
        let (from, to) = (x.shape(), out.shape());
        let factor = if shuffle { 2 } else { 1 };
        assert!(to.channels == weights.outputs && to.rows * stride == from.rows * factor);
        assert!(to.cols * stride == from.cols * factor);
        let arguments = Convolution {
            in_rows: int(from.rows),
            in_cols: int(from.cols),
            in_channels: int(from.channels),
            normed: int(normed.unwrap_or(0)),
            kernel: int(kernel),
            stride: int(stride),
            pad: int(pad),
            out_rows: int(to.rows / factor),
            out_cols: int(to.cols / factor),
            shuffle: shuffle.into(),
            adds: adds.into(),
        };
        let function = width(to.channels).conv;
        let (rows, cols) = (to.rows / factor, to.cols / factor);
        let config = tiles(rows, cols, CONV_WARPS * WARP_ROWS, factor * factor, CONV_WARPS, function);
        let mut launch = self.stream.launch_builder(self.kernel(function.name));
        launch.arg(x.values.slice()).arg(out.values.slice_mut());
        launch.arg(&weights.weight).arg(&weights.bias).arg(&arguments);
        // SAFETY: The arguments are those that the kernel declares, and the shapes were compared above; the weights were
        // packed for this geometry when the layer was made.
        unsafe { launch.launch(config) }?;
        Ok(())
    }

    /// The strokes of a map of so many rows and columns go to the plane.
    pub(crate) fn strokes(
        &self,
        strokes: &mut Strokes,
        noise: Noise,
        (rows, cols): (usize, usize),
    ) -> Result<(), Error> {
        let factor = strokes.factor(rows, cols);
        let config = each(rows * cols);
        let (rows, cols, factor, cells) = (int(rows), int(cols), int(factor), int(strokes.cells_a_row()));
        let (directions, plane) = strokes.buffers();
        let mut launch = self.stream.launch_builder(self.kernel(STROKES.name));
        launch.arg(directions.slice()).arg(plane.slice_mut()).arg(&noise);
        launch.arg(&rows).arg(&cols).arg(&factor).arg(&cells);
        // SAFETY: The arguments are those that the kernel declares; `factor` is one by which the directions are those of such
        // a map, for which the plane has room, and each of them is one that the kernel has.
        unsafe { launch.launch(config) }?;
        Ok(())
    }

    /// A residual block. Where it has noise, the plane is that of its map then.
    pub(crate) fn block(
        &self,
        x: &Map,
        out: &mut Map,
        weights: &BlockWeights,
        strokes: &mut Strokes,
        noise: Noise,
    ) -> Result<(), Error> {
        let Shape { rows, cols, channels } = x.shape();
        assert_eq!(out.shape(), x.shape());
        if weights.noise.is_some() {
            self.strokes(strokes, noise, (rows, cols))?;
        }
        let function = width(channels).block;
        let warps = block_warps(channels);
        let config = tiles(rows, cols, WARP_ROWS * warps, 1, warps, function);
        let (rows, cols, normed, inside) = (int(rows), int(cols), int(weights.channels), int(weights.inside));
        let mut launch = self.stream.launch_builder(self.kernel(function.name));
        launch.arg(x.values.slice()).arg(out.values.slice_mut());
        launch.arg(&weights.depthwise).arg(&weights.depthwise_bias);
        match &weights.noise {
            Some(weights) => launch.arg(weights).arg(strokes.plane().slice()),
            None => launch.arg(&NULL).arg(&NULL),
        };
        launch.arg(&weights.expand).arg(&weights.expand_bias);
        launch.arg(&weights.project).arg(&weights.project_bias);
        launch.arg(&rows).arg(&cols).arg(&normed).arg(&inside);
        // SAFETY: The arguments are those that the kernel declares, both maps have the shape that it is told, the plane has a
        // value for each of their pixels, and the weights were packed for so many channels.
        unsafe { launch.launch(config) }?;
        Ok(())
    }

    /// `low` enlarged twice, plus `base`.
    pub(crate) fn upsample2_add(&self, low: &Map, base: &Map, out: &mut Map) -> Result<(), Error> {
        let (Shape { rows, cols, channels }, large) = (low.shape(), out.shape());
        assert!(large == Shape { rows: rows * 2, cols: cols * 2, channels } && base.shape() == large);
        let parts = channels / 8;
        let config = each(rows * cols * 4 * parts);
        let (rows, cols, parts) = (int(rows), int(cols), int(parts));
        let mut launch = self.stream.launch_builder(self.kernel(UPSAMPLE.name));
        launch.arg(low.values.slice()).arg(base.values.slice()).arg(out.values.slice_mut());
        launch.arg(&rows).arg(&cols).arg(&parts);
        // SAFETY: The arguments are those that the kernel declares, and the shapes were compared.
        unsafe { launch.launch(config) }?;
        Ok(())
    }

    /// `x`, filtered, is added to `out`.
    pub(crate) fn blur_add(&self, x: &Map, out: &mut Map) -> Result<(), Error> {
        let Shape { rows, cols, channels } = x.shape();
        assert!(out.shape() == x.shape() && rows > 1 && cols > 1);
        let parts = channels / 8;
        let config = each(rows * cols * parts);
        let (rows, cols, parts) = (int(rows), int(cols), int(parts));
        let mut launch = self.stream.launch_builder(self.kernel(BLUR.name));
        launch.arg(x.values.slice()).arg(out.values.slice_mut());
        launch.arg(&rows).arg(&cols).arg(&parts);
        // SAFETY: The arguments are those that the kernel declares, and the shapes were compared.
        unsafe { launch.launch(config) }?;
        Ok(())
    }

    /// brush's last layers: what is added to the wanted rows of the picture.
    pub(crate) fn tail(
        &self,
        half: &Map,
        picture: &Buffer,
        out: &mut Buffer,
        weights: &TailWeights,
        wanted: Wanted,
        noise: Noise,
    ) -> Result<(), Error> {
        let Shape { rows, cols, channels } = half.shape();
        let Wanted { height, width, above, left, first, count } = wanted;
        assert!(picture.slice().len() >= height * width * 3 && out.slice().len() >= count * width * 3);
        assert!(first + count <= height && above + height <= rows * 2 && left + width <= cols * 2);
        let first = above + first;
        let arguments = Tail {
            rows: int(rows),
            cols: int(cols),
            channels: int(channels),
            normed: int(weights.normed),
            inner: int(weights.inner),
            height: int(height),
            width: int(width),
            above: int(above),
            left: int(left),
            first: int(first),
            count: int(count),
            noise,
        };
        let kernel = if weights.noise.is_some() { FILTERING_TAIL } else { TAIL };
        // They begin with an even row, and with the padding's first column.
        let config = tiles(first % 2 + count, left + width, tail::SIDE, 1, tail::WARPS, kernel);
        let mut launch = self.stream.launch_builder(self.kernel(kernel.name));
        launch.arg(half.values.slice()).arg(picture.slice()).arg(out.slice_mut());
        launch.arg(&weights.expand.weight).arg(&weights.expand.bias);
        match &weights.noise {
            Some(weights) => launch.arg(weights),
            None => launch.arg(&NULL),
        };
        for layer in [&weights.join, &weights.rgb] {
            launch.arg(&layer.weight).arg(&layer.bias);
        }
        launch.arg(&arguments);
        // SAFETY: The arguments are those that the kernel declares, and the sizes were compared above.
        unsafe { launch.launch(config) }?;
        Ok(())
    }
}
