"""The whole state of a trainer as the files of a checkpoint, and back: resuming from it is bit-exact."""

from typing import Any

import torch
from torch import Tensor

from ganarium.model import Model
from ganarium.runs.checkpoint import Files, restore_model, state_and_aliases
from ganarium.runtime import distributed
from ganarium.trainer import Trainer


def capture(trainer: Trainer) -> tuple[Files, dict[str, Any]]:
    """All that training changes, as tensors and JSON. Every process must call it."""
    model = trainer.model
    weights, aliases = state_and_aliases(model)
    training = {f"optimizer/{key}": value for key, value in trainer.optimizer_state().items()}
    for rank, tensors in enumerate(distributed.gather(_of_process(model))):
        training |= {f"rank{rank}/{key}": value for key, value in tensors.items()}
    averages = {
        f"{name}.{key}": value
        for name, module in model.averages.items()
        for key, value in state_and_aliases(module)[0].items()
    }
    files = {"model": weights, "training": training} | ({"averages": averages} if averages else {})
    return files, {"step": model.iteration, "total": trainer.total, "drawn": trainer.batches.drawn, "aliases": aliases}


def restore(trainer: Trainer, files: Files, meta: dict[str, Any]) -> None:
    """Puts a trainer, built from the same config, where it was."""
    model = trainer.model
    restore_model(model, files, meta)
    training = files["training"]
    trainer.load_optimizer_state(
        {k.removeprefix("optimizer/"): v for k, v in training.items() if k.startswith("optimizer/")}
    )
    prefix = f"rank{trainer.batches.rank}/"
    own = {key.removeprefix(prefix): value for key, value in training.items() if key.startswith(prefix)}
    if own:
        torch.set_rng_state(own.pop("random"))
        if "random_cuda" in own and model.device.type == "cuda":
            torch.cuda.set_rng_state(own["random_cuda"], model.device)
        if "random_mps" in own and model.device.type == "mps":
            torch.mps.set_rng_state(own["random_mps"])
        buffers = dict(model.named_buffers())
        for name, value in own.items():
            if name in buffers:
                buffers[name].copy_(value)
    trainer.batches.drawn = meta["drawn"]


def _of_process(model: Model) -> dict[str, Tensor]:
    """What each process has for itself: its random generators and the buffers marked per rank."""
    own = {"random": torch.get_rng_state()}
    if model.device.type == "cuda":
        own["random_cuda"] = torch.cuda.get_rng_state(model.device)
    if model.device.type == "mps":
        own["random_mps"] = torch.mps.get_rng_state()
    buffers = dict(model.named_buffers())
    return own | {name: buffers[name].cpu() for name in sorted(distributed.per_rank_buffers(model))}
