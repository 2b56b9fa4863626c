"""Runs proofs, one training run per core, and leaves a JSON file and a picture of each.

Runs that are done are kept in OUT/.runs/NAME-SCALE.jsonl until the proof is whole, so that a proof that was stopped
goes on; a run of a claim that has changed since, or of another version, is not taken up.
"""

import json
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ganarium import __version__
from ganarium.errors import UserError
from ganarium.proofs.claim import SCALES, Claim, list_proofs, load_claim
from ganarium.proofs.experiment import Scale
from ganarium.proofs.thresholds import Values, gain_of, level_of
from ganarium.proofs.worker import answer
from ganarium.registry import checked
from ganarium.runs.rows import read_rows
from ganarium.runtime.device import resolve_device
from ganarium.runtime.environment import environment
from ganarium.runtime.files import atomic_write
from ganarium.runtime.workers import answers


def prove(
    name: str | Claim,
    scale: str = "quick",
    *,
    seeds: Sequence[int] = (0, 1, 2),
    out: str | Path = "proofs",
    device: str = "auto",
    say: Callable[[str], None] = print,
    command: str | None = None,
) -> dict[str, Any]:
    """Runs the proof of a claim: model and control from every seed, the baselines once. Gives what it writes to
    OUT/NAME-SCALE.json, with the picture NAME-SCALE.png beside it.

    On the CPU a run has one thread and there are as many at a time as processors; on another device they come one by
    one. A claim that is not one of the package is given itself in place of its name; its runs come one by one too, in
    this process. `command` is what the result says it was made by.

    Raises `UserError` for an unknown proof or scale, or data that are not there.
    """
    claim = load_claim(name) if isinstance(name, str) else name
    if scale not in claim.scales:
        raise UserError(f"the proof {claim.id} has no scale {scale!r}: give {' or '.join(claim.scales)}.")
    if not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"seeds must be different whole numbers, at least one, not {list(seeds)}.")
    claim.scales[scale].splits()  # says it where they are absent, before anything is made
    device, folder = resolve_device(device), Path(out) / ".runs"
    folder.mkdir(parents=True, exist_ok=True)
    runs = _runs(claim, scale, list(seeds), device, folder, say, in_process=not isinstance(name, str))
    given, gpu = ",".join(map(str, seeds)), torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    result = {
        **in_words(claim, scale),
        "seeds": list(seeds),
        "values": [run["values"] for run in runs["model"]],
        "control": [run["values"] for run in runs["control"]],
        "baselines": runs["baselines"][0]["values"],
        "command": command or f"ganarium prove {claim.model} --claim {claim.id} --scale {scale} --seeds {given}",
        "seconds": round(sum(run["seconds"] for own in runs.values() for run in own)),
        "environment": environment()
        | {"threads": 1, "processors": os.cpu_count(), "gpu": gpu, "system": platform.system()},
    }
    result |= verdict_on(claim.scales[scale], result["values"], result["control"])
    from ganarium.proofs.picture import draw

    path = Path(out) / f"{claim.id}-{scale}.json"
    draw(result, folder, path.with_suffix(".png"))
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")
    for file in folder.glob(f"{claim.id}-{scale}*"):
        file.unlink()
    return result


def in_words(claim: Claim, scale: str) -> dict[str, Any]:
    """What a result says of its claim: sentences for readers, and the digest that ties the two together."""
    own = claim.scales[scale]
    return {
        "model": claim.model,
        "name": claim.id,
        "scale": scale,
        "digest": claim.digest(scale),
        "claim": claim.text,
        "control_is": claim.control_text,
        "source": claim.source,
        "paper": claim.paper,
        "protocol": f"{own.protocol()}. {claim.measure.text} {claim.beside_text}".strip(),
        "threshold": [
            {"value": name, **{key: limit for key, limit in asdict(bound).items() if limit is not None}}
            for name, bound in own.held_to.items()
        ],
    }


