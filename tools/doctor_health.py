"""Records what the doctor reads in healthy runs: `python tools/doctor_health.py`, about 40 minutes of one core.

Ten models train 2,000 steps each (seed i for the i-th), and the first 300 steps of `make demo` are made at seeds 0 to 9
in bf16 and in float32. tests/health/NAME.npz has a run's rows, scores and statistics; tests/test_doctor_health.py
replays them and holds every number to half of the doctor's limit. A run whose file is there is not made again.

`python tools/doctor_health.py memory`, two minutes of one core, records in tests/health/memory.json how D scores
held-out images in healthy runs of up to 400 steps.
"""

import json
import platform
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

import ganarium
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.doctor import notes
from ganarium.doctor.batches import BatchStatistics
from ganarium.doctor.doctor import Doctor
from ganarium.doctor.memory import Memory
from ganarium.doctor.signs import Note
from ganarium.trainer import Trainer

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "health"
SMALL = {"data": "glyphs", "characters": "digits", "size": 16, "steps": 2000, "sample_every": 200}
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("gan", {}),
    ("dcgan", {"width": 16}),
    ("lsgan", {"width": 16}),
    ("wgan", {"width": 16}),
    ("wgan_gp", {"width": 16}),
    ("acgan", {"generator_width": 48, "discriminator_width": 8}),
    ("dragan", {"width": 16}),
    ("relativistic_gan", {"width": 16}),
    ("cyclegan", {"data": "scenes_unpaired", "characters": None, "width": 8, "num_blocks": 2}),
    ("gan", {"data": "ring", "characters": None, "size": None}),
]


# model, its options, steps, batch size
KNOWN: list[tuple[str, dict[str, Any], int, int]] = [
    ("gan", {}, 400, 64),
    ("dcgan", {"width": 16}, 400, 32),
    ("dcgan", {"width": 16, "augment": "ada"}, 400, 32),
    ("lsgan", {"width": 16}, 400, 32),
    ("wgan_gp", {"width": 16}, 60, 32),
    ("dragan", {"width": 16}, 100, 32),
    ("relativistic_gan", {"width": 16}, 300, 32),
    ("infogan", {"width": 16}, 300, 32),
]


