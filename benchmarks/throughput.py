"""How fast the trainer is against the loop everyone writes, with the same networks: `python benchmarks/throughput.py`.

The plain loop: a DataLoader that decodes and transforms every item with PIL, contiguous fp32 tensors, plain Adam, a
backward pass that fills every gradient it reaches. Ours: the step of the model under `Trainer`. Batches of 64 glyphs of
32x32, in turns (A B A B ...), so that a slow moment of the machine hits both. Printed are the median of the ratios and
their range; the numbers go to `benchmarks/results/throughput-PROCESSOR.json`. The plain loop has torch's own LeakyReLU.
"""

import argparse
import copy
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms

import ganarium
from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.layers.penalized import Conv2d, LeakyReLU
from ganarium.losses import gradient_norm
from ganarium.runtime.environment import environment
from ganarium.trainer import Trainer

BATCH = 64
RESULTS = Path(__file__).parent / "results"
# case -> (model, options, precision of ours, steps timed at a time, the ratio to reach)
CASES = {
    "gan, MLP, fp32": ("gan", {"recipe": "modern"}, "fp32", 60, 1.4),
    "wgan_gp, fp32": ("wgan_gp", {}, "fp32", 3, 1.5),
    "wgan_gp, bf16": ("wgan_gp", {}, "bf16", 3, 1.5),
    "dcgan, fp32": ("dcgan", {}, "fp32", 20, 1.25),
    "dcgan, bf16": ("dcgan", {}, "bf16", 20, 1.7),
}
# case -> (model, its network, options, precision of ours)
INFERENCE = {
    "SRResNet x4 on 256x256, fp32": ("srgan", "generator", {"discriminator_width": 1}, "fp32"),
    "SRResNet x4 on 256x256, bf16": ("srgan", "generator", {"discriminator_width": 1}, "bf16"),
    "ResNet-9 on 256x256, fp32": ("cyclegan", "a2b", {"num_blocks": 9, "pool_size": 0}, "fp32"),
}
GROWING = {"progan": 16, "stylegan": 32}  # model -> images in a batch at 64 pixels


class PilImages(torch.utils.data.Dataset):
    """Images as most scripts hold them: a PIL picture per item, transformed when it is asked for."""

    def __init__(self, data: Dataset) -> None:
        self.images = data.images.squeeze(3).numpy()
        normalise = transforms.Normalize([0.5], [0.5])
        self.transform = transforms.Compose([transforms.Resize(32), transforms.ToTensor(), normalise])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> Tensor:
        return self.transform(Image.fromarray(self.images[place]))


def plain(name: str, options: dict, data: Dataset) -> Callable[[int], None]:
    """The plain loop over the networks of one of our models; gives a function that takes so many steps."""
    torch.manual_seed(0)
    model = ganarium.create(name, data.shape, **options)
    for network in model.modules():  # the same functions, from torch
        for child, layer in network.named_children():
            if isinstance(layer, LeakyReLU):
                setattr(network, child, torch.nn.LeakyReLU(layer.slope))
            elif isinstance(layer, Conv2d):
                layer.__class__ = torch.nn.Conv2d
    G = model.generator
    D = model.critic if name == "wgan_gp" else model.discriminator
    beta = (0.0, 0.9) if name == "wgan_gp" else (0.5, 0.999)
    adam_g = torch.optim.Adam(G.parameters(), lr=2e-4, betas=beta)
    adam_d = torch.optim.Adam(D.parameters(), lr=2e-4, betas=beta)
    loader = DataLoader(PilImages(data), batch_size=BATCH, shuffle=True, drop_last=True)

    def endless() -> Iterator[Tensor]:
        while True:
            yield from loader

    batches = endless()
    outputs: Callable[[Tensor], Tensor] = (lambda z: 2 * G(z) - 1) if name == "gan" else G

    def step() -> None:
        for _ in range(5 if name == "wgan_gp" else 1):
            real = next(batches)
            adam_d.zero_grad()
            fake = outputs(model.latent(BATCH)).detach()
            if name == "wgan_gp":
                e = torch.rand(len(real), 1, 1, 1)
                penalty = (gradient_norm(D, e * real + (1 - e) * fake) - 1).square().mean()
                loss = D(fake).mean() - D(real).mean() + 10 * penalty
            else:
                ones, zeros = torch.ones(BATCH), torch.zeros(BATCH)
                loss = F.binary_cross_entropy_with_logits(D(real), ones)
                loss = loss + F.binary_cross_entropy_with_logits(D(fake), zeros)
            loss.backward()
            adam_d.step()
            loss.item()
        adam_g.zero_grad()
        score = D(outputs(model.latent(BATCH)))
        loss = -score.mean() if name == "wgan_gp" else F.binary_cross_entropy_with_logits(score, torch.ones(BATCH))
        loss.backward()
        adam_g.step()
        loss.item()

    return lambda count: [step() for _ in range(count)] and None


