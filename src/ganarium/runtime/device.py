"""The torch device and the precision that an option such as `auto` stands for on this machine."""

from pathlib import Path

from ganarium.errors import UserError, nearest

CPUINFO = Path("/proc/cpuinfo")


def resolve_device(name: str) -> str:
    """The torch device of `--device`; `UserError` if this machine has no such device."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdecimal()):
        raise UserError(f"there is no device {name!r}: {nearest(name, ('auto', 'cpu', 'cuda', 'mps'))}")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"this machine has no device {name}: torch sees {torch.cuda.device_count()} CUDA devices, so use cpu."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError("this machine has no mps device: use cpu.")
    return name


def resolve_precision(name: str, device: str) -> str:
    """fp32, bf16 or fp64; "auto" asks whether the processor is faster in bf16."""
    import torch

    if name == "fp64" and device == "mps":
        raise UserError("an mps device has no fp64: use fp32.")
    if name != "auto":
        return name
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device == "cpu" and faster_in_bf16(cpuinfo()) else "fp32"


def faster_in_bf16(cpuinfo: str) -> bool:
    """Whether a processor computes bf16 faster than fp32.

    Those with AMX do, and AMD's with AVX-512 (DCGAN's step: 1.4 times as fast). Intel's AVX-512 alone has the
    instructions and takes twice as long for a product as in fp32.
    """
    return "amx_bf16" in cpuinfo or ("avx512_bf16" in cpuinfo and "AuthenticAMD" in cpuinfo)


def cpuinfo() -> str:
    """What Linux says of the processor; nothing on other systems."""
    return CPUINFO.read_text() if CPUINFO.exists() else ""
