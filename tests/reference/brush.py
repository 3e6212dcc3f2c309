"""The generator `brush-1` in PyTorch: the reference that the engine is checked against.

It is written to be read beside the engine's own version; every layer bears the name that its weights have in
a style file. No layer looks at the whole picture: the norms work over the channels at a pixel.
Feature maps are N x C x H x W; pictures are RGB from -1 to 1.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

NORM_EPSILON = 1e-5

# A picture is padded to a multiple of this: the deepest features are 1/8 of its size.
GRAIN_PX = 8


@dataclass(frozen=True)
class Sizes:
    """What a style file says about its network."""

    c1: int = 48  # channels at 1/4 of the picture's size
    c2: int = 96  # channels at 1/8
    blocks: tuple[int, int, int] = (3, 6, 3)  # how many before, at and after 1/8
    ch: int = 24  # channels at 1/2
    cf: int = 12  # channels at full size
    styles: int = 1


class Norm(nn.Module):
    """Mean 0 and variance 1 over the channels at a pixel; then a scale `g` and a shift `b` for each channel.

    This is where the style enters: `g` and `b` have a row for each style, and a mix of styles mixes the rows.
    """

    def __init__(self, channels: int, styles: int):
        super().__init__()
        self.g = nn.Parameter(torch.ones(styles, channels))
        self.b = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        variance = x.var(1, keepdim=True, unbiased=False)
        scale = (mix @ self.g).view(1, -1, 1, 1)
        shift = (mix @ self.b).view(1, -1, 1, 1)
        return (x - mean) * torch.rsqrt(variance + NORM_EPSILON) * scale + shift


class Block(nn.Module):
    """x + g * p2(ReLU(p1(n(dw(x)))))."""

    def __init__(self, channels: int, styles: int):
        super().__init__()
        self.dw = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, padding_mode="replicate")
        self.n = Norm(channels, styles)
        self.p1 = nn.Conv2d(channels, 2 * channels, 1)
        self.p2 = nn.Conv2d(2 * channels, channels, 1)
        self.g = nn.Parameter(torch.full((1, channels, 1, 1), 0.2))

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        return x + self.g * self.p2(F.relu(self.p1(self.n(self.dw(x), mix))))


class Blocks(nn.ModuleList):
    """Blocks one after the other."""

    def __init__(self, count: int, channels: int, styles: int):
        super().__init__(Block(channels, styles) for _ in range(count))

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        for block in self:
            x = block(x, mix)
        return x


def conv3(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, padding_mode="replicate")


class Brush(nn.Module):
    """The network. The stages are methods, so that each can be checked alone."""

    def __init__(self, sizes: Sizes = Sizes()):
        super().__init__()
        self.sizes = sizes
        c1, c2, ch, cf, styles = sizes.c1, sizes.c2, sizes.ch, sizes.cf, sizes.styles
        before, deepest, after = sizes.blocks
        # 1/4 and 1/8 of the size
        self.stem = conv3(3 * 4 * 4, c1)
        self.e1 = Blocks(before, c1, styles)
        self.down = nn.Conv2d(c1, c2, 2, stride=2)
        self.mid = Blocks(deepest, c2, styles)
        self.up = nn.Conv2d(c2, c1, 1)
        self.d1 = Blocks(after, c1, styles)
        # 1/2
        self.n = Norm(c1, styles)
        self.h1 = nn.Conv2d(c1, ch * 2 * 2, 1)
        self.skip = conv3(3 * 2 * 2, ch)
        self.b2 = Block(ch, styles)
        # full size
        self.n2 = Norm(ch, styles)
        self.h2 = nn.Conv2d(ch, cf * 2 * 2, 1)
        self.dw = conv3(cf + 3, cf)
        self.rgb = conv3(cf, 3)

    def forward(self, picture: Tensor, mix: Tensor) -> Tensor:
        """`picture`: sides a multiple of `GRAIN_PX`. `mix`: how much of each style, [styles]."""
        x = self.e1(self.picture_to_quarter(picture), mix)
        deep = self.mid(self.down(x), mix)
        x = self.d1(x + self.enlarge(self.up(deep)), mix)
        x = self.b2(self.to_half(x, mix) + self.picture_to_half(picture), mix)
        x = self.merge(self.to_full(x, mix), picture)
        return self.head(x, picture)

    def picture_to_quarter(self, picture: Tensor) -> Tensor:
        return self.stem(F.pixel_unshuffle(picture, 4))

    def enlarge(self, x: Tensor) -> Tensor:
        # Half-pixel centres: output pixel i looks at (i + 0.5) / 2 - 0.5, kept within the map.
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def to_half(self, x: Tensor, mix: Tensor) -> Tensor:
        return F.pixel_shuffle(self.h1(self.n(x, mix)), 2)

    def picture_to_half(self, picture: Tensor) -> Tensor:
        return self.skip(F.pixel_unshuffle(picture, 2))

    def to_full(self, x: Tensor, mix: Tensor) -> Tensor:
        return F.pixel_shuffle(self.h2(self.n2(x, mix)), 2)

    def merge(self, x: Tensor, picture: Tensor) -> Tensor:
        return F.relu(self.dw(torch.cat([x, picture], 1)))

    def head(self, x: Tensor, picture: Tensor) -> Tensor:
        return picture + self.rgb(x)


def stylize(net: Brush, picture: Tensor, mix: Tensor | None = None) -> Tensor:
    """Any size: the last column and row are repeated up to a multiple of the grain, the result is cropped."""
    if mix is None:
        assert net.sizes.styles == 1, "a network of several styles needs a mix"
        mix = picture.new_ones(1)
    height, width = picture.shape[2:]
    padded = F.pad(picture, (0, -width % GRAIN_PX, 0, -height % GRAIN_PX), mode="replicate")
    with torch.no_grad():
        return net(padded, mix)[:, :, :height, :width]


def load(path: str, sizes: Sizes = Sizes()) -> Brush:
    """The network of a weights file, in f32; every weight has to be there, and nothing else.

    Older files hold a norm's scale and shift as 1 x C x 1 x 1: read as one style.
    """
    net = Brush(sizes)
    shapes = {name: tensor.shape for name, tensor in net.state_dict().items()}
    weights = load_file(path)
    net.load_state_dict(
        {name: w.reshape(shapes[name]) if name in shapes else w for name, w in weights.items()}
    )
    return net.eval()
