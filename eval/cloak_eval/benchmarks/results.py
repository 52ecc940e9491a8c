"""What every result file says about where it came from, and how it is written."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field

from cloak.certificate import package_versions
from cloak.image import write_file

__all__ = ["Provenance", "Record", "provenance", "write_json"]


class Record(BaseModel):
    """Base of what result files hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Provenance(Record):
    """Where a result comes from."""

    created: str = Field(description="UTC, ISO 8601.")
    commit: str | None = Field(description="Git commit of the code; null outside a repository.")
    dirty: bool | None = Field(description="Whether the code differed from that commit; null outside a repository.")
    versions: dict[str, str] = Field(description="Of Python and the packages that decide the numbers.")
    device: str = Field(description="What computed, e.g. cpu or cuda.")
    processor: str | None = Field(description="Its name; null where the system does not tell.")
    cpu_count: int | None = Field(description="Logical processors of the machine.")
    threads: int = Field(description="Threads that torch used.")
    system: str


def provenance(device: torch.device | str = "cpu") -> Provenance:
    """Describe the code and the machine as they are now.

    Args:
        device: what the benchmark computed on.
    """
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return Provenance(
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        commit=commit,
        dirty=None if changes is None else bool(changes),
        versions=package_versions(),
        device=str(device),
        processor=_processor(torch.device(device)),
        cpu_count=os.cpu_count(),
        threads=torch.get_num_threads(),
        system=f"{platform.system()} {platform.machine()}",
    )


def write_json(record: Record, path: Path) -> None:
    """Write a result file whole or not at all; its folder is made, an older result is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(record.model_dump_json(indent=1).encode() + b"\n", path, overwrite=True)


def _git(*arguments: str) -> str | None:
    """What git says about the repository that holds this file; None when there is no git, repository or commit."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor(device: torch.device) -> str | None:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or None
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or None
