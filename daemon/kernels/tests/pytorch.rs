//! Every building block, on every instruction set of this machine, against what PyTorch makes of it.
//!
//! `tests/reference/README.md` says what the goldens hold. They are N x C x H x W; here maps are channels last.
//! What the kernels leave to their caller happens here: repeating the rows at the edges, and folding a norm's
//! scale and shift, and the block's gain, into the 1x1 convolutions.

use std::collections::{BTreeSet, HashMap};
use std::fs;

use safetensors::SafeTensors;
use utsushi_kernels::{
    Activation, Block, BlockWeights, Conv, ConvWeights, Cpu, Geometry, InputNorm, Map as Rows, Shape, Source,
    upsample2_add,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/goldens");
const TOLERANCE: f32 = 1e-5;

const NORM_1X1: Geometry = Geometry { input: InputNorm::Channels, ..Geometry::kernel(1) };

/// What gives the golden's output.
type Run = fn(&Golden, Cpu) -> Vec<f32>;

const CASES: &[(&str, Run)] = &[
    ("conv3x3-unshuffle4", |golden, cpu| {
        golden.layer("stem").run(cpu, Geometry { unshuffle: 4, ..Geometry::kernel(3) }, &golden.map("input"))
    }),
    ("conv3x3-unshuffle2", |golden, cpu| {
        golden.layer("skip").run(cpu, Geometry { unshuffle: 2, ..Geometry::kernel(3) }, &golden.map("input"))
    }),
    ("conv2x2-stride2", |golden, cpu| {
        golden.layer("down").run(cpu, Geometry { stride: 2, ..Geometry::kernel(2) }, &golden.map("input"))
    }),
    ("conv1x1", |golden, cpu| golden.layer("up").run(cpu, Geometry::kernel(1), &golden.map("input"))),
    ("norm-conv1x1-shuffle2", |golden, cpu| {
        let layer = golden.layer("h1").after(golden, "n");
        layer.run(cpu, Geometry { shuffle: 2, ..NORM_1X1 }, &golden.map("input"))
    }),
    ("norm", |golden, cpu| {
        let input = golden.map("input");
        Layer::identity(input.shape.channels).after(golden, "e1.0.n").run(cpu, NORM_1X1, &input)
    }),
    ("conv3x3-concatenation-relu", |golden, cpu| {
        let (a, b) = (golden.map("input").padded(1, 1), golden.map("picture").padded(1, 1));
        let pixels = a.data.chunks_exact(a.shape.channels).zip(b.data.chunks_exact(b.shape.channels));
        let data = pixels.flat_map(|(a, b)| [a, b].concat()).collect();
        let shape = Shape { channels: a.shape.channels + b.shape.channels, ..a.shape };
        let (joined, mut out) = (Map { data, shape }, vec![f32::NAN; golden.map("output").data.len()]);
        let conv = golden.layer("dw").conv(cpu, Geometry::kernel(3));
        conv.run(Source::Map(joined.view(&joined.rows())), Activation::Relu, &mut out);
        out
    }),
    ("rgb-head", |golden, cpu| {
        let (x, picture) = (golden.map("input").padded(1, 1), golden.map("picture"));
        let mut out = vec![f32::NAN; picture.data.len()];
        let conv = golden.layer("rgb").conv(cpu, Geometry::kernel(3));
        conv.run(Source::Map(x.view(&x.rows())), Activation::Add(picture.view(&picture.rows())), &mut out);
        out
    }),
    ("bilinear2", |golden, _| {
        let low = golden.map("input").padded(1, 1);
        let shape = golden.map("output").shape;
        let (zeros, mut out) = (vec![0.0; shape.row_len()], vec![f32::NAN; shape.len()]);
        let base = vec![&zeros[..]; shape.rows];
        upsample2_add(low.view(&low.rows()), Rows::new(&base, shape.cols, shape.channels), &mut out);
        out
    }),
    ("block", |golden, cpu| {
        let expand = golden.layer("e1.0.p1").after(golden, "e1.0.n");
        let project = golden.layer("e1.0.p2").times(golden.values("e1.0.g"));
        run_block(golden, cpu, &expand, &project)
    }),
];

/// No kernel gives a depthwise convolution alone, so these are looked at through the block's norm.
const DEPTHWISE: &[&str] = &["depthwise5x5", "depthwise5x5-small-map"];

/// The instruction sets that round nothing to less than PyTorch does.
fn exact_cpus() -> impl Iterator<Item = Cpu> {
    Cpu::available().into_iter().filter(|cpu| *cpu == cpu.single())
}

#[test]
fn blocks_do_as_in_pytorch() {
    for (name, run) in CASES {
        let golden = Golden::read(name);
        for cpu in exact_cpus() {
            check(name, cpu, &run(&golden, cpu), &golden.map("output").data);
        }
    }
}

#[test]
fn depthwise_convolutions_do_as_in_pytorch() {
    for name in DEPTHWISE {
        let golden = Golden::read(name);
        let (input, output) = (golden.map("input"), golden.map("output"));
        let identity = Layer::identity(output.shape.channels);
        // As n = ReLU(n) - ReLU(-n), the block becomes x + norm(depthwise(x)).
        let negative: Vec<f32> = identity.weight.iter().map(|w| -w).collect();
        let both = [&identity.weight[..], &negative].concat();
        let expand = Layer { weight: both, bias: vec![0.0; 2 * output.shape.channels] };
        let project = Layer { weight: expand.transposed(), bias: identity.bias.clone() };
        for cpu in exact_cpus() {
            let mut want = identity.run(cpu, NORM_1X1, &output);
            want.iter_mut().zip(&input.data).for_each(|(want, x)| *want += x);
            check(name, cpu, &run_block(&golden, cpu, &expand, &project), &want);
        }
    }
}

/// Goldens of whole networks and of what is no network.
const WHOLE: [&str; 7] = ["tiny", "cel-", "animegan2-", "vgg19-", "perceptual", "abstraction-", "evaluation"];

#[test]
fn no_golden_of_a_block_is_left_out() {
    let files = fs::read_dir(FOLDER).expect("the goldens' folder").map(|entry| entry.expect("an entry"));
    let blocks = files
        .filter_map(|file| file.file_name().to_str()?.strip_suffix(".safetensors").map(str::to_owned))
        .filter(|name| !WHOLE.iter().any(|whole| name.starts_with(whole)));
    let checked = CASES.iter().map(|(name, _)| name).chain(DEPTHWISE).map(|name| name.to_string());
    assert_eq!(checked.collect::<BTreeSet<_>>(), blocks.collect());
}

#[track_caller]
fn check(name: &str, cpu: Cpu, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{name}, {cpu:?}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= TOLERANCE, "{name}, {cpu:?}: value {i} is {got}, not {want}");
    }
}

