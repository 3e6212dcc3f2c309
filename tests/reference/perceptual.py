"""The small perceptual network `perceptual-1`."""

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = {"full.1": "full", "half.1": "half", "quarter.2": "quarter"}
LAYERS = ["full.0", "full.1", "half.0", "half.1", "quarter.0", "quarter.1", "quarter.2"]


def features(pictures: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The maps of the three levels, of RGB in -1..1."""
    x, maps = pictures, {}
    for layer in LAYERS:
        weight, bias = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
        if weight.shape[2] == 2:
            x = F.relu(F.conv2d(x, weight, bias, stride=2))
        else:
            x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), weight, bias))
        if layer in LEVELS:
            maps[LEVELS[layer]] = x
    return maps
