//! Networks as ONNX (<https://onnx.ai>), for other programs to run.
//!
//! Only what the networks of this crate are made of: a builder of graphs whose methods are layers, and the messages
//! of the file format, of which the fields that are written are declared (IR version 8, operators of version 17).

use candle_core::{Result, Tensor};
use prost::Message;

const IR_VERSION: i64 = 8;
const OPERATORS_VERSION: i64 = 17;
const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// A value in a graph: what a layer gives and another takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value(String);

/// A graph that is being built. Maps are `[n, channels, height, width]`.
pub(crate) struct Graph {
    graph: GraphProto,
}

impl Graph {
    /// A graph from a picture of any size to one of the same size, both RGB.
    pub(crate) fn new(name: &str) -> (Self, Value) {
        let graph = GraphProto {
            name: name.to_owned(),
            input: vec![map("input", 3)],
            output: vec![map("output", 3)],
            ..GraphProto::default()
        };
        (Self { graph }, Value("input".into()))
    }

    /// A further input of one channel, as large as `sides` says, that is 0 where it isn't given.
    pub(crate) fn optional_map(&mut self, name: &str, sides: &Value) -> Value {
        let default =
            TensorProto { dims: vec![1; 4], data_type: FLOAT, name: name.to_owned(), raw_data: vec![0; 4] };
        self.graph.initializer.push(default);
        self.graph.input.push(map(name, 1));
        let ones = self.integers(&[1, 1]);
        let shape = self.node("Concat", &[&ones, sides], &[("axis", Attribute::Integer(0))]);
        self.node("Expand", &[&Value(name.to_owned()), &shape], &[])
    }

