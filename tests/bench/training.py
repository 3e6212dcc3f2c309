"""Takes steps of training for `daemon/engine/benches/training.rs`: a line with batch and side in pixels in,
the seconds that passed and those of all cores out.

    python training.py THREADS
"""

import sys
import time
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).resolve().parent.parent / "reference"))
from brush import Brush  # noqa: E402

torch.set_num_threads(int(sys.argv[1]))
net = Brush().to(memory_format=torch.channels_last)
mix = torch.ones(1)
for line in sys.stdin:
    batch, side = map(int, line.split())
    pictures = torch.rand(batch, 3, side, side).mul(2).sub(1).to(memory_format=torch.channels_last)
    net.zero_grad()
    start, of_cores = time.perf_counter(), time.process_time()
    (net(pictures, mix) * 0.5).abs().mean().backward()
    print(time.perf_counter() - start, time.process_time() - of_cores, flush=True)
