"""How much memory this machine can still give."""

from pathlib import Path

__all__ = ["free_memory"]

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


def _container_limit() -> int | None:
    """What a container may still take (cgroup version 2), bytes."""
    try:
        limit, used = (_CGROUP / "memory.max").read_text().strip(), (_CGROUP / "memory.current").read_text()
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))