    /// The file's bytes. `notes` are keys and values for readers.
    pub(crate) fn finish(mut self, output: &Value, notes: &[(&str, &str)]) -> Vec<u8> {
        let node = NodeProto {
            input: vec![output.0.clone()],
            output: vec!["output".into()],
            name: "output".into(),
            op_type: "Identity".into(),
            ..NodeProto::default()
        };
        self.graph.node.push(node);
        let note = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "Utsushi".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATORS_VERSION }],
            metadata_props: notes.iter().map(note).collect(),
        };
        model.encode_to_vec()
    }

    /// A layer of any kind.
    pub(crate) fn node(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
    ) -> Value {
        let name = format!("{operator}_{}", self.graph.node.len());
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: operator.to_owned(),
            attribute: attributes.iter().map(|(name, attribute)| attribute.named(name)).collect(),
        });
        Value(name)
    }

    /// Whole numbers that are known.
    pub(crate) fn integers(&mut self, values: &[i64]) -> Value {
        let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(vec![values.len() as i64], INT64, raw_data)
    }

    /// A single number.
    pub(crate) fn number(&mut self, value: f32) -> Value {
        self.initializer(Vec::new(), FLOAT, value.to_le_bytes().to_vec())
    }

    /// Numbers that are known, such as weights.
    pub(crate) fn tensor(&mut self, tensor: &Tensor) -> Result<Value> {
        let dims = tensor.dims().iter().map(|side| *side as i64).collect();
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        Ok(self.initializer(dims, FLOAT, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
    }

    fn initializer(&mut self, dims: Vec<i64>, data_type: i32, raw_data: Vec<u8>) -> Value {
        let name = format!("constant_{}", self.graph.initializer.len());
        self.graph.initializer.push(TensorProto { dims, data_type, name: name.clone(), raw_data });
        Value(name)
    }

    /// Two maps, value by value.
    pub(crate) fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.node("Add", &[a, b], &[])
    }

    /// Every value times `scale`, plus `shift`.
    pub(crate) fn affine(&mut self, x: &Value, scale: f32, shift: f32) -> Value {
        let (scale, shift) = (self.number(scale), self.number(shift));
        let scaled = self.node("Mul", &[x, &scale], &[]);
        self.add(&scaled, &shift)
    }

    /// A convolution whose input is padded by replication so that the result is as large. `weight`:
    /// `[outputs, inputs / groups, kernel, kernel]`.
    pub(crate) fn conv_same(
        &mut self,
        x: &Value,
        weight: &Tensor,
        bias: &Tensor,
        groups: usize,
    ) -> Result<Value> {
        let pad = weight.dims4()?.2 as i64 / 2;
        let x = if pad == 0 { x.clone() } else { self.pad_edge(x, &[0, 0, pad, pad, 0, 0, pad, pad]) };
        self.conv(&x, weight, bias, 1, groups)
    }

    /// A convolution without padding.
    pub(crate) fn conv(
        &mut self,
        x: &Value,
        weight: &Tensor,
        bias: &Tensor,
        stride: i64,
        groups: usize,
    ) -> Result<Value> {
        let (weight, bias) = (self.tensor(weight)?, self.tensor(bias)?);
        let attributes = [
            ("group", Attribute::Integer(groups as i64)),
            ("strides", Attribute::Integers(vec![stride, stride])),
        ];
        Ok(self.node("Conv", &[x, &weight, &bias], &attributes))
    }

    fn pad_edge(&mut self, x: &Value, pads: &[i64]) -> Value {
        let pads = self.integers(pads);
        self.node("Pad", &[x, &pads], &[("mode", Attribute::Text("edge"))])
    }

    /// The picture, its last row and column repeated until its sides are multiples of `multiple`; and its sides.
    pub(crate) fn pad_to_multiple(&mut self, x: &Value, multiple: i64) -> (Value, Value) {
        let sides = self.node("Shape", &[x], &[("start", Attribute::Integer(2))]);
        let negative = self.node("Neg", &[&sides], &[]);
        let multiple = self.integers(&[multiple]);
        // The remainder has the divisor's sign, so that this is what is missing.
        let missing = self.node("Mod", &[&negative, &multiple], &[]);
        let none = self.integers(&[0; 6]);
        let pads = self.node("Concat", &[&none, &missing], &[("axis", Attribute::Integer(0))]);
        let padded = self.node("Pad", &[x, &pads], &[("mode", Attribute::Text("edge"))]);
        (padded, sides)
    }

    /// The first rows and columns, as many as `sides` says.
    pub(crate) fn crop(&mut self, x: &Value, sides: &Value) -> Value {
        let (starts, axes) = (self.integers(&[0, 0]), self.integers(&[2, 3]));
        self.node("Slice", &[x, &starts, sides, &axes], &[])
    }

    /// Each pixel normalised over its channels: (x - mean) / sqrt(variance + epsilon).
    pub(crate) fn normalise_channels(&mut self, x: &Value, epsilon: f32) -> Value {
        let axis = [("axes", Attribute::Integers(vec![1]))];
        let mean = self.node("ReduceMean", &[x], &axis);
        let centred = self.node("Sub", &[x, &mean], &[]);
        let squared = self.node("Mul", &[&centred, &centred], &[]);
        let variance = self.node("ReduceMean", &[&squared], &axis);
        let epsilon = self.number(epsilon);
        let positive = self.add(&variance, &epsilon);
        let deviation = self.node("Sqrt", &[&positive], &[]);
        self.node("Div", &[&centred, &deviation], &[])
    }

    /// Twice as large, bilinearly with half-pixel centres.
    pub(crate) fn upsample2(&mut self, x: &Value) -> Result<Value> {
        let scales = self.tensor(&Tensor::new(&[1f32, 1.0, 2.0, 2.0], &candle_core::Device::Cpu)?)?;
        let attributes = [
            ("mode", Attribute::Text("linear")),
            ("coordinate_transformation_mode", Attribute::Text("half_pixel")),
        ];
        Ok(self.node("Resize", &[x, &Value(String::new()), &scales], &attributes))
    }

    /// PyTorch's pixel-shuffle.
    pub(crate) fn pixel_shuffle(&mut self, x: &Value, factor: i64) -> Value {
        let attributes = [("blocksize", Attribute::Integer(factor)), ("mode", Attribute::Text("CRD"))];
        self.node("DepthToSpace", &[x], &attributes)
    }

    /// A convolution over PyTorch's pixel-unshuffle of x, whose channels ONNX has in another order: the
    /// sub-pixel first.
    pub(crate) fn unshuffled_conv(
        &mut self,
        x: &Value,
        factor: usize,
        weight: &Tensor,
        bias: &Tensor,
    ) -> Result<Value> {
        let (outputs, inputs, kernel, _) = weight.dims4()?;
        let subpixels = factor * factor;
        let weight = weight
            .reshape((outputs, inputs / subpixels, subpixels, kernel, kernel))?
            .transpose(1, 2)?
            .reshape((outputs, inputs, kernel, kernel))?;
        let x = self.space_to_depth(x, factor as i64);
        self.conv_same(&x, &weight, bias, 1)
    }

    /// The channels of `factor` x `factor` pixels at one, the sub-pixel first.
    pub(crate) fn space_to_depth(&mut self, x: &Value, factor: i64) -> Value {
        self.node("SpaceToDepth", &[x], &[("blocksize", Attribute::Integer(factor))])
    }

    /// One channel of a map.
    pub(crate) fn channel(&mut self, x: &Value, channel: i64) -> Value {
        let [start, end, axis] = [channel, channel + 1, 1].map(|number| self.integers(&[number]));
        self.node("Slice", &[x, &start, &end, &axis], &[])
    }

    /// The binomial filter [1 2 1] / 4 in both directions, reflecting at the borders.
    pub(crate) fn blur(&mut self, x: &Value, channels: usize) -> Result<Value> {
        let taps = [1f32, 2.0, 1.0];
        let taps: Vec<f32> = taps.iter().flat_map(|y| taps.map(|x| x * y / 16.0)).collect();
        let device = &candle_core::Device::Cpu;
        let weight = Tensor::from_vec(taps.repeat(channels), (channels, 1, 3, 3), device)?;
        let pads = self.integers(&[0, 0, 1, 1, 0, 0, 1, 1]);
        let x = self.node("Pad", &[x, &pads], &[("mode", Attribute::Text("reflect"))]);
        self.conv(&x, &weight, &Tensor::zeros(channels, candle_core::DType::F32, device)?, 1, channels)
    }
}

