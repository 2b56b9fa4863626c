"""Training under `torchrun`: gradients and float buffers are averaged by one flat all-reduce each. No wrapper."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn


def start(device: torch.device) -> tuple[int, int]:
    """Joins the processes that torchrun started; gives (rank, world), (0, 1) without torchrun."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if device.type == "cuda" and device.index is None:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def num_processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def wait() -> None:
    """Until every process is here. A process that ends while another still works may be aborted by gloo's threads."""
    if dist.is_initialized():
        dist.barrier()


def stop() -> None:
    """Leaves the group; safe to call when there is none."""
    if dist.is_initialized():
        dist.destroy_process_group()


def leave(code: int) -> NoReturn:
    """Ends this process. Under torchrun at once: gloo's threads that let go of a tensor while Python is torn down abort
    the process (exit -6, now and then; https://github.com/pytorch/pytorch/pull/179291), when all is saved.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def average(tensors: Sequence[Tensor]) -> None:
    """Replaces each tensor by its mean over the processes, in place and with its own strides."""
    if not dist.is_initialized() or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view(tensor.shape))


def average_buffers(model: nn.Module) -> None:
    """Means of the float buffers (batch norm's statistics, control variables), but for those kept per process."""
    own = per_rank_buffers(model)
    average([buffer for name, buffer in model.named_buffers() if buffer.is_floating_point() and name not in own])


def per_rank_buffers(model: nn.Module) -> set[str]:
    """Names of the buffers of modules marked `per_rank = True` (an image pool): each process has its own."""
    modules = [(name, module) for name, module in model.named_modules() if getattr(module, "per_rank", False)]
    return {f"{name}.{buffer}" for name, module in modules for buffer, _ in module.named_buffers()}


def broadcast(tensors: Iterable[Tensor]) -> None:
    """Every process takes rank 0's values."""
    if dist.is_initialized():
        for tensor in tensors:
            value = tensor.detach().contiguous()
            dist.broadcast(value, 0)
            tensor.detach().copy_(value)


def gather(value: Any) -> list[Any]:
    """The value of every process, in the order of ranks, on all of them."""
    if not dist.is_initialized():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def any_rank(flags: list[bool], device: torch.device) -> list[bool]:
    """For each flag whether any process raises it (a signal reaches them at different moments)."""
    if not dist.is_initialized():
        return flags
    count = torch.tensor(flags, dtype=torch.float32, device=device)
    dist.all_reduce(count)
    return [number > 0 for number in count.tolist()]
