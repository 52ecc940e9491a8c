"""Facts about this machine that decide whether and how fast pictures can be protected."""

import importlib.metadata
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["free_disk", "is_writable", "platform_facts", "torch_facts", "version_of"]


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution, None when it is not installed; nothing is imported."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def platform_facts() -> dict[str, Any]:
    """Python and the system it runs on."""
    return {"python": platform.python_version(), "system": platform.platform(), "machine": platform.machine()}


def torch_facts() -> dict[str, Any]:
    """Threads, accelerators, and whether models will compute in bfloat16 (only where the hardware does)."""
    import torch

    from cloak.device import resolve_device, working_dtype

    return {
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "mps": torch.backends.mps.is_available(),
        "bf16": working_dtype(resolve_device("auto")) == torch.bfloat16,
    }


def free_disk(folder: Path) -> int | None:
    """Free bytes on the disk that holds `folder`, or would hold it; None when it cannot be told."""
    place = next((parent for parent in (folder, *folder.parents) if parent.exists()), None)
    try:
        return None if place is None else shutil.disk_usage(place).free
    except OSError:
        return None


def is_writable(folder: Path) -> bool:
    """Whether a file can be made in `folder`, or in the nearest folder above it that exists."""
    place = next((parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()), None)
    if place is None:
        return False
    try:
        with tempfile.TemporaryFile(dir=place):
            return True
    except OSError:
        return False