def ours(name: str, options: dict, precision: str, data: Dataset) -> Callable[[int], None]:
    """Our trainer on the same networks; gives a function that takes so many steps."""
    made = our_trainer(name, options, precision, data)
    steps = iter(made)

    def run(count: int) -> None:
        for _ in range(count):
            next(steps)
        made.drain()

    return run


def our_trainer(name: str, options: dict, precision: str, data: Dataset) -> Trainer:
    torch.manual_seed(0)
    model = ganarium.create(name, data.shape, **options)
    made = Trainer(model, Batches(data, Images, BATCH), 10**9, precision=precision)
    made.prepare()
    return made


def paired(a: Callable[[int], None], b: Callable[[int], None], steps: int, pairs: int) -> list[tuple[float, float]]:
    """Seconds of `steps` steps of each, by turns; a first turn of each is thrown away."""
    times = []
    for turn in range(pairs + 1):
        row = []
        for loop in (a, b):
            start = time.perf_counter()
            loop(steps)
            row.append(time.perf_counter() - start)
        if turn:
            times.append((row[0], row[1]))
    return times


def inference(pairs: int) -> dict[str, dict]:
    """Enlarging and translating one picture of 256x256 by our calls, against the plain modules: contiguous, fp32."""
    picture = torch.nn.functional.interpolate(torch.rand(1, 3, 32, 32), size=(256, 256), mode="bicubic").clamp(0, 1)
    picture = 2 * picture - 1
    rows = {}
    for case, (name, part, options, precision) in INFERENCE.items():
        torch.manual_seed(0)
        model = ganarium.create(name, (3, 256, 256), **options).eval()
        network = copy.deepcopy(model.get_submodule(part))
        model.to(memory_format=torch.channels_last)
        made: dict[str, Tensor] = {}

        def plain_call(count: int, network=network, name=name, made=made) -> None:
            with torch.no_grad():
                made["plain"] = network((picture + 1) / 2 if name == "srgan" else picture).clamp(-1, 1)

        def our_call(count: int, model=model, name=name, precision=precision, made=made) -> None:
            ours = model.upscale(picture, precision=precision) if name == "srgan" else model.translate(picture)
            made["ours"] = ours

        times = paired(plain_call, our_call, 1, pairs)
        ratios = sorted(a / b for a, b in times)
        levels = ((made["plain"] - made["ours"]).abs().max() * 127.5).item()
        rows[case] = {
            "ratio": statistics.median(ratios),
            "lowest": ratios[0],
            "highest": ratios[-1],
            "aim": 1.5,
            "plain_s": statistics.median(a for a, _ in times),
            "largest_difference_in_levels": levels,
        }
        print(
            f"{case:28} {rows[case]['ratio']:.2f}x  ({ratios[0]:.2f} to {ratios[-1]:.2f}), wanted 1.5x, "
            f"{rows[case]['plain_s']:.2f} s, at most {levels:.2f} of 255 levels apart",
            flush=True,
        )
    return rows


def growing(seconds: float) -> dict[str, dict]:
    """Training at each resolution up to 64 pixels, where it no longer fades in, for about so many seconds each; and
    64 samples at 64 pixels."""
    data = Dataset("noise", torch.randint(0, 256, (512, 64, 64, 3), dtype=torch.uint8))
    rows = {}
    for name, batch in GROWING.items():
        torch.manual_seed(0)
        model = ganarium.create(name, data.shape, width=64, latent_dim=64)
        made = Trainer(model, Batches(data, Images, batch), 10**9)
        made.prepare()
        stable = {phase.stage: phase.start for phase in model.growth.phases if not phase.fading}
        for stage, start in stable.items():
            side, counts = 4 * 2**stage, []
            model.iteration = start
            made.iterate()  # allocations
            began, drawn = time.perf_counter(), made.batches.drawn
            while not counts or time.perf_counter() - began < seconds:
                step_began = time.perf_counter()
                made.iterate()
                made.drain()
                counts.append(time.perf_counter() - step_began)
            images = (made.batches.drawn - drawn) // len(counts)
            rows[f"{name}, {side}x{side}"] = {
                "images_per_step": images,
                "ms_per_step": 1000 * statistics.median(counts),
                "images_per_second": images / statistics.median(counts),
            }
            print(
                f"{name:9} {side:3}x{side:<3} batch {images:3}: {1000 * statistics.median(counts):7.1f} ms a step, "
                f"{images / statistics.median(counts):7.1f} images a second",
                flush=True,
            )
        model.eval()
        model.sample(64, seed=0)
        times = []
        for _ in range(3):
            began = time.perf_counter()
            model.sample(64, seed=0)
            times.append(time.perf_counter() - began)
        rows[f"{name}, 64 samples of 64x64"] = {"seconds": statistics.median(times)}
        print(f"{name:9} 64 samples of 64x64: {statistics.median(times):.2f} s", flush=True)
    return rows


