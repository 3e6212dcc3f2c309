//! Weights as PyTorch saves them: a state dict in a `.pth` or `.pt` file (PyTorch 1.6 and later).
//!
//! Such a file is a zip archive, uncompressed, of a pickle that describes tensors and of their raw values. A
//! pickle is a program for a stack machine, and Python's own reader lets it call any function. This one knows
//! the instructions that a state dict needs and builds nothing but numbers, texts, tuples, dicts and
//! descriptions of tensors; whatever else a pickle asks for, it is refused.
//!
//! Files come from strangers. Tuples and dicts lie in one list each and refer to each other by number, so that
//! no nesting is too deep and nothing is ever copied out: memory is bounded by the file's size, which is capped.

use std::collections::hash_map::{Entry, HashMap};
use std::io::{Cursor, Read};
use std::rc::Rc;

use zip::ZipArchive;

/// The longest pickle that is read: what describes a network of thousands of tensors.
const MAX_PICKLE_BYTES: u64 = 1 << 20;
const MAX_TENSORS: usize = 4096;
/// Values of all tensors together, of which several may share a storage.
const MAX_VALUES: usize = 32 << 20;
/// The longest text in a message.
const MAX_SHOWN_CHARS: usize = 80;

/// A tensor of `f32`, whatever it was saved as.
pub(crate) struct Saved {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// Does the file look like one that PyTorch saved?
pub(crate) fn is_pth(bytes: &[u8]) -> bool {
    // A zip archive; or a bare pickle, which is refused with words of its own.
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02")
}

/// Reads a state dict, or says why it can't be one.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Saved>, String> {
    if !bytes.starts_with(b"PK") {
        return Err("it was saved by a PyTorch before 1.6: load it with a newer one and save it again".into());
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    let is_pickle = |name: &&str| *name == "data.pkl" || name.ends_with("/data.pkl");
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.into_owned()).collect();
    let mut pickles = names.iter().map(String::as_str).filter(is_pickle);
    let (Some(pickle), None) = (pickles.next(), pickles.next()) else {
        return Err("it is an archive, but not one of weights that PyTorch saved".into());
    };
    let folder = &pickle[..pickle.len() - "data.pkl".len()];
    if let Ok(order) = entry(&mut archive, &format!("{folder}byteorder"), 16)
        && order != b"little"
    {
        return Err("its numbers are in the byte order of another kind of machine".into());
    }
    let pickle = entry(&mut archive, pickle, MAX_PICKLE_BYTES)?;
    let tensors = Machine::default().run(&pickle)?;
    if tensors.len() > MAX_TENSORS {
        return Err(format!("it has {} tensors", tensors.len()));
    }
    let mut values_left = MAX_VALUES;
    // Tensors may share a storage, which is read once. PyTorch packs none, so that all are smaller than the file.
    let mut storages = HashMap::new();
    let mut bytes_left = bytes.len() as u64;
    let read = |(name, tensor): Named| {
        let count = tensor.count().filter(|count| *count <= values_left);
        let Some(count) = count else { return Err(format!("{}: it is too large", shown(&name))) };
        values_left -= count;
        let key = &tensor.storage.key;
        let storage = match storages.entry(Rc::clone(key)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let storage = entry(&mut archive, &format!("{folder}data/{key}"), bytes_left)?;
                bytes_left -= storage.len() as u64;
                new.insert(storage)
            }
        };
        let values = tensor.values(count, storage);
        let values = values.ok_or_else(|| format!("{}: its values are missing", shown(&name)))?;
        Ok(Saved { name: name.to_string(), shape: tensor.shape.clone(), values })
    };
    tensors.into_iter().map(read).collect()
}

fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let entry = archive.by_name(name).map_err(|e| format!("{}: {e}", shown(name)))?;
    let mut bytes = Vec::new();
    entry.take(most + 1).read_to_end(&mut bytes).map_err(|e| format!("{}: {e}", shown(name)))?;
    if bytes.len() as u64 > most { Err(format!("{}: it is too large", shown(name))) } else { Ok(bytes) }
}

/// A text of the file's, fit for a message.
fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN_CHARS).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A tensor that the pickle describes.
struct Tensor {
    storage: Rc<Storage>,
    offset: usize,
    shape: Vec<usize>,
}

/// A tensor and what the state dict calls it.
type Named = (Rc<str>, Rc<Tensor>);

/// Where a tensor's values are.
struct Storage {
    key: Rc<str>,
    sample: Sample,
}

