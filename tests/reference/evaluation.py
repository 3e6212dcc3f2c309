"""Writes tests/data/goldens/evaluation.safetensors: KID with its standard error, and content distance, of random features.

    python evaluation.py

In f64, by the formulas: KID as Binkowski et al. 2018 (https://arxiv.org/abs/1801.01401), over the whole sets.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

GOLDENS = Path(__file__).resolve().parent.parent / "data" / "goldens"


def kid(a: np.ndarray, b: np.ndarray) -> float:
    kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
    n, m = len(a), len(b)
    within = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
    return within(kernel(a, a)) + within(kernel(b, b)) - 2 * kernel(a, b).sum() / (n * m)


def standard_error(a: np.ndarray, b: np.ndarray) -> float:
    """The jackknife, by computing the distance anew without each picture."""
    without_a = np.array([kid(np.delete(a, i, 0), b) for i in range(len(a))])
    without_b = np.array([kid(a, np.delete(b, i, 0)) for i in range(len(b))])
    variance = lambda t: (len(t) - 1) / len(t) * ((t - t.mean()) ** 2).sum()
    return np.sqrt(variance(without_a) + variance(without_b))


def mean_over_subsets(a: np.ndarray, b: np.ndarray, size: int, count: int) -> float:
    """As the paper does it; for comparison."""
    random = np.random.default_rng(1)
    pick = lambda s: s[random.choice(len(s), size, replace=False)]
    return float(np.mean([kid(pick(a), pick(b)) for _ in range(count)]))


def whitened(maps: np.ndarray) -> np.ndarray:
    """Maps of one picture, height x width x channels."""
    variance = maps.var((0, 1), keepdims=True)
    return (maps - maps.mean((0, 1), keepdims=True)) / np.sqrt(variance + 1e-3 * np.abs(maps).mean())


if __name__ == "__main__":
    random = np.random.default_rng(7)
    features = lambda count, mean: np.abs(random.normal(mean, 0.4, (count, 20))).astype(np.float32).astype(np.float64)
    pictures = lambda: random.uniform(-1, 1, (3, 6, 5, 3)).astype(np.float32).astype(np.float64)
    sets = {"a": features(14, 0.8), "same": features(9, 0.8), "other": features(11, 1.3)}
    tensors = {name: rows.astype(np.float32) for name, rows in sets.items()}
    for name in ("same", "other"):
        a, b = sets["a"], sets[name]
        value = kid(a, b)
        assert abs(value - mean_over_subsets(a, b, 8, 20_000)) < 0.01 * abs(value) + 0.002
        tensors[f"kid.{name}"] = np.array([value, standard_error(a, b)])
    # A "perceptual network" whose only level is the picture itself.
    results, photos = pictures(), pictures()
    grey = lambda p: np.repeat((p @ [0.299, 0.587, 0.114])[..., None], 3, -1)
    distances = [np.abs(whitened(grey(r)) - whitened(grey(p))).mean() for r, p in zip(results, photos)]
    tensors |= {"results": results.astype(np.float32), "photos": photos.astype(np.float32), "content": np.array([np.mean(distances)])}
    save_file(tensors, GOLDENS / "evaluation.safetensors")
    print({k: v for k, v in tensors.items() if v.size < 3})