/// The golden's depthwise convolution within a block of these two 1x1 convolutions.
fn run_block(golden: &Golden, cpu: Cpu, expand: &Layer, project: &Layer) -> Vec<f32> {
    let depthwise = golden.layer("e1.0.dw");
    let weights = BlockWeights {
        depthwise: &depthwise.weight,
        depthwise_bias: &depthwise.bias,
        noise: &[],
        expand: &expand.weight,
        expand_bias: &expand.bias,
        project: &project.weight,
        project_bias: &project.bias,
    };
    let input = golden.map("input");
    let x = input.padded(Block::REACH, 1);
    let mut out = vec![f32::NAN; input.data.len()];
    Block::new(cpu, weights).run(x.view(&x.rows()), &[], &mut out);
    out
}

/// A map, channels last.
struct Map {
    shape: Shape,
    data: Vec<f32>,
}

impl Map {
    fn rows(&self) -> Vec<&[f32]> {
        self.data.chunks_exact(self.shape.row_len()).collect()
    }

    fn view<'a>(&self, rows: &'a [&'a [f32]]) -> Rows<'a> {
        Rows::new(rows, self.shape.cols, self.shape.channels)
    }

    /// With the first `group` rows repeated `count` times above, and the last below.
    fn padded(&self, count: usize, group: usize) -> Self {
        let Shape { rows, cols, channels } = self.shape;
        let group_len = group * self.shape.row_len();
        let above = self.data[..group_len].repeat(count);
        let below = self.data[self.data.len() - group_len..].repeat(count);
        let shape = Shape::new(rows + 2 * count * group, cols, channels);
        Self { shape, data: [above, self.data.clone(), below].concat() }
    }
}

/// A convolution's weights, as in PyTorch.
struct Layer {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    /// A 1x1 that changes nothing.
    fn identity(channels: usize) -> Self {
        let weight = (0..channels * channels).map(|i| f32::from(i % (channels + 1) == 0));
        Self { weight: weight.collect(), bias: vec![0.0; channels] }
    }

