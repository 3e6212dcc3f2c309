//! Rows of a map that may lie in several tensors: what comes in bands need not be copied together to be read.

use candle_core::{Result, Storage, Tensor, bail};
use utsushi_kernels::Map;

/// Consecutive rows of a map, perhaps none: tensors of `[rows, cols, channels]`, one below the other.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    parts: Vec<Tensor>,
}

impl Rows {
    pub(crate) fn new(rows: &Tensor) -> Result<Self> {
        Ok(Self { parts: vec![rows.contiguous()?] })
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.parts.iter().map(|part| part.dims()[0]).sum()
    }

    /// Columns and channels.
    pub(crate) fn dims(&self) -> Result<(usize, usize)> {
        let Some(first) = self.parts.first() else { bail!("a map without rows") };
        first.dims3().map(|(_, cols, channels)| (cols, channels))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Puts rows below these.
    pub(crate) fn append(&mut self, rows: Self) {
        self.parts.extend(rows.parts);
    }

    /// `count` of them, from row `from` on; nothing is copied.
    pub(crate) fn narrow(&self, from: usize, count: usize) -> Result<Self> {
        let (mut skip, mut missing, mut parts) = (from, count, Vec::new());
        for part in &self.parts {
            let rows = part.dim(0)?;
            let taken = rows.saturating_sub(skip).min(missing);
            if taken > 0 {
                parts.push(part.narrow(0, skip, taken)?);
            }
            skip = skip.saturating_sub(rows);
            missing -= taken;
        }
        if missing > 0 {
            bail!("{count} rows were asked for, and {missing} of them never came");
        }
        Ok(Self { parts })
    }

    /// These rows `count` times, one below the other; nothing is copied.
    pub(crate) fn repeated(&self, count: usize) -> Self {
        Self { parts: std::iter::repeat_n(&self.parts, count).flatten().cloned().collect() }
    }

    /// Lets go of the maps that these rows are a small part of, for which they are copied.
    pub(crate) fn let_go(&mut self) -> Result<()> {
        for part in &mut self.parts {
            let whole = match &*part.storage_and_layout().0 {
                Storage::Cpu(storage) => storage.as_slice::<f32>()?.len(),
                _ => 0,
            };
            if part.elem_count() * 2 < whole {
                *part = part.force_contiguous()?;
            }
        }
        Ok(())
    }

    /// The same values in rows `from / to` times as many, or as few, and as much shorter, or longer.
    pub(crate) fn regrouped(&self, from: usize, to: usize) -> Result<Self> {
        let regroup = |part: &Tensor| {
            let (rows, cols, channels) = part.dims3()?;
            part.reshape((rows * from / to, cols * to / from, channels))
        };
        // New rows can't lie in several tensors, as the old ones that they are made of may.
        let parts = match self.parts.iter().all(|part| (part.dims()[0] * from).is_multiple_of(to)) {
            true => self.parts.clone(),
            false => vec![self.whole()?],
        };
        Ok(Self { parts: parts.iter().map(regroup).collect::<Result<_>>()? })
    }

    /// In one tensor.
    pub(crate) fn whole(&self) -> Result<Tensor> {
        match &self.parts[..] {
            [part] => Ok(part.clone()),
            parts => Tensor::cat(parts, 0),
        }
    }

    /// Lets a kernel read them.
    pub(crate) fn read<T>(&self, kernel: impl FnOnce(Map) -> Result<T>) -> Result<T> {
        let Some(first) = self.parts.first() else { bail!("a map without rows") };
        let (_, cols, channels) = first.dims3()?;
        let locked: Vec<_> = self.parts.iter().map(Tensor::storage_and_layout).collect();
        let mut rows = Vec::with_capacity(self.count());
        for (storage, layout) in &locked {
            let (Storage::Cpu(storage), Some((from, to))) = (&**storage, layout.contiguous_offsets()) else {
                bail!("the map is not a contiguous one of the CPU: {layout:?}")
            };
            rows.extend(storage.as_slice::<f32>()?[from..to].chunks_exact(cols * channels));
        }
        kernel(Map::new(&rows, cols, channels))
    }
}
