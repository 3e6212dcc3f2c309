"""Our network in other engines, in turn with our own. `rivals.rs` calls this; see there.

Each engine is a process of its own that has loaded the network and answers a line with the seconds of one run, so that all of them meet
the same noise. `worker` is such a process.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

REFERENCE = Path(__file__).parents[1] / "reference"
SIZES = {"512": (512, 512), "1024": (1024, 1024), "1080p": (1080, 1920), "12mp": (3000, 4000)}
ENGINES = {
    "cpu": ["openvino", "openvino-f32", "onnxruntime", "torch", "torch-bf16", "torch-compiled"],
    "cuda": ["onnxruntime", "torch", "torch-f16", "torch-bf16", "torch-compiled"],
}
# Ours: its name, what of it draws, and where; the second is what pictures are compared with.
OURS = {
    # By itself it multiplies in bf16 where the CPU can.
    "cpu": [("utsushi", "stylizer", {}), ("utsushi-f32", "stylizer", {"UTSUSHI_CPU": "avx512"})],
    "cuda": [("utsushi", "generator", {}), ("utsushi-f32-cpu", "generator", {"UTSUSHI_CPU": "avx512", "UTSUSHI_DEVICE": "cpu"}),
             ("utsushi-stylizer", "stylizer", {})],
}


def picture(height: int, width: int):
    """A smooth picture with some edges, RGB 0..1, [1, 3, height, width]; `rivals.rs` makes the same."""
    import numpy as np

    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * (c + 2) + y * (3 - c)) % 251 for c in range(3)]
    return (np.stack(planes)[None] / np.float32(250)).astype(np.float32)


def torch_network(network: str, style: str):
    sys.path.insert(0, str(REFERENCE))
    import torch

    if network == "brush":
        import brush

        weights = brush.load_file(style)
        net = brush.Brush(brush.Sizes(version=2 if "zf" in weights else 1))
        state = net.state_dict()
        net.load_state_dict({name: weights[name].reshape(state[name].shape) for name in state})
        still = brush.Noise(strength=0.0)
        mix = lambda x: torch.ones(1, device=x.device)
        run = lambda x: net(x * 2 - 1, mix(x), [still] * len(x)).mul(0.5).add(0.5).clamp(0, 1)
    else:
        import animegan2
        from safetensors.torch import load_file

        net = animegan2.Generator()
        net.load_state_dict(load_file(style))
        run = lambda x: net(x * 2 - 1).mul(0.5).add(0.5).clamp(0, 1)
    module = torch.nn.Module()
    module.net = net
    module.forward = run
    return module.eval()


def export(style: str, out: str) -> None:
    """AnimeGANv2 as ONNX, by PyTorch."""
    import torch

    axes = {"input": {2: "height", 3: "width"}, "output": {2: "height", 3: "width"}}
    torch.onnx.export(torch_network("animegan2", style), (torch.rand(1, 3, 64, 64),), out, opset_version=17, dynamo=False,
                      input_names=["input"], output_names=["output"], dynamic_axes=axes)


def prepare(engine: str, network: str, model: str, style: str, threads: int, device: str, x):
    """What runs the network once and gives its result; from and to the processor's memory, wherever it runs."""
    if engine.startswith("openvino"):
        import openvino

        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        if engine == "openvino-f32":
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        core = openvino.Core()
        read = core.read_model(model)
        read.reshape(list(x.shape))
        request = core.compile_model(read, "CPU", settings).create_infer_request()
        return lambda: request.infer([x])[0]
    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        provider = "CPUExecutionProvider" if device == "cpu" else "CUDAExecutionProvider"
        session = onnxruntime.InferenceSession(model, options, providers=[provider])
        # It would go on with another one.
        assert provider in session.get_providers(), f"there is no {provider}"
        return lambda: session.run(None, {"input": x})[0]
    import torch

    torch.set_num_threads(threads)
    net = torch_network(network, style).to(device, memory_format=torch.channels_last)
    if engine == "torch-compiled":
        net.forward = torch.compile(net.forward, mode="default" if device == "cpu" else "max-autotune")
    x = torch.from_numpy(x).to(memory_format=torch.channels_last)
    # On a GPU it has everything that makes it fast: f16, and memory from which the GPU copies by itself.
    types = {"torch-bf16": torch.bfloat16, "torch-f16": torch.float16}
    if device == "cuda":
        types["torch-compiled"] = torch.float16
        x = x.pin_memory()
    dtype = types.get(engine)

    def run():
        with torch.inference_mode(), torch.autocast(device, dtype or torch.bfloat16, enabled=dtype is not None):
            return net.forward(x.to(device, non_blocking=True)).float().cpu().numpy()

    return run


