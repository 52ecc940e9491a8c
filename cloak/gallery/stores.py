"""Where results go: a folder, written so that a crash leaves whole files only, or any place that fsspec reaches."""

import contextlib
import hashlib
import importlib
import os
import re
import stat
from pathlib import Path
from typing import Any, Protocol

from cloak.errors import OutputError
from cloak.image import write_file

__all__ = ["FolderStore", "RemoteStore", "Store", "open_store"]

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{16}\.part")
_BLOCK = 1 << 20


class Store(Protocol):
    """Files by name, relative, with "/" between folders."""

    def write(self, name: str, data: bytes, *, like: os.stat_result | None = None) -> None:
        """Store a file as a whole or not at all, in place of an earlier one; with the permissions and times of another.

        Raises:
            OutputError: it cannot be written.
        """

    def sha256(self, name: str) -> str | None:
        """Hash of a file, None when there is none."""

    def read(self, name: str) -> bytes:
        """A file's bytes."""

    def tidy(self) -> None:
        """Remove what an interrupted run left half-written; only while no other one is at work."""


class FolderStore:
    """A folder on this machine or on a file system that is mounted here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, data: bytes, *, like: os.stat_result | None = None) -> None:
        target = self.folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder {target.parent} cannot be made ({error.strerror}); make room for it."
            ) from error
        write_file(data, target, overwrite=True)
        if like is not None:
            with contextlib.suppress(OSError):  # not every file system has them
                os.chmod(target, stat.S_IMODE(like.st_mode) | stat.S_IRUSR | stat.S_IWUSR)
                os.utime(target, ns=(like.st_atime_ns, like.st_mtime_ns))

    def sha256(self, name: str) -> str | None:
        try:
            with open(self.folder / name, "rb") as file:
                return _hash(file)
        except OSError:
            return None

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def tidy(self) -> None:
        for folder, _, files in os.walk(self.folder):
            for name in files:
                if _LEFTOVER.fullmatch(name):
                    os.unlink(os.path.join(folder, name))


class RemoteStore:
    """A place that fsspec reaches, such as s3://bucket/folder; what it stores appears as a whole there.

    Args:
        url: with its scheme; credentials are fsspec's business (environment or its settings files).
    """

    def __init__(self, url: str) -> None:
        try:
            fsspec: Any = importlib.import_module("fsspec")
            self._system, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise OutputError(f"{url} cannot be reached: {error}.") from error
        self._url = url

    def write(self, name: str, data: bytes, *, like: os.stat_result | None = None) -> None:  # noqa: ARG002
        path = self._path(name)
        try:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(path, data)
        except OSError as error:
            raise OutputError(f"{self._url}/{name} cannot be written ({error}).") from error

    def sha256(self, name: str) -> str | None:
        try:
            with self._system.open(self._path(name), "rb") as file:
                return _hash(file)
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        data: bytes = self._system.cat_file(self._path(name))
        return data

    def tidy(self) -> None:
        """Nothing: objects are never half-written."""

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def open_store(destination: str) -> Store:
    """A store for a folder or for a URL."""
    return RemoteStore(destination) if "://" in destination else FolderStore(Path(destination))


def _hash(file: Any) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
