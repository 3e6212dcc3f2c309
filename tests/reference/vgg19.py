"""VGG19's first eight convolutions (Simonyan & Zisserman, 2014), each with its ReLU."""

import torch
import torch.nn.functional as F
from torch import Tensor

LAYERS = [
    "block1_conv1",
    "block1_conv2",
    "block2_conv1",
    "block2_conv2",
    "block3_conv1",
    "block3_conv2",
    "block3_conv3",
    "block3_conv4",
]
MEAN_BGR = (103.939, 116.779, 123.68)


def features(pictures: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """`relu1_1` and so on, as far as there are weights, of RGB in -1..1."""
    mean = torch.tensor(MEAN_BGR, dtype=pictures.dtype).view(1, 3, 1, 1)
    x = (pictures.flip(1) + 1) * 127.5 - mean
    maps, stage = {}, "1"
    for layer in LAYERS:
        if f"{layer}.weight" not in weights:
            break
        if layer[5] != stage:
            x, stage = F.max_pool2d(x, 2), layer[5]
        x = F.relu(F.conv2d(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"], padding=1))
        maps[f"relu{stage}_{layer[-1]}"] = x
    return maps
