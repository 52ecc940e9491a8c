"""How much memory this machine can still give, and how large models may look at a picture within it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloak.surrogates import Surrogate

__all__ = ["affordable_side", "free_memory", "is_large"]

_LARGE = 20_000_000  # parameters; tiny autoencoders have about one, full ones 80
_FIXED = 1_200_000_000  # bytes: torch, weights and a megapixel picture
_MEMORY_INFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Memory that a process may still take, bytes; None where the system does not say it simply."""
    if not _MEMORY_INFO.is_file():
        return None
    found = [line for line in _MEMORY_INFO.read_text().splitlines() if line.startswith("MemAvailable:")]
    if not found:
        return None
    available = int(found[0].split()[1]) * 1024
    limit = _container_limit()
    return available if limit is None else min(available, limit)


def is_large(surrogate: "Surrogate") -> bool:
    """Whether the model is recomputed in the backward pass, because what it would keep fills a laptop's memory."""
    return sum(parameter.numel() for parameter in surrogate.module.parameters()) > _LARGE


def affordable_side(surrogates: "Sequence[Surrogate]", side: int, max_memory: int) -> int:
    """Short side, pixels, at which models look at a whole picture: `side`, or less where memory is short.

    Args:
        surrogates: the models, all of which see the picture at once.
        side: what is wanted, pixels.
        max_memory: what the process may take, bytes.
    """
    pixels = max(0, max_memory - _FIXED) / sum(map(_activation_bytes, surrogates))
    square = math.sqrt(pixels / 1.5)  # pictures are longer than wide
    largest = max(surrogate.side or side for surrogate in surrogates)
    return int(min(side, largest, max(128, square)) // 8 * 8)


def _activation_bytes(surrogate: "Surrogate") -> int:
    """What one gradient keeps for each pixel looked at, roughly (docs/models.md has the full-size autoencoders)."""
    return 10_000 if is_large(surrogate) else 3_000


def _container_limit() -> int | None:
    """What a container may still take (cgroup version 2), bytes."""
    try:
        limit, used = (_CGROUP / "memory.max").read_text().strip(), (_CGROUP / "memory.current").read_text()
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))
