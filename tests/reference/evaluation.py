"""Writes tests/data/goldens/evaluation.safetensors: energy distance with its standard error, and content
distance, of random features.

    python evaluation.py

In f64, by the formulas: energy distance as Szekely and Rizzo 2013 (https://doi.org/10.1016/j.jspi.2013.03.018).
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

GOLDENS = Path(__file__).resolve().parent.parent / "data" / "goldens"


def energy(a: np.ndarray, b: np.ndarray) -> float:
    """Of pictures x cells x features."""
    rows = lambda s: s.reshape(-1, s.shape[-1])
    mean = lambda x, y: np.sqrt(((rows(x)[:, None] - rows(y)[None]) ** 2).mean(-1)).mean()
    return 2 * mean(a, b) - mean(a, a) - mean(b, b)


def standard_error(a: np.ndarray, b: np.ndarray) -> float:
    """The jackknife, by computing the distance anew without each picture."""
    without_a = np.array([energy(np.delete(a, i, 0), b) for i in range(len(a))])
    without_b = np.array([energy(a, np.delete(b, i, 0)) for i in range(len(b))])
    variance = lambda t: (len(t) - 1) / len(t) * ((t - t.mean()) ** 2).sum()
    return np.sqrt(variance(without_a) + variance(without_b))


def whitened(maps: np.ndarray) -> np.ndarray:
    """Maps of one picture, height x width x channels."""
    variance = maps.var((0, 1), keepdims=True)
    return (maps - maps.mean((0, 1), keepdims=True)) / np.sqrt(variance + 1e-3 * np.abs(maps).mean())


if __name__ == "__main__":
    random = np.random.default_rng(7)
    features = lambda count, mean: np.abs(random.normal(mean, 0.4, (count, 4, 20))).astype(np.float32).astype(np.float64)
    pictures = lambda: random.uniform(-1, 1, (3, 6, 5, 3)).astype(np.float32).astype(np.float64)
    sets = {"a": features(14, 0.8), "same": features(9, 0.8), "other": features(11, 1.3)}
    tensors = {name: rows.astype(np.float32) for name, rows in sets.items()}
    for name in ("same", "other"):
        a, b = sets["a"], sets[name]
        tensors[f"energy.{name}"] = np.array([energy(a, b), standard_error(a, b)])
    # A "perceptual network" whose only level is the picture itself.
    results, photos = pictures(), pictures()
    grey = lambda p: np.repeat((p @ [0.299, 0.587, 0.114])[..., None], 3, -1)
    distances = [np.abs(whitened(grey(r)) - whitened(grey(p))).mean() for r, p in zip(results, photos)]
    tensors |= {"results": results.astype(np.float32), "photos": photos.astype(np.float32), "content": np.array([np.mean(distances)])}
    save_file(tensors, GOLDENS / "evaluation.safetensors")
    print({k: v for k, v in tensors.items() if v.size < 3})