def worker(arguments) -> None:
    x = picture(*SIZES[arguments.size])
    run = prepare(arguments.engine, arguments.network, arguments.model, arguments.style, arguments.threads, arguments.device, x)
    result = run()
    result.tofile(arguments.out)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print(time.perf_counter() - start, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


class Process:
    """A worker, and the seconds that it took."""

    def __init__(self, name: str, command: list[str], out: Path, **environment: str):
        self.name, self.out, self.seconds, self.errors = name, out, [], out.with_suffix(".errors")
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        self.alive = self.process.stdout.readline().strip() == "ready"

    def run(self) -> None:
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            self.seconds.append(float(self.process.stdout.readline()))
        except (OSError, ValueError):
            self.alive = False

    def failure(self) -> str:
        """What became of it, and the last that it said."""
        said = self.errors.read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "no word why")
        return f"{self.name:16} {'ended' if self.seconds else 'did not start'}: {last[:160]}"

    def end(self) -> float:
        self.process.stdin.close()
        return float(self.process.stdout.readline() or 0)


def compare(arguments) -> None:
    import numpy as np

    for size in arguments.sizes:
        for threads in arguments.threads:
            folder = Path(arguments.folder)
            processes = []
            for name, part, environment in OURS[arguments.device]:
                out = folder / f"{name}.raw"
                ours = [arguments.ours, "--worker", arguments.network, arguments.style, size, str(threads), str(out), part]
                process = Process(name, ours, out, **{"UTSUSHI_DEVICE": arguments.device} | environment)
                # Without ours there is nothing to compare with.
                if not process.alive:
                    sys.exit(process.failure())
                processes.append(process)
            for engine in arguments.engines or ENGINES[arguments.device]:
                out = folder / f"{engine}.raw"
                command = [sys.executable, __file__, "worker", engine, arguments.network, arguments.model, arguments.style, size, str(threads), str(out), arguments.device]
                processes.append(Process(engine, command, out))
            for _ in range(arguments.rounds):
                for process in [process for process in processes if process.alive]:
                    # Some engines' threads spin for a while after a run, which whoever comes next must not pay for.
                    time.sleep(0.25)
                    process.run()
            height, width = SIZES[size]
            print(f"\n{arguments.network}, {width} x {height}, {arguments.device}, {threads} thread{'s' * (threads > 1)}: median of {arguments.rounds}, in turn")
            print(f"{'':16}{'seconds':>9}{'x ours':>8}{'peak MB':>9}{'differs from ours in f32 by':>30}")
            base = statistics.median(processes[0].seconds)
            reference = np.fromfile(processes[1].out, np.float32)
            for process in processes:
                if not process.alive:
                    print(process.failure(), flush=True)
                    continue
                median, peak = statistics.median(process.seconds), process.end()
                difference = np.abs(np.fromfile(process.out, np.float32) - reference).max()
                print(f"{process.name:16}{median:9.4f}{median / base:8.2f}{peak:9.0f}{difference:30.6f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    actions = parser.add_subparsers(dest="action", required=True)
    action = actions.add_parser("worker")
    for name in ["engine", "network", "model", "style", "size"]:
        action.add_argument(name)
    action.add_argument("threads", type=int)
    action.add_argument("out")
    action.add_argument("device")
    action = actions.add_parser("export")
    action.add_argument("style")
    action.add_argument("out")
    action = actions.add_parser("compare")
    for name in ["network", "model", "style", "ours", "folder"]:
        action.add_argument(name)
    action.add_argument("--sizes", type=json.loads)
    action.add_argument("--threads", type=json.loads)
    action.add_argument("--engines", type=json.loads)
    action.add_argument("--device", choices=OURS, default="cpu")
    action.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    match arguments.action:
        case "worker":
            worker(arguments)
        case "export":
            export(arguments.style, arguments.out)
        case "compare":
            if unknown := [size for size in arguments.sizes if size not in SIZES]:
                parser.error(f"no sizes: {', '.join(unknown)} (choose from {', '.join(SIZES)})")
            compare(arguments)


main()
