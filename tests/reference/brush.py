"""The generators `brush-1` and `brush-2` in PyTorch: the reference that the engine is checked against.

It is written to be read beside the engine's own version; every layer bears the name that its weights have in
a style file. No layer looks at the whole picture: the norms work over the channels at a pixel.
Feature maps are N x C x H x W; pictures are RGB from -1 to 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

NORM_EPSILON = 1e-5

# A picture is padded to a multiple of this: the deepest features are 1/8 of its size.
MULTIPLE_PX = 8


@dataclass(frozen=True)
class Sizes:
    """What a style file says about its network."""

    c1: int = 48  # channels at 1/4 of the picture's size
    c2: int = 96  # channels at 1/8
    blocks: tuple[int, int, int] = (3, 6, 3)  # how many before, at and after 1/8
    ch: int = 24  # channels at 1/2
    cf: int = 12  # channels at full size
    styles: int = 1
    version: int = 1  # 2 has a filter after each pixel-shuffle, and noise


@dataclass(frozen=True)
class Noise:
    """The noise of a picture: a function of seed, layer and place (daemon/kernels/src/noise.rs)."""

    seed: int = 0
    strength: float = 1.0

    def key(self, layer: int) -> Tensor:
        key = noise_hash(torch.tensor(layer ^ 0x9E3779B9))
        for part in (self.seed >> 32, self.seed & 0xFFFFFFFF):
            key = noise_hash(part ^ key)
        return key

    def map(self, layer: int, height: int, width: int) -> Tensor:
        key = self.key(layer)
        rows = noise_hash(key ^ torch.arange(height))
        values = noise_hash(rows[:, None] ^ torch.arange(width))
        total = sum(values >> shift & 255 for shift in (0, 8, 16, 24)) - 510
        return total.double() * (self.strength / (4 * (256**2 - 1) / 12) ** 0.5)


    def strokes(self, layer: int, height: int, width: int, directions: Tensor) -> Tensor:
        """White noise, averaged along the directions of the picture's cells."""
        key = self.key(layer)
        cell = 4 * len(directions)  # pixels of the padded picture
        factor = cell // height
        rows, cols = torch.arange(height)[:, None], torch.arange(width)[None]
        direction = directions[rows * factor // 4, cols * factor // 4]
        total = torch.zeros(height, width, dtype=torch.long)
        for step in range(-4, 5):
            x = cols + (step * STROKE_COLS[direction] + 128 >> 8)
            y = rows + (step * STROKE_ROWS[direction] + 128 >> 8)
            place = x * 0x9E3779B1 + y * 0x85EBCA77 & 0xFFFFFFFF
            total += noise_hash(key ^ place) & 255
        return (2 * total - 9 * 255).double() * (self.strength / 2 / (9 * (256**2 - 1) / 12) ** 0.5)

    def flow(self, picture: Tensor) -> Tensor:
        """Which way strokes go in a picture, 3 x H x W: of each cell of 4 x 4 pixels, a number of sixteenths of half a
        turn (daemon/engine/src/arch/brush/flow.rs)."""
        weights = picture.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
        cells = F.avg_pool2d((picture.detach() * weights).sum(0)[None], 4)[0]
        gx, gy = torch.zeros_like(cells), torch.zeros_like(cells)
        gx[:, :-1] = cells[:, 1:] - cells[:, :-1]
        gy[:-1] = cells[1:] - cells[:-1]
        tensor = torch.stack([gx * gx - gy * gy, 2 * gx * gy])[:, None]
        taps = torch.exp(-(torch.arange(-9, 10, dtype=cells.dtype) ** 2) / (2 * 3**2))
        taps = taps / taps.sum()
        tensor = F.conv2d(F.pad(tensor, (9, 9, 9, 9), mode="replicate"), taps.view(1, 1, 1, -1))
        tensor = F.conv2d(tensor, taps.view(1, 1, -1, 1))[:, 0]
        angles = torch.arange(16, dtype=cells.dtype) * (2 * torch.pi / 16)
        circle = torch.stack([angles.cos(), angles.sin()])

        # Random vectors at every 24th cell, and between them interpolated.
        height, width = cells.shape
        points = torch.arange(max(height, width) // 24 + 2)
        key = self.key(0xFFFFFFFF)
        numbers = noise_hash(noise_hash(key ^ points)[:, None] ^ points) >> 28

        def part(length: int) -> tuple[Tensor, Tensor]:
            at = torch.arange(length)
            share = (at % 24).to(cells.dtype) / 24
            return at // 24, share * share * (3 - 2 * share)

        (row, down), (col, across) = part(height), part(width)
        vectors = circle[:, numbers]
        left = vectors[:, :, col] + (vectors[:, :, col + 1] - vectors[:, :, col]) * across
        sway = left[:, row] + (left[:, row + 1] - left[:, row]) * down[:, None]
        return torch.einsum("khw,kd->hwd", 0.002 * sway - tensor, circle).argmax(2)


# From one of a stroke's pixels to the next, in columns and rows, times 256.
STROKE_COLS = torch.tensor([256, 256, 256, 256, 256, 171, 106, 51, 0, -51, -106, -171, -256, -256, -256, -256])
STROKE_ROWS = torch.tensor([0, 51, 106, 171, 256, 256, 256, 256, 256, 256, 256, 256, 256, 171, 106, 51])


def noise_hash(x: Tensor) -> Tensor:
    """lowbias32."""
    x = (x ^ x >> 16) * 0x7FEB352D & 0xFFFFFFFF
    x = (x ^ x >> 15) * 0x846CA68B & 0xFFFFFFFF
    return x ^ x >> 16


def binomial(x: Tensor) -> Tensor:
    """[1 2 1] / 4 in both directions, reflecting at the borders."""
    taps = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype)
    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, groups=x.shape[1])


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
    """x + g * p2(ReLU(p1(n(dw(x) + z * noise)))), with noise of a value a pixel in brush-2 alone."""

    def __init__(self, channels: int, styles: int, version: int):
        super().__init__()
        self.dw = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, padding_mode="replicate")
        self.n = Norm(channels, styles)
        self.p1 = nn.Conv2d(channels, 2 * channels, 1)
        self.p2 = nn.Conv2d(2 * channels, channels, 1)
        self.g = nn.Parameter(torch.full((1, channels, 1, 1), 0.2))
        self.z = nn.Parameter(torch.zeros(styles, channels)) if version > 1 else None

    def forward(self, x: Tensor, mix: Tensor, noise: Tensor | None = None) -> Tensor:
        h = self.dw(x)
        if self.z is not None:
            h = h + (mix @ self.z).view(1, -1, 1, 1) * noise
        return x + self.g * self.p2(F.relu(self.p1(self.n(h, mix))))