/// What a layer is told besides its inputs.
pub(crate) enum Attribute {
    Integer(i64),
    Integers(Vec<i64>),
    Text(&'static str),
}

impl Attribute {
    fn named(&self, name: &str) -> AttributeProto {
        let named = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
        match self {
            Self::Integer(i) => AttributeProto { i: *i, kind: 2, ..named },
            Self::Text(text) => AttributeProto { s: text.as_bytes().to_vec(), kind: 3, ..named },
            Self::Integers(ints) => AttributeProto { ints: ints.clone(), kind: 7, ..named },
        }
    }
}

fn map(name: &str, channels: i64) -> ValueInfoProto {
    let side = |name: &str| Dimension { value: None, name: Some(name.to_owned()) };
    let dim = vec![side("n"), Dimension { value: Some(channels), name: None }, side("height"), side("width")];
    let tensor = TensorTypeProto { elem_type: FLOAT, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.to_owned(), kind: Some(TypeProto { tensor_type: Some(tensor) }) }
}

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetIdProto>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<StringStringEntryProto>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(bytes = "vec", tag = "4")]
    s: Vec<u8>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfoProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::arch::Arch;
    use crate::arch::brush::{Sizes, Version};
    use crate::style_file::{StyleFile, StyleMeta};
    use crate::weights::Weights;

    /// A small brush-2 with any weights.
    fn with_noise() -> StyleFile {
        let weights =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/goldens/tiny-brush2.safetensors");
        let weights = candle_core::safetensors::load(weights, &candle_core::Device::Cpu).expect("a golden");
        let sizes = Sizes { c1: 8, c2: 16, blocks: [1, 2, 1], ch: 8, cf: 5 };
        let text = String::new;
        let meta = StyleMeta {
            id: "x".into(),
            name: "X".into(),
            licence: "private".into(),
            author: text(),
            attribution: text(),
            training: text(),
            source: text(),
        };
        StyleFile::from_weights(Weights::of_training(Arch::Brush(Version::Two, sizes), weights), meta)
            .expect("a style")
    }

    #[test]
    fn a_style_is_a_graph_whose_every_value_is_there_before_it_is_used() {
        let cel = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/styles/brush-1.safetensors");
        let cel = StyleFile::open(Path::new(cel)).expect("a style");
        // A depthwise convolution and two of 1x1 a block, of which cel has 13; and eight around them. With filters two
        // more.
        check("cel", &cel, &["input"], 3 * 13 + 8);
        check("x", &with_noise(), &["input", "noise"], 3 * 5 + 8 + 2);
    }

    #[track_caller]
    fn check(id: &str, file: &StyleFile, inputs: &[&str], convolutions: usize) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("style.onnx");
        file.save_onnx(id, &path).expect("written");
        let model = ModelProto::decode(&*std::fs::read(&path).expect("a file")).expect("a model");
        assert_eq!(model.opset_import[0].version, OPERATORS_VERSION);
        let licence = model.metadata_props.iter().find(|note| note.key == "licence").expect("a licence");
        assert_eq!(licence.value, file.styles()[0].licence);

        let graph = model.graph.expect("a graph");
        let names: Vec<_> = graph.input.iter().map(|input| &input.name[..]).collect();
        assert_eq!(names, inputs);
        for tensor in &graph.initializer {
            let bytes = if tensor.data_type == FLOAT { 4 } else { 8 };
            let values: i64 = tensor.dims.iter().product();
            assert_eq!(tensor.raw_data.len() as i64, values * bytes, "{}", tensor.name);
        }
        // An input without a name is one that is left out; one that may be left out has a value.
        let mut known: HashSet<_> = ["", "input"].into();
        known.extend(graph.initializer.iter().map(|tensor| &tensor.name[..]));
        assert!(inputs.iter().all(|input| known.contains(input)), "{inputs:?}");
        for node in &graph.node {
            assert!(node.input.iter().all(|input| known.contains(&input[..])), "{}", node.name);
            assert!(node.output.iter().all(|output| known.insert(output)), "{} is there twice", node.name);
        }
        assert!(known.contains("output"));
        let found = graph.node.iter().filter(|node| node.op_type == "Conv").count();
        assert_eq!(found, convolutions, "{id}");
    }
}
