"""Writes tests/data/goldens: what `brush.py` and `animegan2.py` make of small inputs, for the engine's tests to compare with.

    python make_goldens.py                          the blocks, and tiny networks with random weights
    python make_goldens.py --cel WEIGHTS            the same, and `cel` of brush-1, in f16 weights
    python make_goldens.py --vgg WEIGHTS            the same, and what VGG19 itself sees
    python make_goldens.py --check WEIGHTS GOLDEN   writes nothing: does brush.py give what training exported?

All is computed in f64 and stored as f32, so what differs from a golden is the other side's rounding.
"""

import argparse
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import animegan2
import perceptual
import vgg19
from brush import Block, Brush, Noise, Norm, Sizes, load, stylize

PERCEPTUAL = Path(__file__).resolve().parents[2] / "daemon" / "training" / "weights" / "perceptual.safetensors"
GOLDENS = Path(__file__).resolve().parent.parent / "data" / "goldens"
CHECK_TOLERANCE = 1e-5

# Widths that are no multiple of 8, so that the tails of vector loops are met as well.
BLOCKS = Sizes(c1=12, c2=20, blocks=(1, 1, 1), ch=4, cf=4)
TINY = Sizes(c1=8, c2=16, blocks=(1, 2, 1), ch=8, cf=4)
TINY_2_STYLES = Sizes(c1=4, c2=8, blocks=(1, 1, 1), ch=4, cf=4, styles=2)

TINY_BRUSH2 = Sizes(c1=8, c2=16, blocks=(1, 2, 1), ch=8, cf=5, version=2)
TINY_BRUSH2_2_STYLES = Sizes(c1=4, c2=8, blocks=(1, 1, 1), ch=4, cf=4, styles=2, version=2)
NOISE = Noise(seed=(5 << 32) + 7, strength=0.75)

# Pictures, height x width: whole, to be padded, and next to nothing.
TINY_PICTURES = [(40, 56), (37, 53), (8, 8), (1, 1), (3, 29)]
TINY_2_STYLES_PICTURES = [(11, 13)]
ANIMEGAN2 = (4, 6, 8, 10)
ANIMEGAN2_PICTURES = [(24, 40), (37, 53), (1, 1), (3, 29)]
MIX = [0.3, 0.7]
GRADIENTS_PICTURE = (24, 16)
# Channels of block1_conv1 and so on.
VGG19_TINY = (4, 6, 10, 9, 12, 8)