class Blocks(nn.ModuleList):
    """Blocks one after the other."""

    def __init__(self, count: int, channels: int, styles: int, version: int):
        super().__init__(Block(channels, styles, version) for _ in range(count))

    def forward(self, x: Tensor, mix: Tensor, noise: Callable[[int, Tensor], Tensor], first: int) -> Tensor:
        """`first`: the first block's number among all."""
        for i, block in enumerate(self):
            x = block(x, mix, noise(first + i, x))
        return x


def conv3(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, padding_mode="replicate")


class Brush(nn.Module):
    """The network. The stages are methods, so that each can be checked alone."""

    def __init__(self, sizes: Sizes = Sizes()):
        super().__init__()
        self.sizes = sizes
        c1, c2, ch, cf = sizes.c1, sizes.c2, sizes.ch, sizes.cf
        styles, version = sizes.styles, sizes.version
        before, deepest, after = sizes.blocks
        # 1/4 and 1/8 of the size
        self.stem = conv3(3 * 4 * 4, c1)
        self.e1 = Blocks(before, c1, styles, version)
        self.down = nn.Conv2d(c1, c2, 2, stride=2)
        self.mid = Blocks(deepest, c2, styles, version)
        self.up = nn.Conv2d(c2, c1, 1)
        self.d1 = Blocks(after, c1, styles, version)
        # 1/2
        self.n = Norm(c1, styles)
        self.h1 = nn.Conv2d(c1, ch * 2 * 2, 1)
        self.skip = conv3(3 * 2 * 2, ch)
        self.b2 = Block(ch, styles, version)
        # full size
        self.n2 = Norm(ch, styles)
        self.h2 = nn.Conv2d(ch, cf * 2 * 2, 1)
        self.zf = nn.Parameter(torch.zeros(styles, cf)) if version > 1 else None
        self.dw = conv3(cf + 3, cf)
        self.rgb = conv3(cf, 3)

    def forward(self, picture: Tensor, mix: Tensor, noises: Sequence[Noise] | None = None) -> Tensor:
        """`picture`: sides a multiple of `MULTIPLE_PX`. `mix`: how much of each style, [styles]. `noises`: a picture's
        each."""
        noises = noises or [Noise()] * len(picture)
        before, deepest, after = self.sizes.blocks

        flows = [noise.flow(picture) for noise, picture in zip(noises, picture)]

        def noise(layer: int, like: Tensor) -> Tensor:
            size = like.shape[2:]
            maps = [noise.strokes(layer, *size, flow) for noise, flow in zip(noises, flows)]
            return torch.stack(maps)[:, None].to(like.dtype)

        x = self.e1(self.picture_to_quarter(picture), mix, noise, 0)
        deep = self.mid(self.down(x), mix, noise, before)
        x = self.d1(x + self.enlarge(self.up(deep)), mix, noise, before + deepest)
        x = self.to_half(x, mix) + self.picture_to_half(picture)
        x = self.b2(x, mix, noise(before + deepest + after, x))
        x = self.to_full(x, mix)
        if self.zf is not None:
            maps = [noise.map(before + deepest + after + 1, *x.shape[2:]) for noise in noises]
            x = x + (mix @ self.zf).view(1, -1, 1, 1) * torch.stack(maps)[:, None].to(x.dtype)
        return self.head(self.merge(x, picture), picture)

    def filtered(self, shuffled: Tensor) -> Tensor:
        return binomial(shuffled) if self.sizes.version > 1 else shuffled

    def picture_to_quarter(self, picture: Tensor) -> Tensor:
        return self.stem(F.pixel_unshuffle(picture, 4))

    def enlarge(self, x: Tensor) -> Tensor:
        # Half-pixel centres: output pixel i looks at (i + 0.5) / 2 - 0.5, kept within the map.
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def to_half(self, x: Tensor, mix: Tensor) -> Tensor:
        return self.filtered(F.pixel_shuffle(self.h1(self.n(x, mix)), 2))

    def picture_to_half(self, picture: Tensor) -> Tensor:
        return self.skip(F.pixel_unshuffle(picture, 2))

    def to_full(self, x: Tensor, mix: Tensor) -> Tensor:
        return self.filtered(F.pixel_shuffle(self.h2(self.n2(x, mix)), 2))

    def merge(self, x: Tensor, picture: Tensor) -> Tensor:
        return F.relu(self.dw(torch.cat([x, picture], 1)))

    def head(self, x: Tensor, picture: Tensor) -> Tensor:
        return picture + self.rgb(x)


def stylize(net: Brush, picture: Tensor, mix: Tensor | None = None, noise: Noise = Noise()) -> Tensor:
    """Any size: the last column and row are repeated up to a multiple of 8, the result is cropped."""
    if mix is None:
        assert net.sizes.styles == 1, "a network of several styles needs a mix"
        mix = picture.new_ones(1)
    height, width = picture.shape[2:]
    padded = F.pad(picture, (0, -width % MULTIPLE_PX, 0, -height % MULTIPLE_PX), mode="replicate")
    with torch.no_grad():
        return net(padded, mix, [noise])[:, :, :height, :width]


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
