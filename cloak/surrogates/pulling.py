"""Brings models of the catalogue to this machine, whole or not at all.

Files are collected in a folder beside the models, where an interrupted pull goes on, are checked there, and only then
take their place; the record of their hashes comes last.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cloak.errors import ModelError, OutputError, UsageError
from cloak.surrogates.catalogue import CatalogueEntry, catalogue_entry
from cloak.surrogates.hub import RemoteFile, download, find_remote
from cloak.surrogates.inspection import file_sha256, is_pickled, read_header
from cloak.surrogates.record import PullRecord, read_record, write_record
from cloak.surrogates.store import models_folder
from cloak.types import Step

__all__ = ["PullPlan", "plan_pull", "pull", "remove"]

_MEGABYTE = 1_000_000
_SPARE_BYTES = 50 * _MEGABYTE
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a pull will do.

    Args:
        entry: the model.
        revision: commit that will be recorded.
        fetched: files that are missing here, or are not what they should be.
        kept: sha256 of the files that stay, by path.
    """

    entry: CatalogueEntry
    revision: str
    fetched: tuple[RemoteFile, ...]
    kept: dict[str, str]

    @property
    def size_bytes(self) -> int:
        """Of the files to be fetched."""
        return sum(file.size for file in self.fetched)


def plan_pull(name: str) -> PullPlan | None:
    """Find out what is to be fetched for a model; None when it is here, complete and unharmed, which asks no network.

    Raises:
        UnknownModelError: the catalogue has no such name.
        UsageError: it ships with the package.
        MissingModelError: the hub cannot be reached or does not give it away.
        ModelError: what the hub announces is not what is pinned or recorded.
    """
    entry, folder = catalogue_entry(name), models_folder() / name
    if entry.embedded:
        raise UsageError(f"The model {name!r} ships with artcloak; there is nothing to pull.")
    record = read_record(folder)
    here = [file.path for file in entry.files if (folder / file.path).is_file()]
    if record is None and len(here) == len(entry.files):
        return None  # put there by hand: nothing is known to compare it with
    kept = _unharmed(folder, here, record)
    if len(kept) == len(entry.files):
        return None
    files = _ask_hub(entry, record)
    if record is None:  # some files were put there by hand; they stay where they are the published ones
        kept = {file.path: digest for file in files if (digest := _digest_if_same(folder / file.path, file))}
    fetched = tuple(file for file in files if file.path not in kept)
    return PullPlan(entry, record.revision if record else entry.revision or files[0].revision, fetched, kept)


def pull(plan: PullPlan) -> Iterator[Step]:
    """Carry out a plan; closing the iterator stops it, and the next pull goes on from there.

    Yields:
        Steps of stage "models", `index` and `total` in megabytes; the last one, "done", has the folder as `result`.

    Raises:
        MissingModelError: the connection was lost.
        ModelError: a file is not what was announced, pinned or recorded; it is thrown away.
        OutputError: there is no room, or the folder cannot be written.
    """
    with _exclusive(plan.entry.name), _room(plan):
        started, finished, total = time.perf_counter(), 0, plan.size_bytes
        hashes = dict(plan.kept)
        for file in plan.fetched:
            for have in _fetch(plan.entry, file):
                yield _step(file, finished + have, total, time.perf_counter() - started)
            hashes[file.path] = file_sha256(_staging(plan.entry) / file.path)
            finished += file.size
        folder = _publish(plan, hashes)
    yield Step("done", seconds=time.perf_counter() - started, message=f"{plan.entry.name} is here", result=folder)


def remove(name: str) -> int:
    """Delete a pulled model and what an interrupted pull of it left; returns the bytes that were freed.

    Raises:
        UnknownModelError: the catalogue has no such name.
        UsageError: it ships with the package.
        ModelError: it is not here.
        OutputError: it cannot be deleted.
    """
    entry = catalogue_entry(name)
    if entry.embedded:
        raise UsageError(f"The model {name!r} ships with artcloak and cannot be removed by itself.")
    places = [place for place in (models_folder() / name, _staging(entry)) if place.exists() or place.is_symlink()]
    if not places:
        raise ModelError(f"The model {name!r} is not on this machine; there is nothing to remove.")
    freed = 0
    try:
        for place in places:
            freed += _delete(place)
    except OSError as error:
        raise OutputError(f"{error.filename or name} cannot be deleted: {error.strerror or error}.") from error
    return freed


def _delete(place: Path) -> int:
    if place.is_symlink():
        place.unlink()
        return 0
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file() and not path.is_symlink())
    doomed = place.with_name(f".{place.name}.removed")  # half of a model must not look like one
    shutil.rmtree(doomed, ignore_errors=True)
    os.replace(place, doomed)
    shutil.rmtree(doomed)
    return size


def _unharmed(folder: Path, here: list[str], record: PullRecord | None) -> dict[str, str]:
    """sha256 of the files that are as recorded, by path."""
    if record is None:
        return {}
    return {path: record.sha256[path] for path in here if file_sha256(folder / path) == record.sha256.get(path)}


