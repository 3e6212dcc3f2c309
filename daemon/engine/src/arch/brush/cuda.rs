//! brush on a GPU, in few, large bands; on the processor from where the GPU fails.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};
use utsushi_cuda::{self as cuda, Error};
use utsushi_kernels::Directions;

use super::flow::{self, Flow};
use super::folded::{ConvTensors, Folded};
use super::{ALIGNED_PX, Brush, MULTIPLE, PictureNoise, Sizes};
use crate::arch::{Generator, Grain, Region, RowStream};
use crate::bands::Padding;
use crate::device::Device;
use crate::ops::BlockTensors;

/// Pixels of a band, at most: more don't make it faster, and a client waits for the first rows that long.
const BAND_PX: usize = 1 << 24;
/// Rows of a band, at least; below this nearly all of the work is what lies around it.
const MIN_BAND_ROWS: usize = 64;

/// The network in the GPU's memory, and beside it the one for the processor.
pub(super) struct CudaBrush {
    device: Device,
    gpu: Arc<cuda::Brush>,
    cpu: Brush,
}

impl CudaBrush {
    /// Brings the network to the device's GPU; gives it back as it is where there is none, or where it can't be drawn
    /// there.
    pub(super) fn on(device: &Device, cpu: Brush, folded: &Folded) -> Result<Arc<dyn Generator>> {
        let Some(gpu) = device.gpu() else { return Ok(Arc::new(cpu)) };
        match cuda::Brush::new(gpu, &weights(folded)?) {
            Ok(gpu) => Ok(Arc::new(Self { device: device.clone(), gpu: Arc::new(gpu), cpu })),
            Err(error @ (Error::TooWide(_) | Error::OutOfMemory)) => {
                tracing::warn!("a network runs on the processor: {error}");
                Ok(Arc::new(cpu))
            }
            Err(error) => {
                device.give_up(error);
                Ok(Arc::new(cpu))
            }
        }
    }

    /// How many rows beyond one the processor looks, its directions included.
    fn reach_rows(&self) -> usize {
        (self.cpu.reach_px() as usize).next_multiple_of(MULTIPLE)
    }

    /// The same where directions are known.
    fn network_rows(&self) -> usize {
        let flow = if self.cpu.version.has_noise() { flow::REACH_PX } else { 0 };
        (self.cpu.reach_px() as usize - flow).next_multiple_of(MULTIPLE)
    }
}

fn weights(folded: &Folded) -> Result<cuda::Weights> {
    let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1();
    let conv = |ConvTensors { weight, bias }: &ConvTensors| -> Result<_> {
        Ok(cuda::Conv { weight: values(weight)?, bias: values(bias)?, kernel: weight.dim(2)? })
    };
    let block = |tensors: &BlockTensors| -> Result<_> {
        let BlockTensors { depthwise, depthwise_bias, noise, expand, expand_bias, project, project_bias } =
            tensors;
        Ok(cuda::Block {
            depthwise: values(depthwise)?,
            depthwise_bias: values(depthwise_bias)?,
            noise: noise.as_ref().map(values).transpose()?,
            expand: values(expand)?,
            expand_bias: values(expand_bias)?,
            project: values(project)?,
            project_bias: values(project_bias)?,
        })
    };
    let blocks = |blocks: &[BlockTensors]| blocks.iter().map(block).collect::<Result<_>>();
    Ok(cuda::Weights {
        stem: conv(&folded.stem)?,
        e1: blocks(&folded.e1)?,
        down: conv(&folded.down)?,
        mid: blocks(&folded.mid)?,
        up: conv(&folded.up)?,
        d1: blocks(&folded.d1)?,
        h1: conv(&folded.h1)?,
        skip: conv(&folded.skip)?,
        b2: block(&folded.b2)?,
        h2: conv(&folded.h2)?,
        tail_noise: folded.zf.as_ref().map(values).transpose()?,
        dw: conv(&folded.dw)?,
        rgb: conv(&folded.rgb)?,
    })
}

impl Generator for CudaBrush {
    fn stream(&self, region: Region, grain: Grain) -> Box<dyn RowStream> {
        if self.device.gpu().is_none() {
            return self.cpu.stream(region, grain);
        }
        Box::new(self.band_stream(region, grain, band_rows(region.width)))
    }

    fn reach_px(&self) -> u32 {
        self.cpu.reach_px()
    }