def random(name: str, *shape: int) -> Tensor:
    """Normally distributed, exact in f32; the name is the seed, so that no golden depends on another."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(*shape, generator=generator).double()


def random_picture(name: str, height: int, width: int) -> Tensor:
    return random(name, 1, 3, height, width).mul(0.5).clamp(-1, 1)


def smooth_picture(name: str, height: int, width: int) -> Tensor:
    """Soft patches of colour: nearer to a photo than noise is."""
    patches = random(name, 1, 3, height // 8, width // 8)
    return F.interpolate(patches, size=(height, width), mode="bicubic").clamp(-1, 1).float().double()


def random_brush(name: str, sizes: Sizes) -> Brush:
    """A network in which every weight matters: none is left at 0 or 1, and signals keep their size."""
    net = Brush(sizes).double().eval()

    def fill(parameter: nn.Parameter, label: str, mean: float, deviation: float) -> None:
        parameter.data = (mean + deviation * random(f"{name} {label}", *parameter.shape)).float().double()

    for label, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            fill(module.weight, f"{label}.weight", 0.0, module.weight[0].numel() ** -0.5)
            fill(module.bias, f"{label}.bias", 0.0, 0.1)
        elif isinstance(module, Norm):
            fill(module.g, f"{label}.g", 1.0, 0.3)
            fill(module.b, f"{label}.b", 0.0, 0.3)
        elif isinstance(module, Block):
            fill(module.g, f"{label}.g", 0.5, 0.2)
            if module.z is not None:
                fill(module.z, f"{label}.z", 0.0, 0.5)
    if net.zf is not None:
        fill(net.zf, "zf", 0.0, 0.5)
    return net


def save(name: str, tensors: dict[str, Tensor]) -> None:
    """Without metadata: it would come in a random order, and the file should change only with its numbers."""
    path = GOLDENS / f"{name}.safetensors"
    save_file({key: tensor.float().contiguous().clone() for key, tensor in tensors.items()}, path)
    print(f"{path.name}: {path.stat().st_size} bytes")


def weights_of(net: Brush, *layers: str) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in net.state_dict().items()
        if name.startswith(tuple(f"{layer}." for layer in layers))
    }


def write_blocks() -> None:
    """Each building block alone, on a map of odd sides (or twice that, where a block halves it)."""
    net = random_brush("blocks", BLOCKS)
    one_style = torch.ones(1, dtype=torch.float64)
    c1, c2, cf = BLOCKS.c1, BLOCKS.c2, BLOCKS.cf
    block = net.e1[0]

    def write(name: str, layers: list[str], run: Callable[..., Tensor], **inputs: Tensor) -> None:
        with torch.no_grad():
            save(name, {**weights_of(net, *layers), **inputs, "output": run(*inputs.values())})

    def features(name: str, channels: int, height: int, width: int) -> Tensor:
        return random(name, 1, channels, height, width)

    write("conv3x3-unshuffle4", ["stem"], net.picture_to_quarter, input=random_picture("unshuffle4", 12, 20))
    write("conv3x3-unshuffle2", ["skip"], net.picture_to_half, input=random_picture("unshuffle2", 14, 10))
    write("depthwise5x5", ["e1.0.dw"], block.dw, input=features("depthwise", c1, 5, 7))
    write("depthwise5x5-small-map", ["e1.0.dw"], block.dw, input=features("small map", c1, 3, 1))
    # From a row of numbers so small that epsilon counts to one of large numbers; the mean is never 0.
    spread = torch.logspace(-2, 1, 5, dtype=torch.float64).view(1, 1, 5, 1)
    uneven = (spread * (0.5 + features("norm", c1, 5, 7))).float().double()
    write("norm", ["e1.0.n"], lambda x: block.n(x, one_style), input=uneven)
    write("block", ["e1.0"], lambda x: block(x, one_style), input=features("block", c1, 7, 5))
    write("conv2x2-stride2", ["down"], net.down, input=features("stride2", c1, 6, 10))
    write("conv1x1", ["up"], net.up, input=features("1x1", c2, 3, 5))
    write("bilinear2", [], net.enlarge, input=features("bilinear", c1, 3, 5))
    write(
        "norm-conv1x1-shuffle2",
        ["n", "h1"],
        lambda x: net.to_half(x, one_style),
        input=features("half", c1, 5, 3),
    )
    write(
        "conv3x3-concatenation-relu",
        ["dw"],
        net.merge,
        input=features("merge", cf, 5, 7),
        picture=random_picture("merge, picture", 5, 7),
    )
    write(
        "rgb-head",
        ["rgb"],
        net.head,
        input=features("head", cf, 7, 5),
        picture=random_picture("head, picture", 7, 5),
    )


def write_network(name: str, sizes: Sizes, pictures: list[tuple[int, int]], mix: list[float]) -> None:
    """A file for the weights, and one for each picture."""
    net = random_brush(name, sizes)
    save(name, net.state_dict())
    shares = torch.tensor(mix, dtype=torch.float32)  # rounded as a reader gets them
    for height, width in pictures:
        picture = random_picture(f"{name} {height}x{width}", height, width)
        tensors = {"input": picture, "output": stylize(net, picture, shares.double(), NOISE)}
        if sizes.styles > 1:
            tensors["mix"] = shares
        save(f"{name}-{height}x{width}", tensors)


def write_animegan2() -> None:
    """The weights, also as PyTorch itself saves them, and a file for each picture."""
    name = "animegan2-tiny"
    net = animegan2.Generator(ANIMEGAN2).double().eval()
    for label, parameter in net.named_parameters():
        values = random(f"{name} {label}", *parameter.shape)
        is_norm = parameter.dim() == 1 and label.endswith("weight")
        deviation = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.3
        parameter.data = ((1.0 if is_norm else 0.0) + deviation * values).float().double()
    save(name, net.state_dict())
    torch.save(net.float().state_dict(), GOLDENS / f"{name}.pth")
    net.double()
    for height, width in ANIMEGAN2_PICTURES:
        picture = random_picture(f"{name} {height}x{width}", height, width)
        save(f"{name}-{height}x{width}", {"input": picture, "output": animegan2.stylize(net, picture)})


def write_vgg19() -> None:
    """A narrow one with random weights: its weights, its maps of two pictures, and what these change in them."""
    name, weights, inputs = "vgg19-tiny", {}, 3
    for layer, outputs in zip(vgg19.LAYERS, VGG19_TINY, strict=False):
        deviation = (2 / (9 * inputs)) ** 0.5
        weights[f"{layer}.weight"] = (deviation * random(f"{name} {layer}", outputs, inputs, 3, 3)).float().double()
        weights[f"{layer}.bias"] = random(f"{name} {layer}.bias", outputs).mul(0.1).float().double()
        inputs = outputs
    pictures = random(f"{name} pictures", 2, 3, 11, 14).mul(0.5).clamp(-1, 1).requires_grad_()
    write_features(name, weights, pictures, vgg19.features(pictures, weights))


def write_features(name: str, weights: dict[str, Tensor], pictures: Tensor, maps: dict[str, Tensor]) -> None:
    """Maps of pictures, and what these change in the sum of map x weighting."""
    weightings = {f"weighting.{level}": random(f"{name} {level}", *maps[level].shape) for level in maps}
    sum((maps[level] * weightings[f"weighting.{level}"]).sum() for level in maps).backward()
    tensors = {**weights, **weightings, "input": pictures, **maps, "gradient.input": pictures.grad}
    save(name, {key: tensor.detach() for key, tensor in tensors.items()})


def write_perceptual() -> None:
    """The network that is in the program; its weights are there."""
    weights = {key: tensor.double() for key, tensor in load_file(PERCEPTUAL).items()}
    pictures = smooth_picture("perceptual", 16, 24).requires_grad_()
    write_features("perceptual", {}, pictures, perceptual.features(pictures, weights))


def write_vgg19_real(weights: str) -> None:
    """The real one, without its weights: a pixel of each map."""
    picture = smooth_picture("vgg19", 24, 32)
    maps = vgg19.features(picture, {key: tensor.double() for key, tensor in load_file(weights).items()})
    save("vgg19-real", {"input": picture, **{level: maps[level][:, :, 1:2, 2:3] for level in maps}})


def write_gradients(name: str, sizes: Sizes, mix: list[float]) -> None:
    """What two pictures and all weights change in a sum of the network's output, each value times a weight."""
    net = random_brush(name, sizes)
    pictures = random(f"{name}, gradients", 2, 3, *GRADIENTS_PICTURE).mul(0.5).clamp(-1, 1).requires_grad_()
    shares = torch.tensor(mix, dtype=torch.float32)
    noises = [Noise(seed) for seed in range(len(pictures))]
    output = net(pictures, shares.double(), noises)
    weighting = random(f"{name}, weighting", *output.shape)
    (output * weighting).sum().backward()
    tensors = {f"gradient.{label}": weight.grad for label, weight in net.named_parameters()}
    tensors |= {"input": pictures.detach(), "mix": shares, "weighting": weighting}
    save(f"{name}-gradients", {**tensors, "gradient.input": pictures.grad})


