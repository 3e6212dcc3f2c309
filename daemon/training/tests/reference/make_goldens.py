"""Writes tests/data: what PyTorch makes of small inputs, for the trainer's tests to compare with.

    python make_goldens.py

Needs torch, numpy and safetensors. Pictures and maps are N x H x W x C, as the trainer has them. All is computed in f64
and stored as f32, except Adam, whose rounding belongs to it.
"""

import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

DATA = Path(__file__).resolve().parent.parent / "data"


def random(name: str, *shape: int) -> Tensor:
    """Normally distributed, exact in f32; the name is the seed, so that no golden depends on another."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode()))).double()


def save(name: str, tensors: dict[str, Tensor]) -> None:
    save_file({k: v.detach().float().contiguous().clone() for k, v in tensors.items()}, DATA / f"{name}.safetensors")


def write_adam() -> None:
    """Steps of unlike size, and weights whose gradients are of unlike size."""
    weights = {"a": random("a", 3, 5).float().requires_grad_(), "b": random("b", 4).float().requires_grad_()}
    tensors = {f"start.{k}": v.clone() for k, v in weights.items()}
    adam = torch.optim.Adam(weights.values(), 1e-3, betas=(0.5, 0.99))
    rates = [1e-3, 2e-3, 5e-4, 1e-3, 1e-2, 1e-3]
    for i, rate in enumerate(rates):
        adam.param_groups[0]["lr"] = rate
        for k, v in weights.items():
            v.grad = random(f"adam {k} {i}", *v.shape).float() * 10.0 ** (i - 4)
            tensors[f"gradient.{i}.{k}"] = v.grad.clone()
        adam.step()
        tensors |= {f"after.{i}.{k}": v.clone() for k, v in weights.items()}
    save("adam", tensors | {"rates": torch.tensor(rates)})


if __name__ == "__main__":
    write_adam()