    fn memory_bytes(&self, height: usize, width: usize) -> u64 {
        // The rows that wait, and those that are done.
        let rows = height.min(band_rows(width) + 2 * self.reach_rows());
        let cells = height.div_ceil(Directions::CELL_PX) * width.div_ceil(Directions::CELL_PX);
        (2 * rows * width * 3 * size_of::<f32>() + cells) as u64 + self.cpu.memory_bytes(height, width)
    }
}

impl CudaBrush {
    fn band_stream(&self, region: Region, grain: Grain, band_rows: usize) -> BandStream {
        let Region { x, y, .. } = region;
        let before = (x % ALIGNED_PX, y % ALIGNED_PX);
        let noise = PictureNoise::new(self.cpu.sizes, grain, (x - before.0, y - before.1));
        BandStream {
            band_rows,
            reach: self.reach_rows(),
            network: self.network_rows(),
            strokes: self.cpu.version.has_noise().then(|| Strokes::new(region, before, &noise)),
            region,
            grain,
            sizes: self.cpu.sizes,
            before,
            held: Vec::new(),
            first: 0,
            given: 0,
            device: self.device.clone(),
            gpu: Arc::clone(&self.gpu),
            cpu: self.cpu.clone(),
            rest: None,
        }
    }
}

fn band_rows(width: usize) -> usize {
    (BAND_PX / width).max(MIN_BAND_ROWS).next_multiple_of(MULTIPLE)
}

/// A picture on its way: the rows that are still needed as a band's, or as what lies around one.
struct BandStream {
    region: Region,
    grain: Grain,
    sizes: Sizes,
    /// Columns and rows of padding before the region's: so many does it begin behind a multiple in the whole picture.
    before: (usize, usize),
    /// Rows that are drawn at a time.
    band_rows: usize,
    /// How many rows beyond one the processor looks, and the network alone, where directions are known.
    reach: usize,
    network: usize,
    /// Of a network that has noise.
    strokes: Option<Strokes>,
    /// Rows that a band still needs, or the processor if it takes over.
    held: Vec<f32>,
    /// The first of them: with the padding a multiple of 8, or the region's first, or its end.
    first: usize,
    /// Rows that are drawn.
    given: usize,
    device: Device,
    gpu: Arc<cuda::Brush>,
    cpu: Brush,
    /// The rest of the picture, on the processor.
    rest: Option<Rest>,
}

/// Which way strokes go in a region, as far as that is known.
struct Strokes {
    padding: Padding,
    /// Of the padded region, as the processor has it.
    flow: Flow,
}

impl Strokes {
    fn new(
        Region { width, height, .. }: Region,
        (left, above): (usize, usize),
        noise: &PictureNoise,
    ) -> Self {
        let padding = Padding::new(height, width, MULTIPLE, 1).beginning((above, left));
        Self { flow: Flow::new(padding.padded().1, noise), padding }
    }

    /// Takes the region's next rows, each `width` pixels.
    fn push(&mut self, rows: &[f32], width: usize) -> Result<()> {
        // A few at a time, so that what is padded stays near the processor.
        for rows in rows.chunks(MULTIPLE * width * 3) {
            let padded = self.padding.push(rows)?;
            padded.rows.read(|rows| {
                (0..rows.shape().rows).for_each(|row| self.flow.push(rows.row(row), false));
                Ok(())
            })?;
            if padded.last {
                self.flow.push(&[], true);
            }
        }
        Ok(())
    }

    /// How many rows of the padded region have their directions, in multiples of 8.
    fn known(&self) -> usize {
        self.flow.directions().rows() * Directions::CELL_PX / MULTIPLE * MULTIPLE
    }

    /// The directions of so many rows of the padded region, with those up to a multiple of 8, from one that is a multiple on.
    fn of_rows(&self, first: usize, count: usize) -> &[u8] {
        let cells = self.padding.padded().1 / Directions::CELL_PX;
        let rows = count.next_multiple_of(MULTIPLE) / Directions::CELL_PX;
        &self.flow.directions().cells()[first / Directions::CELL_PX * cells..][..rows * cells]
    }
}

/// What is left of a picture, as a picture of its own that begins so far above that nobody sees it.
struct Rest {
    stream: Box<dyn RowStream>,
    /// Values of it that are drawn already.
    skip: usize,
}

