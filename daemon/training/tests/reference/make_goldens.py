"""Writes tests/data: what PyTorch makes of small inputs, for the trainer's tests to compare with.

    python make_goldens.py

Needs torch, numpy and safetensors. Pictures and maps are N x H x W x C, as the trainer has them. All is computed in f64
and stored as f32, except Adam, whose rounding belongs to it.
"""

import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

DATA = Path(__file__).resolve().parent.parent / "data"


def random(name: str, *shape: int) -> Tensor:
    """Normally distributed, exact in f32; the name is the seed, so that no golden depends on another."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode()))).double()


def save(name: str, tensors: dict[str, Tensor]) -> None:
    tensors = {k: v.detach().float().contiguous().clone() for k, v in tensors.items()}
    save_file(tensors, DATA / f"{name}.safetensors")


def write_adam(name: str, betas: tuple[float, float]) -> None:
    """Steps of unlike size, and weights whose gradients are of unlike size."""
    weights = {"a": random("a", 3, 5).float().requires_grad_(), "b": random("b", 4).float().requires_grad_()}
    tensors = {f"start.{k}": v.clone() for k, v in weights.items()}
    adam = torch.optim.Adam(weights.values(), 1e-3, betas=betas)
    rates = [1e-3, 2e-3, 5e-4, 1e-3, 1e-2, 1e-3]
    for i, rate in enumerate(rates):
        adam.param_groups[0]["lr"] = rate
        for k, v in weights.items():
            v.grad = random(f"adam {k} {i}", *v.shape).float() * 10.0 ** (i - 4)
            tensors[f"gradient.{i}.{k}"] = v.grad.clone()
        adam.step()
        tensors |= {f"after.{i}.{k}": v.clone() for k, v in weights.items()}
    save(name, tensors | {"rates": torch.tensor(rates)})


def gradient(loss: Tensor, of: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, of))


def write_adversarial() -> None:
    """Scores, some of them far from the others."""
    real, fake = random("real", 2, 3, 4, 1) * 2, random("fake", 2, 3, 4, 1) * 2
    real[0, 0, 0], fake[0, 0, 1], fake[1, 2, 3] = 120.0, 110.0, -130.0
    tensors = {"real": real, "fake": fake}
    for side, loss, scores in [
        ("real", lambda d: F.relu(1 - d).mean() + F.relu(1 + fake).mean(), real),
        ("fake", lambda d: F.relu(1 - real).mean() + F.relu(1 + d).mean(), fake),
        ("generator", lambda d: -d.mean(), fake),
    ]:
        scores = scores.clone().requires_grad_()
        value = loss(scores)
        tensors[f"hinge.{side}"] = value
        tensors[f"hinge.{side}.gradient"] = gradient(value, [scores])[0]
    save("adversarial", tensors)


def centred(f: Tensor) -> Tensor:
    return f - f.mean((1, 2), keepdim=True)


def gram(f: Tensor) -> Tensor:
    f = centred(f).flatten(1, 2)
    return (f.transpose(1, 2) @ f / f.shape[1]).mean(0)


def content(f: Tensor, t: Tensor) -> Tensor:
    floor = 1e-3 * t.abs().mean()

    def whiten(f: Tensor) -> Tensor:
        return centred(f) / (f.var((1, 2), unbiased=False, keepdim=True) + floor).sqrt()

    return (whiten(f) - whiten(t)).abs().mean()


def luminance(x: Tensor) -> Tensor:
    return (x * torch.tensor([0.299, 0.587, 0.114]).double()).sum(3, keepdim=True)


def chroma(x: Tensor) -> Tensor:
    y = luminance(x)
    return torch.cat([1.128 * (x[..., 2:3] - y), 1.426 * (x[..., 0:1] - y)], 3)


def colour(x: Tensor, t: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    d = chroma(x) - (chroma(t) * gain + shift)
    return F.avg_pool2d(d.permute(0, 3, 1, 2), 4).abs().mean() + 0.2 * d.abs().mean()


def total_variation(x: Tensor) -> Tensor:
    return (x[:, :, 1:] - x[:, :, :-1]).abs().mean() + (x[:, 1:] - x[:, :-1]).abs().mean()


def write_losses() -> None:
    """Of pictures, and of maps as a perceptual network gives them: nowhere negative, one channel silent."""
    pictures, targets = random("pictures", 2, 16, 12, 3) * 0.4, random("targets", 2, 16, 12, 3) * 0.4
    maps, of_targets = F.relu(random("maps", 2, 5, 6, 16)) * 3, F.relu(random("maps of targets", 2, 5, 6, 16)) * 3
    of_targets[..., 3] = 0
    art = gram(F.relu(random("maps of art", 3, 5, 6, 16)) * 2)
    gain, shift = torch.tensor([0.8, 1.5]).double(), torch.tensor([0.1, -0.2]).double()
    tensors = {"pictures": pictures, "targets": targets, "maps": maps, "maps.targets": of_targets}
    tensors |= {"gram": art, "gain": gain, "shift": shift}
    tensors |= {"luminance": luminance(pictures), "chroma": chroma(pictures)}
    for name, loss, of in [
        ("l1", lambda x: (x - targets).abs().mean(), pictures),
        ("gradient_l1", lambda x: total_variation(x - targets), pictures),
        ("total_variation", total_variation, pictures),
        ("colour", lambda x: colour(x, targets, gain, shift), pictures),
        ("content", lambda f: content(f, of_targets), maps),
        ("style", lambda f: 2 * (gram(f) - art).abs().mean() / art.abs().mean(), maps),
    ]:
        of = of.clone().requires_grad_()
        value = loss(of)
        tensors |= {name: value, f"{name}.gradient": gradient(value, [of])[0]}
    save("losses", tensors)


class Layer(nn.Module):
    """A discriminator's convolution: NHWC in and out."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, slope: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        # The largest singular value, its gradient through the vectors that belong to it.
        matrix = self.conv.weight.flatten(1)
        u, _, v = torch.linalg.svd(matrix.detach(), full_matrices=False)
        weight = self.conv.weight / (u[:, 0] @ matrix @ v[0])
        x = F.conv2d(x.permute(0, 3, 1, 2), weight, self.conv.bias, self.conv.stride, self.conv.padding)
        return F.leaky_relu(x, self.slope).permute(0, 2, 3, 1)


