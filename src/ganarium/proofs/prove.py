"""Runs proofs, one training run per core, and leaves a JSON file and a picture of each.

Runs that are done are kept in OUT/.runs/NAME-SCALE.jsonl until the proof is whole, so that a proof that was stopped
goes on; a run made by other code or with other settings is not taken up.
"""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ganarium.errors import UserError
from ganarium.proofs.claim import FOLDER, SCALES, Bound, Scale, gain_of, level_of, list_proofs, load_proof
from ganarium.proofs.training import data_of
from ganarium.registry import MODELS, checked
from ganarium.runs.rows import read_rows
from ganarium.runtime.device import resolve_device
from ganarium.runtime.environment import environment
from ganarium.runtime.workers import answers

Values = dict[str, float | None]  # None: not finite


def prove(
    name: str,
    scale: str = "quick",
    *,
    seeds: Sequence[int] = (0, 1, 2),
    out: str | Path = "proofs",
    device: str = "auto",
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Runs the proof of a claim: model and control from every seed, the baselines once. Gives what it writes to
    OUT/NAME-SCALE.json, with the picture NAME-SCALE.png beside it.

    On the CPU a run has one thread and there are as many at a time as processors; on another device they come one by
    one. Raises `UserError` for an unknown proof or scale, or data that are not there.
    """
    claim = load_proof(name).CLAIM
    if scale not in claim.scales:
        raise UserError(f"the proof {name} has no scale {scale!r}: give {' or '.join(claim.scales)}.")
    if not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"seeds must be different whole numbers, at least one, not {list(seeds)}.")
    data_of(claim.scales[scale])  # says it where they are absent, before anything is made
    device, out = resolve_device(device), Path(out)
    (out / ".runs").mkdir(parents=True, exist_ok=True)
    done = _runs(name, scale, list(seeds), device, out, say)
    model, control = ([done[role, seed] for seed in seeds] for role in ("model", "control"))
    verdict = judged(claim.scales[scale], model, control)
    result: dict[str, Any] = {
        "model": claim.model,
        "claim": claim.text,
        "name": name,
        "scale": scale,
        "seeds": list(seeds),
        "values": model,
        "control": control,
        "control_is": claim.control,
        "baselines": done["baselines", seeds[0]],
        "threshold": thresholds(claim.scales[scale].bounds),
        "passed": verdict["passed"],
        "model_holds": verdict["model"],
        "control_holds": verdict["control"],
        **{key: verdict[key] for key in ("gain", "level") if key in verdict},
        "source": claim.source,
        "paper": claim.paper,
        "protocol": f"{claim.scales[scale].protocol()}. {claim.measure}",
        "command": f"ganarium prove {claim.model} --claim {name} --scale {scale} --seeds {','.join(map(str, seeds))}",
        "seconds": round(done["seconds", 0]),
        "environment": _environment(device),
    }
    from ganarium.proofs.picture import draw

    path = out / f"{name}-{scale}.json"
    draw(result, out / ".runs", path.with_suffix(".png"))
    aside = out / ".runs" / f"writing-{path.name}"
    aside.write_text(json.dumps(result, indent=1) + "\n")
    aside.replace(path)
    for file in (out / ".runs").glob(f"{name}-{scale}*"):
        file.unlink()
    return result


def thresholds(bounds: Sequence[Bound]) -> list[dict[str, Any]]:
    """As they stand in a result."""
    return [{key: value for key, value in asdict(bound).items() if value is not None} for bound in bounds]


def judged(scale: Scale, model: Sequence[Values], control: Sequence[Values]) -> dict[str, Any]:
    """Whether the model holds all bounds, whether the control does, the gain and the level that are asked for, and so
    whether the proof is passed."""
    held: dict[str, Any] = {
        "model": all(bound.held_by([run[bound.value] for run in model]) for bound in scale.bounds),
        "control": all(bound.held_by([run[bound.value] for run in control], control=True) for bound in scale.bounds),
    }
    if scale.gain:
        held["gain"] = gain_of(scale.gain, model, control)
    if scale.level:
        held["level"] = level_of(*scale.level, model, control)
    beside = all(held[key]["holds"] for key in ("gain", "level") if key in held)
    return held | {"passed": held["model"] and not held["control"] and beside}


def chosen(model: str, claim: str | None, scale: str) -> list[str]:
    """The names of a model's proofs at a scale. `UserError` where there are none."""
    if scale not in SCALES:
        raise UserError(f"there is no scale {scale!r}: give {', '.join(SCALES)}.")
    own = list_proofs(checked(model))
    if claim is not None and claim not in own:
        raise UserError(f"{model} has no proof {claim!r}: " + (f"it has {', '.join(own)}." if own else "it has none."))
    names = [name for name in own if claim in (None, name) and scale in load_proof(name).CLAIM.scales]
    if not names:
        raise UserError(f"{model} has no proof at the scale {scale}.")
    return names


def _runs(
    name: str, scale: str, seeds: list[int], device: str, out: Path, say: Callable[[str], None]
) -> dict[tuple[str, int], Any]:
    """The values of every run by (role, seed), and the seconds of all under ("seconds", 0)."""
    kept, digest = out / ".runs" / f"{name}-{scale}.jsonl", _digest(name, scale, device)
    tasks = {("model", seed): seed for seed in seeds} | {("control", seed): seed for seed in seeds}
    tasks |= {("baselines", seeds[0]): seeds[0]}
    done: dict[tuple[str, int], Any] = {}
    seconds = 0.0

    def take(run: dict[str, Any]) -> None:
        nonlocal seconds
        done[run["role"], run["seed"]] = run["values"]
        seconds += run["seconds"]

    for row in read_rows(kept):
        if row["digest"] == digest and (row["role"], row["seed"]) in tasks:
            take(row)

    def lines() -> Iterator[str]:
        for role, seed in tasks:
            if (role, seed) not in done:
                picture = str(out / ".runs" / f"{name}-{scale}-{role}.png") if seed == seeds[0] else None
                task = {"proof": name, "scale": scale, "role": role, "seed": seed, "device": device}
                yield json.dumps(task | {"picture": picture})

    most, threads = (os.cpu_count() or 1, 1) if device == "cpu" else (1, os.cpu_count() or 1)
    for run in answers("ganarium.proofs.worker", [str(threads)], lines(), most, lambda task: f"a run ended: {task}."):
        if "error" in run:
            raise UserError(run["error"])
        take(run)
        with kept.open("a") as file:
            file.write(json.dumps(run | {"digest": digest}) + "\n")
        if run["role"] != "baselines":
            words = ", ".join(f"{key} {_shown(value)}" for key, value in run["values"].items())
            say(f"  {run['role']:7} seed {run['seed']:3} {run['seconds']:5.0f} s  {words}")
    return done | {("seconds", 0): seconds}


def _shown(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"


def _digest(name: str, scale: str, device: str) -> str:
    """Of what a run depends on: the claim's file and the model's, what they share with others, and the settings."""
    claim, claims = load_proof(name).CLAIM, list_proofs()
    files = [FOLDER / f"{name}.py", MODELS / f"{claim.model}.py"]
    files += [path for path in sorted(FOLDER.glob("*.py")) if path.stem not in (*claims, "prove", "picture")]
    files += sorted((MODELS.parent / "networks").glob("*.py"))
    files += [MODELS.parent / name for name in ("losses.py", "mixing.py", "model.py", "players.py", "trainer.py")]
    settings = repr(claim.scales[scale])
    return hashlib.sha256("".join([*(file.read_text() for file in files), settings, device]).encode()).hexdigest()[:16]


def _environment(device: str) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return environment() | {"threads": 1, "processors": os.cpu_count(), "gpu": name, "system": platform.system()}