def verdict_on(scale: Scale, model: Sequence[Values], control: Sequence[Values]) -> dict[str, Any]:
    """Judges the runs: whether the model holds all bounds, whether the control does, the gain and the level that are
    asked for, and so whether the proof is passed."""

    def holds(runs: Sequence[Values], control: bool) -> bool:
        return all(bound.held_by([run[name] for run in runs], control=control) for name, bound in scale.held_to.items())

    verdict: dict[str, Any] = {"model_holds": holds(model, False), "control_holds": holds(control, True)}
    if scale.gain:
        verdict["gain"] = gain_of(scale.gain, model, control, scale.least_gain)
    if scale.level:
        verdict["level"] = level_of(*scale.level, model, control)
    others = all(verdict[key]["holds"] for key in ("gain", "level") if key in verdict)
    return verdict | {"passed": verdict["model_holds"] and not verdict["control_holds"] and others}


def is_current(result: dict[str, Any], claim: Claim | None) -> bool:
    """Whether a result is of the claim as it stands now."""
    return claim is not None and result["scale"] in claim.scales and result["digest"] == claim.digest(result["scale"])


def proofs_of(model: str, claim: str | None, scale: str) -> list[str]:
    """The names of a model's proofs at a scale. `UserError` where there are none."""
    if scale not in SCALES:
        raise UserError(f"there is no scale {scale!r}: give {', '.join(SCALES)}.")
    own = list_proofs(checked(model))
    if claim is not None and claim not in own:
        raise UserError(f"{model} has no proof {claim!r}: it has {', '.join(own) or 'none'}.")
    wanted = [load_claim(name) for name in ([claim] if claim else own)]
    names = [known.id for known in wanted if scale in known.scales]
    if not names:
        others = sorted({f"--scale {other}" for known in wanted for other in known.scales})
        remedy = f"give {' or '.join(others)}" if others else "`ganarium prove --list` names those of other models"
        raise UserError(f"{model} has no proof at the scale {scale}: {remedy}.")
    return names


def _runs(
    claim: Claim, scale: str, seeds: list[int], device: str, folder: Path, say: Callable[[str], None], in_process: bool
) -> dict[str, list[Any]]:
    """The answers of the worker by role, in the order of the seeds; those that lie in the folder are taken up."""
    kept, digest = folder / f"{claim.id}-{scale}.jsonl", f"{claim.digest(scale)} {device} {__version__}"
    rows: list[Any] = read_rows(kept)
    done = {(row["role"], row["seed"]): row for row in rows if row["digest"] == digest}
    wanted = {"model": seeds, "control": seeds[: claim.scales[scale].num_controls], "baselines": seeds[:1]}
    tasks = []
    for role, seed in ((role, seed) for role, own in wanted.items() for seed in own):
        if (role, seed) not in done:
            picture = str(folder / f"{claim.id}-{scale}-{role}.png") if seed == seeds[0] else None
            task = {"proof": claim.id, "scale": scale, "role": role, "seed": seed, "device": device}
            tasks.append(task | {"picture": picture})
    if in_process:
        runs: Iterable[Any] = (answer(task, claim) for task in tasks)
    else:
        most, threads = (os.cpu_count() or 1, "1") if device == "cpu" else (1, str(os.cpu_count() or 1))
        lines = map(json.dumps, tasks)
        runs = answers("ganarium.proofs.worker", [threads], lines, most, lambda task: f"a run ended: {task}.")
    for run in runs:
        if "error" in run:
            raise UserError(run["error"])
        done[run["role"], run["seed"]] = run
        with kept.open("a") as file:
            file.write(json.dumps(run | {"digest": digest}) + "\n")
        if run["role"] != "baselines":
            values = [
                f"{name} {'not finite' if value is None else f'{value:.4g}'}" for name, value in run["values"].items()
            ]
            say(f"  {run['role']:7} seed {run['seed']:3} {run['seconds']:5.0f} s  {', '.join(values)}")
    return {role: [done[role, seed] for seed in own] for role, own in wanted.items()}
