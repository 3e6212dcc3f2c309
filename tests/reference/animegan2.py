"""The generator of AnimeGANv2 in PyTorch: the reference for `animegan2-1`.

Structure and names are those of the PyTorch port (https://github.com/bryandlee/animegan2-pytorch), so that its state dicts load; the widths
are free, so that a golden can be small. Enlarging is bilinear with half-pixel centres.
Feature maps are N x C x H x W; pictures are RGB from -1 to 1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A picture is padded to a multiple of this, and to at least LEAST_PX: the deepest features are 1/4 of its size, and reflect.
GRAIN_PX = 4
LEAST_PX = 8

WIDTHS = (32, 64, 128, 256)  # channels at full size, 1/2, 1/4, and of the blocks


class ConvNormLReLU(nn.Sequential):
    """Convolution over reflected edges, norm over the whole map, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, bias: bool = False):
        before, after = (0, 1) if stride == 2 else (kernel // 2, kernel // 2)
        super().__init__(
            nn.ReflectionPad2d((before, after, before, after)),
            nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=bias),
            nn.GroupNorm(1, outputs),
            nn.LeakyReLU(0.2),
        )


class InvertedResBlock(nn.Module):
    """1x1 to twice the channels, depthwise 3x3, 1x1, norm; added to what came in where the channels are as many."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        inside = 2 * inputs
        self.is_residual = inputs == outputs
        self.layers = nn.Sequential(
            ConvNormLReLU(inputs, inside, kernel=1),
            ConvNormLReLU(inside, inside, groups=inside, bias=True),
            nn.Conv2d(inside, outputs, 1, bias=False),
            nn.GroupNorm(1, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.is_residual else self.layers(x)


class Generator(nn.Module):
    """The network."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS):
        super().__init__()
        w0, w1, w2, w3 = widths
        self.block_a = nn.Sequential(ConvNormLReLU(3, w0, 7), ConvNormLReLU(w0, w1, stride=2), ConvNormLReLU(w1, w1))
        self.block_b = nn.Sequential(ConvNormLReLU(w1, w2, stride=2), ConvNormLReLU(w2, w2))
        self.block_c = nn.Sequential(
            ConvNormLReLU(w2, w2),
            InvertedResBlock(w2, w3),
            InvertedResBlock(w3, w3),
            InvertedResBlock(w3, w3),
            InvertedResBlock(w3, w3),
            ConvNormLReLU(w3, w2),
        )
        self.block_d = nn.Sequential(ConvNormLReLU(w2, w2), ConvNormLReLU(w2, w2))
        self.block_e = nn.Sequential(ConvNormLReLU(w2, w1), ConvNormLReLU(w1, w1), ConvNormLReLU(w1, w0, 7))
        self.out_layer = nn.Sequential(nn.Conv2d(w0, 3, 1, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        x = self.block_c(self.block_b(self.block_a(x)))
        x = self.block_d(enlarge(x))
        return self.out_layer(self.block_e(enlarge(x)))


def enlarge(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def stylize(net: Generator, picture: Tensor) -> Tensor:
    """Pads, runs, crops: a picture of any size."""
    height, width = picture.shape[-2:]

    def missing(side: int) -> int:
        return -(-max(side, LEAST_PX) // GRAIN_PX) * GRAIN_PX - side

    with torch.no_grad():
        padded = F.pad(picture, (0, missing(width), 0, missing(height)), mode="replicate")
        return net(padded)[..., :height, :width]