impl RowStream for BandStream {
    fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()> {
        if let Some(rest) = &mut self.rest {
            return rest.push(rows, out);
        }
        let Region { width, height, .. } = self.region;
        let (row_len, values) = (width * 3, self.held.len() + rows.len());
        if rows.is_empty() || !values.is_multiple_of(row_len) || self.first + values / row_len > height {
            bail!("{} values are no rows of a picture of {width} x {height}", rows.len());
        }
        if let Some(strokes) = &mut self.strokes {
            strokes.push(rows, width)?;
        }
        if self.held.is_empty() {
            // A picture that comes as a whole isn't copied: that would take as long as drawing it.
            let needed_from = self.draw(rows, out)?;
            self.held.extend_from_slice(&rows[needed_from..]);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(rows);
            let needed_from = self.draw(&held, out)?;
            held.drain(..needed_from);
            self.held = held;
        }
        Ok(())
    }
}

impl BandStream {
    /// Draws what can be drawn of these rows, which are those from `self.first` on, and tells from which value on they are
    /// still needed.
    fn draw(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<usize> {
        let (row_len, begin) = (self.region.width * 3, self.first);
        let taken = begin + rows.len() / row_len;
        let is_end = taken == self.region.height;
        let of_strokes = |strokes: &Strokes| strokes.known().saturating_sub(self.before.1).min(taken);
        let known = self.strokes.as_ref().map_or(taken, of_strokes);
        while self.given < self.region.height {
            let ready = if is_end { self.region.height } else { known.saturating_sub(self.network) };
            let to = ready.min(self.given + self.band_rows);
            if !is_end && to < self.given + self.band_rows {
                break;
            }
            let (first, below) = (self.needed_from(self.given, self.network), known.min(to + self.network));
            let above = if first == 0 { self.before.1 } else { 0 };
            let padded_first = self.before.1 + first - above;
            let directions =
                self.strokes.as_ref().map(|strokes| strokes.of_rows(padded_first, above + below - first));
            let part = cuda::Part {
                picture: &rows[(first - begin) * row_len..(below - begin) * row_len],
                width: self.region.width,
                above,
                left: self.before.0,
                noise: &self.noise(padded_first),
                directions: directions.unwrap_or_default(),
            };
            match self.gpu.draw(part, self.given - first..to - first, out) {
                Ok(()) => self.forget_before(to),
                Err(Error::OutOfMemory) if self.band_rows > MIN_BAND_ROWS => {
                    let half = self.band_rows.min(self.region.height) / 2;
                    self.band_rows = half.next_multiple_of(MULTIPLE).max(MIN_BAND_ROWS);
                    tracing::debug!(rows = self.band_rows, "the GPU's memory is full: smaller bands");
                }
                Err(error) => {
                    match error {
                        // The next picture may be smaller, or come when there is more.
                        Error::OutOfMemory => tracing::warn!("a picture is drawn on the processor: {error}"),
                        _ => self.device.give_up(error),
                    }
                    self.go_on_without(&rows[(self.first - begin) * row_len..], out)?;
                    return Ok(rows.len());
                }
            }
        }
        Ok((self.first - begin) * row_len)
    }

    /// Of each layer, for a band that begins with this row of the padded region.
    fn noise(&self, first: usize) -> Vec<cuda::Noise> {
        let (left, above) = self.before;
        let origin = (self.region.x - left, self.region.y - above + first);
        let noise = PictureNoise::new(self.sizes, self.grain, origin);
        let blocks = self.sizes.block_count();
        let strokes = (0..blocks).map(|layer| noise.of_layer(layer).stroke_parts());
        let layers = strokes.chain([noise.of_layer(blocks).parts()]);
        layers.map(|(key, scale, (x, y))| cuda::Noise { key, scale, x, y }).collect()
    }

    /// The first of the rows that are looked at for those from `row` on.
    fn needed_from(&self, row: usize, reach: usize) -> usize {
        let above = self.before.1;
        ((above + row).saturating_sub(reach) / MULTIPLE * MULTIPLE).saturating_sub(above)
    }

    /// Rows before this one are drawn, and needed only as far as others look.
    fn forget_before(&mut self, row: usize) {
        self.given = row;
        self.first = if row == self.region.height { row } else { self.needed_from(row, self.reach) };
    }

    /// Goes on with these rows, those from `self.first` on, on the processor.
    fn go_on_without(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()> {
        let Region { y, height, .. } = self.region;
        let rest = Region { y: y + self.first, height: height - self.first, ..self.region };
        let mut rest = Rest {
            stream: self.cpu.stream(rest, self.grain),
            skip: (self.given - self.first) * self.region.width * 3,
        };
        rest.push(rows, out)?;
        self.rest = Some(rest);
        Ok(())
    }
}

impl Rest {
    fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()> {
        let start = out.len();
        self.stream.push(rows, out)?;
        let skipped = self.skip.min(out.len() - start);
        out.drain(start..start + skipped);
        self.skip -= skipped;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::DType;
    use candle_nn::VarBuilder;

    use super::*;
    use crate::DeviceChoice;
    use crate::arch::brush::Version;

    const GRAIN: Grain = Grain { seed: 11, strength: 0.9 };

    /// A small network on a GPU, or the emulator in its place, if there is to be one.
    fn network() -> Option<CudaBrush> {
        if std::env::var("UTSUSHI_TEST_DEVICE").as_deref() != Ok("cuda") {
            eprintln!("skipped: UTSUSHI_TEST_DEVICE isn't cuda");
            return None;
        }
        let sizes = Sizes { c1: 8, c2: 16, blocks: [1, 2, 1], ch: 8, cf: 5 };
        let golden =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/goldens/tiny-brush2.safetensors");
        let weights = candle_core::safetensors::load(golden, &candle_core::Device::Cpu).expect("weights");
        let weights = VarBuilder::from_tensors(weights, DType::F32, &candle_core::Device::Cpu);
        let folded = Folded::load(Version::Two, sizes, &[1.0], &weights).expect("they fit");
        let device = Device::choose(DeviceChoice::Auto).expect("a device");
        let gpu = cuda::Brush::new(device.gpu().expect("a GPU"), &super::weights(&folded).expect("weights"));
        let cpu = Brush::new(Version::Two, sizes, &folded).expect("a network");
        Some(CudaBrush { device, gpu: Arc::new(gpu.expect("room on the GPU")), cpu })
    }

    fn picture(region: Region) -> Vec<f32> {
        let value = |i: usize| ((i * 37 % 1009) as f32 / 504.5 - 1.0) * ((i / 97 % 5) as f32 / 4.0);
        (0..region.height * region.width * 3).map(value).collect()
    }

    fn draw(mut stream: impl RowStream, region: Region, rows: usize) -> Vec<f32> {
        let mut drawn = Vec::new();
        for rows in picture(region).chunks(rows * region.width * 3) {
            stream.push(rows, &mut drawn).expect("it draws");
        }
        drawn
    }

    #[test]
    fn bands_do_not_show_wherever_the_region_lies() {
        let Some(network) = network() else { return };
        for (x, y) in [(0, 0), (3, 5), (8, 8), (21, 15), (16, 31)] {
            let region = Region { width: 13, height: 330, x, y };
            let whole = draw(network.band_stream(region, GRAIN, 400), region, 330);
            assert_eq!(whole.len(), 330 * 13 * 3);
            for (band_rows, pushed) in [(64, 330), (8, 19), (104, 50)] {
                let bands = draw(network.band_stream(region, GRAIN, band_rows), region, pushed);
                assert!(bands == whole, "bands of {band_rows} rows at {x}, {y}");
            }
        }
    }

    #[test]
    fn the_processor_goes_on_with_the_same_noise() {
        let Some(network) = network() else { return };
        for (x, y) in [(0, 0), (3, 5), (21, 15)] {
            let region = Region { width: 13, height: 400, x, y };
            let whole = draw(network.band_stream(region, GRAIN, 400), region, 400);
            let (mut stream, mut drawn) = (network.band_stream(region, GRAIN, 64), Vec::new());
            let picture = picture(region);
            let (first, others) = picture.split_at(360 * 13 * 3);
            stream.push(first, &mut drawn).expect("it draws");
            let on_gpu = drawn.len();
            assert!(on_gpu > 0 && stream.first > 0, "{} rows", stream.given);
            let held = std::mem::take(&mut stream.held);
            stream.go_on_without(&held, &mut drawn).expect("it goes on");
            stream.push(others, &mut drawn).expect("it draws");
            assert!(drawn.len() == whole.len() && drawn[..on_gpu] == whole[..on_gpu]);
            let worst = whole.iter().zip(&drawn).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Both round, each in its way.
            assert!(worst < 0.04, "at {x}, {y}: off by {worst}");
        }
    }
}
