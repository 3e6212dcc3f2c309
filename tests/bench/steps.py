"""Takes the trainer's steps in PyTorch, for `daemon/training/benches/steps.rs`: `STAGE PRECISION` in, with stage
`imitation` or `adversarial` and precision `f32` or `bf16`; the seconds that passed and those of all cores out.

    python steps.py THREADS BATCH SIDE VGG19 cpu|cuda
"""

import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parent.parent / "reference"))
from brush import Brush, Noise, Sizes  # noqa: E402

THREADS, BATCH, SIDE = map(int, sys.argv[1:4])
DEVICE = sys.argv[5]
torch.set_default_device(DEVICE)
VGG = load_file(sys.argv[4], device=DEVICE)
GRAM, CONTENT = ["block1_conv1", "block2_conv1", "block3_conv1"], "block3_conv1"
HEADS = {"block1_conv2": (64, 2), "block2_conv2": (128, 2), "block3_conv1": (256, 2)}
BETAS, BETAS_D = (0.5, 0.99), (0.0, 0.99)


def vgg(x: Tensor) -> dict[str, Tensor]:
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    x = ((x.flip(1) + 1) * 127.5 - mean).contiguous(memory_format=torch.channels_last)
    out = {}
    for name in ["block1_conv1", "block1_conv2", "", "block2_conv1", "block2_conv2", "", "block3_conv1"]:
        if name:
            x = F.relu(F.conv2d(x, VGG[f"{name}.weight"], VGG[f"{name}.bias"], padding=1))
            out[name] = x
        else:
            x = F.max_pool2d(x, 2)
    return out


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def head(channels: int, stride: int) -> nn.Sequential:
            normed = nn.utils.parametrizations.spectral_norm
            layers = [nn.Conv2d(channels, 64, 1), nn.Conv2d(64, 96, 4, stride, 1), nn.Conv2d(96, 128, 4, 2, 1)]
            layers = [m for c in layers for m in (normed(c), nn.LeakyReLU(0.2))]
            return nn.Sequential(*layers, normed(nn.Conv2d(128, 1, 3, 1, 1)))

        self.heads = nn.ModuleDict({name: head(*shape) for name, shape in HEADS.items()})

    def forward(self, f: dict[str, Tensor]) -> list[Tensor]:
        return [self.heads[k](f[k] * torch.rsqrt(f[k].pow(2).mean(1, keepdim=True) + 1)) for k in HEADS]


def luma(x: Tensor) -> Tensor:
    return 0.299 * x[:, 0:1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3]


def grey(x: Tensor) -> Tensor:
    return luma(x).expand(-1, 3, -1, -1)


def chroma(x: Tensor) -> Tensor:
    y = luma(x)
    return torch.cat([1.128 * (x[:, 2:3] - y), 1.426 * (x[:, 0:1] - y)], 1)


def gram(f: Tensor) -> Tensor:
    f = f.flatten(2)
    f = f - f.mean(2, keepdim=True)
    return (f @ f.transpose(1, 2) / f.shape[2]).mean(0)


def whiten(f: Tensor) -> Tensor:
    variance = f.var((2, 3), unbiased=False, keepdim=True)
    return (f - f.mean((2, 3), keepdim=True)) * torch.rsqrt(variance + 1e-3 * f.abs().mean())


def variation(x: Tensor) -> Tensor:
    return (x[..., 1:] - x[..., :-1]).abs().mean() + (x[..., 1:, :] - x[..., :-1, :]).abs().mean()


def imitation(out: Tensor, t: Tensor, _: Tensor) -> Tensor:
    return (out - t).abs().mean() + variation(out - t)


def adversarial(out: Tensor, t: Tensor, art: Tensor) -> Tensor:
    with torch.no_grad():
        of_targets, of_art = vgg(grey(t)), vgg(grey(art))
    f = vgg(grey(out))
    real, fake = d(of_art), d({k: v.detach() for k, v in f.items()})
    loss = sum(F.relu(1 - r.float()).mean() + F.relu(1 + f.float()).mean() for r, f in zip(real, fake))
    adam_d.zero_grad()
    loss.backward()
    adam_d.step()
    loss = (luma(out) - luma(t)).abs().mean()
    loss += 1.5 * (whiten(f[CONTENT].float()) - whiten(of_targets[CONTENT].float())).abs().mean()
    with torch.autocast(DEVICE, enabled=False):
        loss += 1.5 * sum((gram(f[n].float()) - grams[n]).abs().mean() / grams[n].abs().mean() for n in GRAM)
    loss -= 0.9 * sum(q.float().mean() for q in d(f))
    uv = chroma(out) - chroma(t)
    loss += 4.0 * (F.avg_pool2d(uv, 4).abs().mean() + 0.2 * uv.abs().mean())
    return loss + 0.01 * variation(out)


def wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


class Drawn(Noise):
    """As the prototype has it: PyTorch's own numbers, which are quicker there than ours by position."""

    def map(self, layer: int, height: int, width: int) -> Tensor:
        return torch.randn(height, width)


NOISES = [Drawn()] * BATCH
torch.set_num_threads(THREADS)
net, ema = (Brush(Sizes(version=2)).to(memory_format=torch.channels_last) for _ in range(2))
d, mix = Discriminator().to(memory_format=torch.channels_last), torch.ones(1)
adam, adam_d = torch.optim.Adam(net.parameters(), 1e-4, BETAS), torch.optim.Adam(d.parameters(), 1e-4, BETAS_D)
x, t, art = (
    torch.rand(BATCH, 3, SIDE, SIDE).mul(2).sub(1).to(memory_format=torch.channels_last) for _ in range(3)
)
with torch.no_grad():
    grams = {k: gram(f) for k, f in vgg(grey(art)).items() if k in GRAM}
for line in sys.stdin:
    stage, precision = line.split()
    start, of_cores = time.perf_counter(), time.process_time()
    with torch.autocast(DEVICE, torch.bfloat16, enabled=precision == "bf16"):
        loss = globals()[stage](net(x, mix, NOISES).float(), t, art)
    adam.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    adam.step()
    with torch.no_grad():
        for average, weight in zip(ema.parameters(), net.parameters()):
            average.lerp_(weight, 0.002)
    wait()
    print(time.perf_counter() - start, time.process_time() - of_cores, flush=True)