def _ask_hub(entry: CatalogueEntry, record: PullRecord | None) -> list[RemoteFile]:
    """Every file of a model at one revision, with the hash that it must have."""
    revision = record.revision if record else entry.revision or "main"
    files: list[RemoteFile] = []
    for known in entry.files:
        remote = find_remote(entry, known.path, files[0].revision if files else revision)
        required = known.sha256 or (record.sha256.get(known.path) if record else None)
        if required and remote.sha256 not in {None, required}:
            raise ModelError(
                f"The hub announces other bytes for {known.path} of {entry.name!r} (sha256 {remote.sha256}) than those "
                f"that are pinned ({required}); nothing was pulled."
            )
        files.append(replace(remote, sha256=required or remote.sha256))
    return files


def _fetch(entry: CatalogueEntry, file: RemoteFile) -> Iterator[int]:
    """Bring one file into the staging folder; yields the bytes of it that are there."""
    target = _staging(entry) / file.path
    if _digest_if_same(target, file):
        yield file.size
        return
    part = target.with_name(f"{target.name}.{file.tag}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    yield from _copy(file.cached, part) if file.cached else download(entry, file, part)
    _check(entry, file, part)
    os.replace(part, target)


def _copy(source: Path, part: Path) -> Iterator[int]:
    with source.open("rb") as reader, part.open("wb") as writer:
        while block := reader.read(_BLOCK):
            writer.write(block)
            yield writer.tell()


def _digest_if_same(path: Path, file: RemoteFile) -> str | None:
    """sha256 of a local file when it has the size and hash of the remote one, else None."""
    if not path.is_file() or path.stat().st_size != file.size:
        return None
    digest = file_sha256(path)
    same = digest == file.sha256 if file.sha256 else _git_sha1(path) == file.git_sha1
    return digest if same else None


def _git_sha1(path: Path) -> str:
    """What git calls the contents of a file; the hub announces it for those that are not kept as large files."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _check(entry: CatalogueEntry, file: RemoteFile, part: Path) -> None:
    """Throw a fetched file away and raise ModelError unless it is what it should be."""
    if problem := _problem(entry, file, part):
        part.unlink()
        raise ModelError(f"{file.path} of {entry.name!r} {problem}")


def _problem(entry: CatalogueEntry, file: RemoteFile, part: Path) -> str | None:
    known = file.sha256 or file.git_sha1
    if known and _digest_if_same(part, file) is None:
        return (
            f"arrived damaged: its bytes do not have the hash {known}; it was thrown away, run again: "
            f"cloak models pull {entry.name}"
        )
    if is_pickled(part):
        return "is a pickled weight file under another name, which can run code when it is opened; it was thrown away."
    try:
        if file.path.endswith(".safetensors"):
            read_header(part)
        elif file.path.endswith(".json"):
            json.loads(part.read_text(encoding="utf-8"))
    except (ModelError, ValueError):
        return "is not what its name says; it was thrown away."
    return None


def _publish(plan: PullPlan, hashes: dict[str, str]) -> Path:
    """Put what was fetched into its place, the record last."""
    folder, staging = models_folder() / plan.entry.name, _staging(plan.entry)
    record = PullRecord(str(plan.entry.hub_id), plan.revision, hashes)
    if not folder.exists():
        write_record(record, staging)
        os.replace(staging, folder)
        return folder
    for file in plan.fetched:
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staging / file.path, folder / file.path)
    write_record(record, folder)
    shutil.rmtree(staging, ignore_errors=True)
    return folder


def _staging(entry: CatalogueEntry) -> Path:
    """Where a pull collects its files; on the same disk as the models, never taken for one."""
    return models_folder() / ".partial" / entry.name


@contextlib.contextmanager
def _exclusive(name: str) -> Iterator[None]:
    """One pull of a model at a time, also between programs."""
    from filelock import FileLock, Timeout

    folder = models_folder() / ".partial"
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(f"Another pull of {name!r} is running; wait for it.") from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _room(plan: PullPlan) -> Iterator[None]:
    """Refuse before anything is fetched when the disk is too full; when it fills up later, leave nothing on it."""
    folder, staging = models_folder(), _staging(plan.entry)
    have = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
    needed, free = plan.size_bytes - have + _SPARE_BYTES, shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"The disk of {folder} is too full for {plan.entry.name!r}: it needs {needed / 1e9:.2f} GB and "
            f"{free / 1e9:.2f} GB are free; make room, or set ARTCLOAK_MODELS to a folder on another disk."
        )
    try:
        with _writable(folder):
            yield
    except OutputError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in {errno.ENOSPC, errno.EDQUOT}:
            shutil.rmtree(staging, ignore_errors=True)
        raise


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = f"The disk of {folder} is full; make room, or set ARTCLOAK_MODELS to a folder on another disk."
        else:
            message = f"{error.filename or folder} cannot be written: {error.strerror or error}."
        raise OutputError(message) from error


def _step(file: RemoteFile, have: int, total: int, seconds: float) -> Step:
    remaining = seconds * (total - have) / have if have else None
    return Step(
        "models",
        index=have // _MEGABYTE,
        total=max(1, -(-total // _MEGABYTE)),
        seconds=seconds,
        eta_seconds=remaining,
        message=f"fetching {file.path}, megabytes",
    )