    /// This 1x1 with the scale `s` and the shift `t` of the norm before it: W (s x + t) + b.
    fn after(mut self, golden: &Golden, norm: &str) -> Self {
        let scale = golden.values(&format!("{norm}.g"));
        let shift = golden.values(&format!("{norm}.b"));
        for (row, bias) in self.weight.chunks_exact_mut(scale.len()).zip(&mut self.bias) {
            *bias += row.iter().zip(shift).map(|(w, t)| w * t).sum::<f32>();
            row.iter_mut().zip(scale).for_each(|(w, s)| *w *= s);
        }
        self
    }

    /// This 1x1 with its outputs multiplied.
    fn times(mut self, gain: &[f32]) -> Self {
        let inputs = self.weight.len() / gain.len();
        for ((row, bias), gain) in self.weight.chunks_exact_mut(inputs).zip(&mut self.bias).zip(gain) {
            *bias *= gain;
            row.iter_mut().for_each(|w| *w *= gain);
        }
        self
    }

    /// The weights of this 1x1, input by input.
    fn transposed(&self) -> Vec<f32> {
        let inputs = self.weight.len() / self.bias.len();
        (0..inputs).flat_map(|i| self.weight[i..].iter().step_by(inputs).copied()).collect()
    }

    fn conv(&self, cpu: Cpu, geometry: Geometry) -> Conv {
        Conv::new(cpu, geometry, ConvWeights { weight: &self.weight, bias: &self.bias })
    }

    /// Convolves a whole map, its edge rows repeated where PyTorch would.
    fn run(&self, cpu: Cpu, geometry: Geometry, map: &Map) -> Vec<f32> {
        let Geometry { kernel, stride, unshuffle, .. } = geometry;
        let padding = if stride == 1 { kernel / 2 } else { 0 };
        let x = map.padded(padding, unshuffle);
        let rows = x.rows();
        let source = match unshuffle {
            1 => Source::Map(x.view(&rows)),
            factor => Source::Unshuffled(x.view(&rows), factor),
        };
        let conv = self.conv(cpu, geometry);
        let mut out = vec![f32::NAN; conv.output_shape(source.shape()).len()];
        conv.run(source, Activation::Store, &mut out);
        out
    }
}

/// A golden's tensors: their sides and values.
struct Golden(HashMap<String, (Vec<usize>, Vec<f32>)>);

impl Golden {
    fn read(name: &str) -> Self {
        let bytes = fs::read(format!("{FOLDER}/{name}.safetensors")).expect(name);
        let file = SafeTensors::deserialize(&bytes).expect(name);
        let tensors = file.iter().map(|(name, tensor)| {
            let (values, rest) = tensor.data().as_chunks();
            assert!(rest.is_empty() && tensor.dtype() == safetensors::Dtype::F32, "{name}");
            let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (name.to_owned(), (tensor.shape().to_vec(), values))
        });
        Self(tensors.collect())
    }

    fn values(&self, name: &str) -> &[f32] {
        &self.0[name].1
    }

    fn layer(&self, name: &str) -> Layer {
        let values = |part| self.values(&format!("{name}.{part}")).to_vec();
        Layer { weight: values("weight"), bias: values("bias") }
    }

    fn map(&self, name: &str) -> Map {
        let (sides, values) = &self.0[name];
        let &[1, channels, rows, cols] = &sides[..] else { panic!("{name} is {sides:?}") };
        let at = |i| values[i % channels * rows * cols + i / channels];
        Map { shape: Shape::new(rows, cols, channels), data: (0..values.len()).map(at).collect() }
    }
}
