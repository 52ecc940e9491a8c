"""Which device computes, in which number format, and how much memory it took."""

import contextlib
import ctypes
import functools
import sys

import torch

from cloak.errors import UsageError
from cloak.types import Device

__all__ = ["peak_memory", "release_memory", "resolve_device", "working_dtype"]


def resolve_device(choice: Device) -> torch.device:
    """The device for a choice; raises UsageError for one that this machine lacks."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if choice == "auto":
        return torch.device("cuda" if present["cuda"] else "mps" if present["mps"] else "cpu")
    if not present[choice]:
        raise UsageError(f"The device {choice!r} was asked for, but this machine has none; use --device auto or cpu.")
    return torch.device(choice)


@functools.cache
def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; emulated, it would be slower than float32."""
    if sys.platform != "linux":
        return False
    try:
        with open("/proc/cpuinfo") as file:
            flags = file.read()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags or " bf16" in flags


def working_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where it is fast and safe, float32 elsewhere; half precision overflows in some published encoders."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device.type == "cpu" and cpu_has_bfloat16() else torch.float32


def peak_memory(device: torch.device) -> int | None:
    """Most memory that the process (or the accelerator) has used, bytes; None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def release_memory() -> None:
    """Give freed memory back to the system; glibc keeps what many steps have fragmented. Does nothing elsewhere."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