#[derive(Clone, Copy)]
enum Sample {
    F16,
    BF16,
    F32,
    F64,
}

impl Tensor {
    fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |count, side| count.checked_mul(*side))
    }

    /// Its values, in row-major order; `None` if the storage has too few.
    fn values(&self, count: usize, storage: &[u8]) -> Option<Vec<f32>> {
        fn decode<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks().0.iter().map(|bytes| value(*bytes)).collect()
        }
        let size = match self.storage.sample {
            Sample::F16 | Sample::BF16 => 2,
            Sample::F32 => 4,
            Sample::F64 => 8,
        };
        let from = self.offset.checked_mul(size)?;
        let bytes = storage.get(from..from.checked_add(count.checked_mul(size)?)?)?;
        Some(match self.storage.sample {
            Sample::F16 => decode(bytes, |b| half::f16::from_le_bytes(b).to_f32()),
            Sample::BF16 => decode(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
            Sample::F32 => decode(bytes, f32::from_le_bytes),
            Sample::F64 => decode(bytes, |b| f64::from_le_bytes(b) as f32),
        })
    }
}

#[derive(Clone)]
enum Value {
    /// What state dicts have and weights don't need: None, booleans, floats, lists.
    Other,
    Mark,
    Int(i64),
    Text(Rc<str>),
    /// A class or a function, by its name. Nothing is ever called.
    Global(Rc<str>),
    Tuple(usize),
    Dict(usize),
    Storage(Rc<Storage>),
    Tensor(Rc<Tensor>),
}

/// The stack machine.
#[derive(Default)]
struct Machine {
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    tuples: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
}

/// What is left of the pickle.
struct Code<'a>(&'a [u8]);

impl<'a> Code<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("its description ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.take(N)?.first_chunk();
        Ok(*bytes.expect("as many were taken"))
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.number::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.number().map(u32::from_le_bytes)
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let end = self.0.iter().position(|byte| *byte == b'\n').ok_or("its description ends too early")?;
        let line = self.take(end + 1)?;
        text(&line[..end])
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|_| "a name in it is no text".to_owned())
}

impl Machine {
    /// Runs a pickle, and gives the tensors of the dict that it makes, by their names.
    fn run(mut self, pickle: &[u8]) -> Result<Vec<Named>, String> {
        let mut code = Code(pickle);
        loop {
            match code.byte()? {
                b'.' => break,
                op => self.step(op, &mut code)?,
            }
        }
        let Value::Dict(dict) = self.pop()? else {
            return Err("it is no state dict: save what the network's state_dict() gives".into());
        };
        let is_tensor = |(name, value)| match (name, value) {
            (Value::Text(name), Value::Tensor(tensor)) => Some((name, tensor)),
            _ => None,
        };
        Ok(std::mem::take(&mut self.dicts[dict]).into_iter().filter_map(is_tensor).collect())
    }

    /// One instruction; the letters are those of Python's `pickletools`.
    fn step(&mut self, op: u8, code: &mut Code) -> Result<(), String> {
        let value = match op {
            0x80 => return code.byte().map(drop),
            b'(' => Value::Mark,
            b'N' | 0x88 | 0x89 => Value::Other,
            b'G' => code.take(8).map(|_| Value::Other)?,
            b'K' => Value::Int(code.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(code.number()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(code.number()?).into()),
            0x8a => Value::Int(long(code)?),
            b'X' => {
                let len = code.u32()? as usize;
                Value::Text(text(code.take(len)?)?.into())
            }
            b'c' => Value::Global(format!("{}.{}", code.line()?, code.line()?).into()),
            b')' => self.tuple(Vec::new()),
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(op - 0x84)).ok_or_else(empty)?;
                let values = self.stack.split_off(from);
                self.tuple(values)
            }
            b't' => {
                let values = self.pop_to_mark()?;
                self.tuple(values)
            }
            b'}' => self.dict(),
            b']' => Value::Other,
            b'q' | b'r' => {
                let at = if op == b'q' { code.byte()?.into() } else { code.u32()? };
                let value = self.stack.last().cloned().ok_or_else(empty)?;
                self.memo.insert(at, value);
                return Ok(());
            }
            b'h' | b'j' => {
                let at = if op == b'h' { code.byte()?.into() } else { code.u32()? };
                self.memo.get(&at).cloned().ok_or("its description refers to nothing")?
            }
            b's' | b'u' => return self.set_items(op),
            // Lists are not kept.
            b'a' => return self.pop().map(drop),
            b'e' => return self.pop_to_mark().map(drop),
            // The attributes of an object, among them a state dict's versions.
            b'b' => return self.pop().map(drop),
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            other => {
                return Err(format!(
                    "its description has the instruction {other:#x}, which weights don't need"
                ));
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(empty)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark)).ok_or_else(empty)?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn tuple(&mut self, values: Vec<Value>) -> Value {
        self.tuples.push(values);
        Value::Tuple(self.tuples.len() - 1)
    }

