"""Watches a folder for pictures that appear or change, and waits until they are complete."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchfiles import Change, watch

__all__ = ["settled_files"]

_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it was when it was last seen to change; `since` in seconds of the monotonic clock."""

    size: int
    changed: int
    since: float


def settled_files(folder: Path, *, settle_seconds: float = 2.0) -> Iterator[list[Path]]:
    """Files that appeared or changed and have kept their size and time for a while, in batches; empty ones in between.

    The first item comes at once, and what happens from then on is not missed, however long the caller is busy.

    Args:
        folder: watched with everything below it.
        settle_seconds: a file that is still being written or copied changes within this time.
    """
    growing: dict[Path, _Seen] = {}
    for changes in watch(
        folder,
        watch_filter=None,
        rust_timeout=round(1000 * _POLL_SECONDS),
        yield_on_timeout=True,
        raise_interrupt=True,
        ignore_permission_denied=True,
    ):
        for change, name in changes:
            if change is not Change.deleted:
                for path in _files(Path(name)):
                    _look(path, growing)
        for path in list(growing):
            _look(path, growing)
        now = time.monotonic()
        settled = sorted(path for path, seen in growing.items() if now - seen.since >= settle_seconds)
        for path in settled:
            del growing[path]
        yield settled


def _files(path: Path) -> Iterator[Path]:
    """The file, or all that is in a folder that was moved here as a whole."""
    if not path.is_dir() or path.is_symlink():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder) / name for name in names)


def _look(path: Path, growing: dict[Path, _Seen]) -> None:
    """Begin to wait anew when the file has changed; forget it when it is gone."""
    try:
        status = path.stat()
    except OSError:
        growing.pop(path, None)
        return
    before = growing.get(path)
    if before is None or (before.size, before.changed) != (status.st_size, status.st_mtime_ns):
        growing[path] = _Seen(status.st_size, status.st_mtime_ns, time.monotonic())