class RecordingDoctor(Doctor):
    """Keeps all that the doctor of a run is given, and what it says."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.rows: list[dict[str, float]] = []
        self.means: list[dict[str, float]] = []
        self.ends: list[tuple[int, int]] = []  # lengths of rows and means at each reading
        self.scores: list[dict[str, NDArray[Any]]] = []
        self.ratios: list[dict[str, NDArray[Any]]] = []
        self.notes: list[Note] = []
        recorded.append(self)

    def examine(
        self,
        rows: list[dict[str, float]],
        means: list[dict[str, float]],
        observed: dict[str, NDArray[Any]],
        batches: dict[str, BatchStatistics],
    ) -> list[Note]:
        self.rows, self.means = self.rows + rows, self.means + means
        self.ends.append((len(self.rows), len(self.means)))
        self.scores.append(observed)
        said = super().examine(rows, means, observed, batches)
        self.notes += said
        return said

    def examine_samples(self, *args: Any) -> list[Note]:
        said = super().examine_samples(*args)
        self.notes += said
        return said

    def _unmixed(self) -> list[Any]:
        ratios = {}
        for (name, size), parts in self._batches.items():
            joined = [np.concatenate(numbers) for numbers in list(zip(*parts, strict=True))[1:]]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = size * joined[0].var(0, ddof=1) / joined[1].mean(0)
            ratios[name] = np.array([size, len(joined[0]), *np.nan_to_num(ratio)])
        self.ratios.append(ratios)
        return super()._unmixed()


recorded: list[RecordingDoctor] = []


def record(name: str, model: str, options: dict[str, Any]) -> None:
    """Makes one run, and writes its file."""
    target = FOLDER / f"{name}.npz"
    if target.exists():
        return
    recorded.clear()
    options = {key: value for key, value in options.items() if value is not None}
    with tempfile.TemporaryDirectory() as folder:
        ganarium.train(model, out=f"{folder}/run", quiet=True, **options)
    doctor = recorded[0]
    arrays: dict[str, NDArray[Any]] = {"ends": np.array(doctor.ends)}
    for kind, rows in (("row", doctor.rows), ("mean", doctor.means)):
        for key in dict.fromkeys(key for row in rows for key in row):
            arrays[f"{kind}:{key}"] = np.array([row.get(key, np.nan) for row in rows], np.float32)
    for index, (scores, ratios) in enumerate(zip(doctor.scores, [*doctor.ratios], strict=False)):
        arrays |= {f"score:{index}:{key}": value.astype(np.float32).ravel() for key, value in scores.items()}
        arrays |= {f"ratio:{index}:{key}": value.astype(np.float32) for key, value in ratios.items()}
    for direction, history in doctor._samples.items():
        arrays[f"sample:{direction}"] = np.array([tuple(map(float, row)) for row in history.statistics])
    about = {
        "model": model,
        "options": options,
        "batch_size": doctor.batch_size,
        "processor": processor(),
        "torch": torch.__version__,
        "notes": [note.record() for note in doctor.notes],
    }
    arrays["about"] = np.array(json.dumps(about))
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(target, **arrays)
    print(
        name,
        len(doctor.rows),
        [f"{note.step} {note.sign} {note.player}: {note.evidence}" for note in doctor.notes],
        flush=True,
    )


def record_memory() -> None:
    """Makes the runs of KNOWN on drawn digits, and writes ten readings of each; not anew those that are there."""
    train, held_out = ganarium.load_data("glyphs", characters="digits", size=(16, 16))
    file = FOLDER / "memory.json"
    record = json.loads(file.read_text()) if file.exists() else {"images": len(train), "runs": []}
    for seed, (name, options, steps, size) in enumerate(KNOWN[len(record["runs"]) :], len(record["runs"])):
        torch.manual_seed(seed)
        model: Any = registry.create(name, train.shape, train.num_classes, **options)
        trainer = Trainer(model, Batches(train, model.batch_type, size, seed=seed), steps)
        trainer.prepare()
        memory = Memory(trainer.batches, Batches(held_out, model.batch_type, 1))
        readings, rows = [], []
        for step in trainer:
            rows += trainer.drain().rows
            if step % (steps // 10) == 0 and (reading := memory.read(model)):
                readings.append([step, round(reading.gap, 4), round(reading.apart, 4)])
        ada = [[row["D/augment_r"], row["D/augment_p"]] for row in rows if "D/augment_r" in row]
        about = {"model": name, "options": options, "batch_size": size, "processor": processor()}
        record["runs"].append({**about, "readings": readings, "ada": ada[::10]})
        file.write_text(json.dumps(record) + "\n")
        print(name, readings, flush=True)


def processor() -> str:
    """The name of the processor, as the system has it."""
    cpuinfo = Path("/proc/cpuinfo")
    match = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return match[1] if match else platform.processor()


if __name__ == "__main__":
    notes.Doctor = RecordingDoctor  # type: ignore[misc]
    torch.set_num_threads(1)
    if sys.argv[1:] == ["memory"]:
        record_memory()
        sys.exit()
    demo = yaml.safe_load((ROOT / "demo.yaml").read_text())
    model = demo.pop("model")
    demo = {key: value for key, value in demo.items() if key not in ("minutes", "out", "precision")}
    demo["lr"] = float(demo["lr"])  # YAML takes 7e-4 for a word
    which = sys.argv[1] if len(sys.argv) > 1 else ""
    for seed in range(10):
        for precision in ("bf16", "fp32"):
            if which in ("", "demo"):
                record(f"demo-{precision}-{seed}", model, {**demo, "steps": 300, "seed": seed, "precision": precision})
    for seed, (model, options) in enumerate(MODELS):
        if which in ("", "models"):
            record(f"{seed}-{model}", model, {**SMALL, "seed": seed, **options})