    fn dict(&mut self) -> Value {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    fn set_items(&mut self, op: u8) -> Result<(), String> {
        let items = if op == b's' {
            let value = self.pop()?;
            vec![self.pop()?, value]
        } else {
            self.pop_to_mark()?
        };
        let Some(Value::Dict(dict)) = self.stack.last() else { return Err(empty()) };
        let (pairs, _) = items.as_chunks::<2>();
        self.dicts[*dict].extend(pairs.iter().map(|[key, value]| (key.clone(), value.clone())));
        Ok(())
    }

    fn values(&self, tuple: &Value) -> &[Value] {
        if let Value::Tuple(at) = tuple { &self.tuples[*at] } else { &[] }
    }

    /// A tuple ('storage', type, key, device, count).
    fn storage(&mut self) -> Result<Value, String> {
        let id = self.pop()?;
        let [_, Value::Global(kind), Value::Text(key), ..] = self.values(&id) else {
            return Err("its description has a storage that is none".into());
        };
        let sample = match &**kind {
            "torch.HalfStorage" => Sample::F16,
            "torch.BFloat16Storage" => Sample::BF16,
            "torch.FloatStorage" => Sample::F32,
            "torch.DoubleStorage" => Sample::F64,
            other => return Err(format!("it has tensors of {}, and weights are floats", shown(other))),
        };
        Ok(Value::Storage(Rc::new(Storage { key: Rc::clone(key), sample })))
    }

    /// What a function would make of its arguments, for the few that state dicts name.
    fn call(&mut self) -> Result<Value, String> {
        let (args, function) = (self.pop()?, self.pop()?);
        let Value::Global(function) = function else { return Err(empty()) };
        match &*function {
            "collections.OrderedDict" => Ok(self.dict()),
            "torch._utils._rebuild_tensor_v2" => self.tensor(self.values(&args)),
            "torch._utils._rebuild_parameter" => match self.values(&args) {
                [tensor @ Value::Tensor(_), ..] => Ok(tensor.clone()),
                _ => Err("its description has a parameter that is no tensor".into()),
            },
            other => Err(format!("it wants to call {}, which weights don't need", shown(other))),
        }
    }

    /// (storage, offset, shape, strides, ...)
    fn tensor(&self, args: &[Value]) -> Result<Value, String> {
        let wrong = || "its description has a tensor that is none".to_owned();
        let [Value::Storage(storage), Value::Int(offset), shape, strides, ..] = args else {
            return Err(wrong());
        };
        let numbers = |tuple: &Value| -> Option<Vec<usize>> {
            let number =
                |value: &Value| if let Value::Int(n) = value { usize::try_from(*n).ok() } else { None };
            self.values(tuple).iter().map(number).collect()
        };
        let (shape, strides) = numbers(shape).zip(numbers(strides)).ok_or_else(wrong)?;
        let mut run = 1_usize;
        for (side, stride) in shape.iter().zip(&strides).rev() {
            if *side > 1 && *stride != run {
                return Err("it has a tensor whose values are out of order: save contiguous ones".into());
            }
            run = run.checked_mul(*side).ok_or_else(wrong)?;
        }
        if shape.len() != strides.len() || shape.len() > 8 {
            return Err(wrong());
        }
        let offset = usize::try_from(*offset).map_err(|_| wrong())?;
        Ok(Value::Tensor(Rc::new(Tensor { storage: Rc::clone(storage), offset, shape })))
    }
}

fn empty() -> String {
    "its description makes no sense".into()
}

/// A whole number of up to 8 bytes, little-endian.
fn long(code: &mut Code) -> Result<i64, String> {
    let len = code.byte()?.into();
    let bytes = code.take(len)?;
    if len > 8 {
        return Err(empty());
    }
    let fill = if bytes.last().is_some_and(|byte| *byte >= 0x80) { 255 } else { 0 };
    let mut whole = [fill; 8];
    whole[..len].copy_from_slice(bytes);
    Ok(i64::from_le_bytes(whole))
}

#[cfg(test)]
mod tests;