def write_layers() -> None:
    """What a discriminator's head does, with spectral normalisation. One singular value is far larger than the others,
    so that a few rounds of power iteration find it."""
    layers = [Layer(6, 8, 1, 1, 0.2), Layer(8, 10, 4, 2, 0.2), Layer(10, 5, 4, 1, 0.2), Layer(5, 1, 1, 1, 1)]
    tensors, weights = {}, {}
    for i, layer in enumerate(layers):
        for kind, weight in [("weight", layer.conv.weight), ("bias", layer.conv.bias)]:
            values = random(f"{i}.{kind}", *weight.shape) * 0.1
            if kind == "weight":
                outer = torch.outer(random(f"{i} rows", weight.shape[0]), random(f"{i} columns", weight[0].numel()))
                values += outer.view_as(values)
            weight.data = values.float().double()
            weights[f"{i}.{kind}"] = weight
    features = (F.relu(random("features", 2, 13, 12, 6)) * 2).requires_grad_()
    x = features * torch.rsqrt(features.pow(2).mean(3, keepdim=True) + 1)
    for layer in layers:
        x = layer(x)
    of = [features, *weights.values()]
    gradients = dict(zip(["features", *weights], gradient(x.pow(2).sum(), of)))
    tensors = {"features": features, "scores": x, **weights}
    save("layers", tensors | {f"gradient.{k}": v for k, v in gradients.items()})


def uniform(count: int) -> Tensor:
    """In -1..1, exact in f32: numbers that the test makes, too."""
    x = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return torch.from_numpy((x >> np.uint64(40)).astype(np.float64) / 2**23 - 1)


def write_singular() -> None:
    """The largest singular values of weights like those that a head begins with."""
    shapes = {"narrow": (64, 256), "middle": (96, 1024), "wide": (128, 1536), "scores": (1, 1152)}
    largest = {k: torch.linalg.matrix_norm(uniform(r * c).view(r, c), 2) for k, (r, c) in shapes.items()}
    save("singular", largest)


if __name__ == "__main__":
    write_adam("adam", (0.5, 0.99))
    write_adam("adam_without_momentum", (0.0, 0.99))
    write_adversarial()
    write_losses()
    write_layers()
    write_singular()