def own_share(data: Dataset, steps: int = 60) -> float:
    """The share of a DCGAN step that is neither forward, backward, optimiser nor data: the trainer's own."""
    made = our_trainer("dcgan", {}, "fp32", data)
    inside = 0.0

    def timed(function: Callable) -> Callable:
        def call(*args: object, **words: object) -> object:
            nonlocal inside
            start = time.perf_counter()
            try:
                return function(*args, **words)
            finally:
                inside += time.perf_counter() - start

        return call

    class Timed:
        """The model's step, each part of which is forward and data."""

        def __init__(self, step: Iterator) -> None:
            self.step = step

        __next__ = timed(lambda self: next(self.step))

        def close(self) -> None:
            self.step.close()

    step, backward = made.model.step, Tensor.backward
    made.model.step = lambda batches: Timed(step(batches))
    for moved in made.players.values():
        moved.optimizer.step = timed(moved.optimizer.step)
    iterations = iter(made)
    for _ in range(5):
        next(iterations)
    Tensor.backward = timed(backward)
    try:
        inside, start = 0.0, time.perf_counter()
        for _ in range(steps):
            next(iterations)
        made.drain()
        return 1 - inside / (time.perf_counter() - start)
    finally:
        Tensor.backward = backward


def peak_memory() -> float:
    """GiB that a process of its own needs at most to train DCGAN (60,000 images of 32x32, defaults) for 30 steps."""
    code = """
import resource, torch, ganarium
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.trainer import Trainer
model = ganarium.create("dcgan", (1, 32, 32))
data = Dataset("as large as MNIST", torch.randint(0, 256, (60000, 32, 32, 1), dtype=torch.uint8))
made = Trainer(model, Batches(data, Images, model.batch_size), 30)
made.prepare()
for _ in made: pass
made.drain()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--growing", action="store_true", help="time progan and stylegan at each resolution instead")
    parser.add_argument("--inference", action="store_true", help="time enlarging and translating instead")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.inference:
        write(
            "inference",
            {"protocol": f"{arguments.pairs} pairs, median of ratios", "ratios": inference(arguments.pairs)},
        )
        return
    if arguments.growing:
        protocol = f"width 64, codes of 64, {arguments.threads} threads, median of the steps in 2 s"
        write("growing", {"protocol": protocol, "rates": growing(2.0)})
        return
    data, _ = load_data("glyphs", characters="digits")
    rows = {}
    for case, (name, options, precision, steps, aim) in CASES.items():
        times = paired(plain(name, options, data), ours(name, options, precision, data), steps, arguments.pairs)
        ratios = sorted(a / b for a, b in times)
        row = {
            "ratio": statistics.median(ratios),
            "lowest": ratios[0],
            "highest": ratios[-1],
            "aim": aim,
            "plain_ms": 1000 * statistics.median(a for a, _ in times) / steps,
            "ours_ms": 1000 * statistics.median(b for _, b in times) / steps,
        }
        rows[case] = row
        print(
            f"{case:16} {row['ratio']:.2f}x  ({ratios[0]:.2f} to {ratios[-1]:.2f}), wanted {aim}x, "
            f"{row['plain_ms']:.1f} against {row['ours_ms']:.1f} ms a step",
            flush=True,
        )
    shares = sorted(own_share(data) for _ in range(3))
    memory = peak_memory()
    spread = f"{shares[0]:.1%} to {shares[2]:.1%}"
    print(f"the trainer's own share of a dcgan step: {shares[1]:.1%} ({spread}), wanted under 5%")
    print(f"peak memory of training dcgan on 60,000 images: {memory:.2f} GiB, wanted under 1.5")
    result = {
        "protocol": f"batch {BATCH}, 32x32, {arguments.pairs} pairs, median of ratios",
        "ratios": rows,
        "own_share_of_dcgan_step": shares,
        "peak_memory_gib": memory,
    }
    write("throughput", result)


def write(name: str, result: dict) -> None:
    """Writes the numbers of a benchmark, with the command and the machine."""
    command = " ".join(["python benchmarks/throughput.py", *sys.argv[1:]])
    words = re.findall(r"[a-z]+", re.sub(r"\(.*?\)", "", environment()["processor"].lower()))[:2]
    cpuinfo = Path("/proc/cpuinfo")  # its matrix unit makes bf16 another machine
    words += ["amx"] if cpuinfo.exists() and "amx_bf16" in cpuinfo.read_text() else []
    RESULTS.mkdir(exist_ok=True)
    content = {"command": command, **result, "environment": environment()}
    (RESULTS / f"{name}-{'-'.join(words)}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
