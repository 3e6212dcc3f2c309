"""Writes tests/data/goldens/abstraction-*.safetensors: what L0 smoothing and the whole abstraction make of a small picture.

    python abstraction.py

Everything in f64, by the formulas as they stand in the papers: L0 gradient minimisation (Xu et al. 2011, doi 10.1145/2024156.2024208)
by Fourier transforms of the picture and its three mirror images, which is what "no gradient across a border" means.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

GOLDENS = Path(__file__).resolve().parent.parent / "data" / "goldens"
SIZES = [(40, 56), (37, 53)]
LAMBDA, KAPPA, MAX_BETA = 0.012, 2.0, 1e5


def photo(height: int, width: int) -> np.ndarray:
    """Shaded shapes, a thin line and noise; u8, height x width x 3."""
    random = np.random.default_rng(height)
    y, x = np.mgrid[0:height, 0:width] / height
    base = np.stack([0.7 - 0.3 * y, 0.6 + 0.1 * x, 0.5 + 0.3 * x * y], -1)
    ball = np.hypot(x - 0.5, y - 0.6) < 0.3
    base[ball] = (np.stack([0.8 - 0.5 * x, 0.3 + 0.2 * y, 0.2 + 0 * x], -1))[ball]
    base[y < 0.12] = (0.15, 0.2, 0.6)
    base[np.abs(x - 1.1 + 0.2 * y) < 0.025] = 0.1
    return np.clip((base + random.normal(0, 0.02, base.shape)) * 255 + 0.5, 0, 255).astype(np.uint8)


def l0(image: np.ndarray) -> np.ndarray:
    """Values in 0..1; height x width x channels."""
    height, width = image.shape[:2]
    mirrored = lambda s: np.concatenate([np.concatenate([s, s[:, ::-1]], 1), np.concatenate([s[::-1], s[::-1, ::-1]], 1)], 0)
    spectrum = lambda s: np.fft.fft2(s, axes=(0, 1))
    wave = lambda n: 2 - 2 * np.cos(2 * np.pi * np.arange(n) / n)
    square = (wave(2 * height)[:, None] + wave(2 * width)[None, :])[..., None]
    data = spectrum(mirrored(image))
    s, beta = image.copy(), 2 * LAMBDA
    while beta < MAX_BETA:
        big = mirrored(s)
        h, v = np.roll(big, -1, 1) - big, np.roll(big, -1, 0) - big
        # At the border between mirror images there is no gradient; the length is told by the picture's own.
        drop = ((h**2 + v**2).sum(-1) < LAMBDA / beta)[:height, :width]
        dh, dv = np.diff(s, axis=1, append=s[:, -1:]), np.diff(s, axis=0, append=s[-1:])
        dh[drop], dv[drop] = 0, 0
        back = np.diff(dh, axis=1, prepend=0 * dh[:, :1]) + np.diff(dv, axis=0, prepend=0 * dv[:1])
        s = np.fft.ifft2((data - beta * spectrum(mirrored(back))) / (1 + beta * square), axes=(0, 1)).real[:height, :width]
        beta *= KAPPA
    return s


def gaussian(plane: np.ndarray, sigma: float) -> np.ndarray:
    reach = int(np.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        widths = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        plane = np.apply_along_axis(np.convolve, axis, np.pad(plane, widths, "symmetric"), kernel, "valid")
    return plane


def cel(image: np.ndarray) -> np.ndarray:
    """Chroma x 1.25, an S-curve, and lines."""
    luma = image @ [0.299, 0.587, 0.114]
    line = np.clip((gaussian(luma, 2.0) - gaussian(luma, 0.9) - 0.012) * 7, 0, 1)
    drawn = (luma + 0.12 * (luma - 0.5) * (1 - np.abs(2 * luma - 1))) * (1 - 0.75 * line)
    return drawn[..., None] + 1.25 * (image - luma[..., None])


if __name__ == "__main__":
    for height, width in SIZES:
        picture = photo(height, width)
        smooth = l0(picture / 255.0)
        tensors = {"photo": picture, "smooth": smooth.astype(np.float32), "abstraction": np.clip(cel(smooth), 0, 1).astype(np.float32)}
        save_file(tensors, GOLDENS / f"abstraction-{height}x{width}.safetensors")
