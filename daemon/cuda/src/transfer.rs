//! Pictures on their way to the GPU and back: in parts, so that while one is copied the processor rounds the next, and in
//! f16, since the way is what takes long.

use cudarc::driver::CudaEvent;
use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use rayon::prelude::*;

use crate::workspace::{Buffer, Staging};
use crate::{Error, Gpu};

/// Values of a part: copying it takes longer than starting that.
const PART: usize = 1 << 20;
/// Parts that are on their way at a time, at most.
const SLOTS: usize = 8;
/// Values that a thread takes at a time.
const GRAIN: usize = 1 << 14;

impl Gpu {
    /// Begins to copy a picture, rounded, to the GPU; what is launched from here on finds it there.
    ///
    /// # Errors
    /// If the GPU fails. Parts may be on their way then.
    pub(crate) fn upload(
        &self,
        picture: &[f32],
        staging: &mut Staging,
        to: &mut Buffer,
    ) -> Result<(), Error> {
        staging.reserve(&self.stream, picture.len().div_ceil(PART).min(SLOTS) * PART);
        let mut slots: Vec<&mut [u16]> = staging.values()?.chunks_mut(PART).collect();
        let mut copied: Vec<CudaEvent> = Vec::new();
        for (i, part) in picture.chunks(PART).enumerate() {
            if let Some(before) = i.checked_sub(slots.len()) {
                copied[before].synchronize()?;
            }
            let at = i % slots.len();
            let slot = &mut slots[at][..part.len()];
            slot.par_chunks_mut(GRAIN).zip(part.par_chunks(GRAIN)).for_each(|(to, from)| {
                to.reinterpret_cast_mut::<f16>().convert_from_f32_slice(from);
            });
            let mut to = to.slice_mut().slice_mut(i * PART..i * PART + part.len());
            self.stream.memcpy_htod(&*slot, &mut to)?;
            copied.push(self.stream.record_event(None)?);
        }
        Ok(())
    }

    /// Appends a picture, or a part of it, to `out`, what is on the GPU added to it. `staging` is what the picture was
    /// uploaded by; nothing is on its way any more.
    ///
    /// # Errors
    /// If the GPU fails. Parts may be on their way then, and `out` is as before.
    pub(crate) fn download_onto(
        &self,
        picture: &[f32],
        from: &Buffer,
        staging: &mut Staging,
        out: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let start = out.len();
        let done = self.download_parts(picture, from, staging, out);
        done.inspect_err(|_| out.truncate(start))
    }

    fn download_parts(
        &self,
        picture: &[f32],
        from: &Buffer,
        staging: &mut Staging,
        out: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let mut slots: Vec<&mut [u16]> = staging.values()?.chunks_mut(PART).collect();
        let parts: Vec<&[f32]> = picture.chunks(PART).collect();
        let copy = |i: usize, slots: &mut [&mut [u16]]| -> Result<CudaEvent, Error> {
            let from = from.slice().slice(i * PART..i * PART + parts[i].len());
            let at = i % slots.len();
            self.stream.memcpy_dtoh(&from, &mut slots[at][..parts[i].len()])?;
            Ok(self.stream.record_event(None)?)
        };
        let mut copied = Vec::new();
        for i in 0..slots.len().min(parts.len()) {
            copied.push(copy(i, &mut slots)?);
        }
        // While the GPU still draws.
        let start = out.len();
        out.par_extend(rayon::iter::repeat_n(0.0, picture.len()));
        for (i, (part, out)) in parts.iter().zip(out[start..].chunks_mut(PART)).enumerate() {
            copied[i].synchronize()?;
            let slot = &slots[i % slots.len()][..part.len()];
            let values = slot.par_chunks(GRAIN).zip(part.par_chunks(GRAIN));
            values.zip(out.par_chunks_mut(GRAIN)).for_each(|((change, base), out)| {
                change.reinterpret_cast::<f16>().convert_to_f32_slice(out);
                out.iter_mut().zip(base).for_each(|(value, base)| *value += base);
            });
            if i + slots.len() < parts.len() {
                copied.push(copy(i + slots.len(), &mut slots)?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs a GPU, or the emulator in its place, and `UTSUSHI_TEST_DEVICE=cuda`.
    #[test]
    fn what_goes_up_comes_down_however_many_parts_it_is() {
        if std::env::var("UTSUSHI_TEST_DEVICE").as_deref() != Ok("cuda") {
            eprintln!("skipped: UTSUSHI_TEST_DEVICE isn't cuda");
            return;
        }
        let gpu = Gpu::open(0).expect("a GPU");
        let (mut staging, mut buffer) = (Staging::default(), Buffer::default());
        for len in [3, PART, 2 * PART - 5, SLOTS * PART + GRAIN + 1, 2 * SLOTS * PART + 7, 100] {
            let picture: Vec<f32> = (0..len).map(|i| (i % 10_007) as f32 / 5003.5 - 1.0).collect();
            buffer.reserve(&gpu.stream, len).expect("room on the GPU");
            gpu.upload(&picture, &mut staging, &mut buffer).expect("an upload");
            let mut out = vec![5.0];
            gpu.download_onto(&picture, &buffer, &mut staging, &mut out).expect("a download");
            assert!(out.len() == len + 1 && out[0] == 5.0);
            let wrong = (0..len).find(|&i| out[i + 1] != picture[i] + f16::from_f32(picture[i]).to_f32());
            assert_eq!(wrong, None, "of {len}");
        }
    }
}