def write_cel(weights: str) -> None:
    """`cel` of brush-1, in f16. The weights are in tests/data/styles, and so not here."""
    net = load(weights).half().double()
    picture = smooth_picture("cel", 72, 88)
    save("cel-f16", {"input": picture, "output": stylize(net, picture)})


def check(weights: str, golden: str) -> None:
    pair = load_file(golden)
    difference = (stylize(load(weights), pair["input"]) - pair["output"]).abs().max().item()
    print(f"largest difference: {difference:.2e} (allowed: {CHECK_TOLERANCE:.0e})")
    if not difference < CHECK_TOLERANCE:
        sys.exit(f"brush.py doesn't reproduce {golden} with the weights {weights}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cel", metavar="WEIGHTS")
    parser.add_argument("--vgg", metavar="WEIGHTS")
    parser.add_argument("--check", nargs=2, metavar=("WEIGHTS", "GOLDEN"))
    arguments = parser.parse_args()
    if arguments.check:
        check(*arguments.check)
        return
    GOLDENS.mkdir(parents=True, exist_ok=True)
    write_blocks()
    write_network("tiny", TINY, TINY_PICTURES, [1.0])
    write_network("tiny-2-styles", TINY_2_STYLES, TINY_2_STYLES_PICTURES, MIX)
    write_network("tiny-brush2", TINY_BRUSH2, TINY_PICTURES, [1.0])
    write_network("tiny-brush2-2-styles", TINY_BRUSH2_2_STYLES, TINY_2_STYLES_PICTURES, MIX)
    write_animegan2()
    write_gradients("tiny", TINY, [1.0])
    write_gradients("tiny-2-styles", TINY_2_STYLES, MIX)
    write_gradients("tiny-brush2-2-styles", TINY_BRUSH2_2_STYLES, MIX)
    write_vgg19()
    write_perceptual()
    if arguments.vgg:
        write_vgg19_real(arguments.vgg)
    if arguments.cel:
        write_cel(arguments.cel)


if __name__ == "__main__":
    main()
