"""Finds the pictures of a gallery: in folders, by patterns, in ZIP and CBZ archives, from a list of paths."""

import contextlib
import functools
import glob
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cloak.errors import InputError, UsageError
from cloak.types import CLOAKED_MARK

__all__ = ["ARCHIVES", "PICTURES", "LeftAlone", "Original", "find_among", "find_originals"]

PICTURES = frozenset([".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".avif", ".bmp"])
ARCHIVES = frozenset([".zip", ".cbz"])
MAX_BYTES = 1_000_000_000  # as `cloak.image.ReadLimits`; more of an archive's member is never unpacked
_RUBBISH = frozenset(["__macosx", ".ds_store", "thumbs.db", "desktop.ini"])


@dataclass(frozen=True, slots=True)
class Original:
    """One picture of a gallery.

    Args:
        name: where it belongs, relative, with "/" between folders; odd bytes are escaped as `os.fsdecode` does it.
        path: the file, or the archive that it is in.
        member: its name in the archive, None for a file.
    """

    name: str
    path: Path
    member: str | None = None

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            InputError: it is gone, too large, encrypted or its archive is damaged.
        """
        try:
            return self.path.read_bytes() if self.member is None else _unpack(self.path, self.member)
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise InputError(f"{self.name} cannot be read ({reason}); check the file or pack it anew.") from error

    def status(self) -> os.stat_result:
        """Permissions and times of the file, or of its archive."""
        return self.path.stat()


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Something that was found and is not worked on.

    Args:
        name: what it is called.
        reason: in a few words, the same for all of a kind.
        problem: whether it may be a picture that the person would miss.
    """

    name: str
    reason: str
    problem: bool = False


Found = Iterator[Original | LeftAlone]


def find_originals(source: str, *, skip: Path | None = None) -> Found:
    """Everything in a folder, an archive, a list of paths (.txt) or a pattern, in the order of names.

    Links out of the folder are not followed, archives in archives are not opened, and nothing is read but names.

    Args:
        source: what the person named.
        skip: a folder that is left out with all that is in it, such as the one results go to.

    Raises:
        UsageError: there is nothing of that name.
    """
    path = Path(source)
    if path.is_dir():
        return _in_folder(path, skip)
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix in ARCHIVES:
            return _in_archive(path, "")
        return _listed(path) if suffix == ".txt" else iter([Original(path.name, path)])
    if glob.has_magic(source):
        return _matching(source, skip)
    raise UsageError(f"There is no folder, archive, list or picture {source}.")


def _in_folder(root: Path, skip: Path | None) -> Found:
    border = os.path.realpath(root)
    skipped = None if skip is None else os.path.realpath(skip)
    yield from _walk(root, "", border, skipped)


def find_among(root: Path, paths: Iterable[Path], *, skip: Path | None = None) -> Found:
    """The pictures among some files of a folder, named and checked as `find_originals` does it for the whole folder."""
    border = os.path.realpath(root)
    for path in paths:
        parts = Path(os.path.abspath(path)).relative_to(os.path.abspath(root)).parts
        name = "/".join(parts)
        if any(map(_is_hidden, parts)) or (skip is not None and _is_below(path, skip)):
            continue
        if not _is_inside(str(path), border):
            yield LeftAlone(name, "link that leads out of the folder", problem=True)
        else:
            yield from _file(path, name)


def _walk(folder: Path, prefix: str, border: str, skipped: str | None) -> Found:
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        yield LeftAlone(prefix or str(folder), f"folder that cannot be read ({error.strerror})", problem=True)
        return
    for entry in ordered:
        name = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            if not _is_hidden(entry.name) and os.path.realpath(entry.path) != skipped:
                yield from _walk(Path(entry.path), f"{name}/", border, skipped)
        elif entry.is_symlink() and not _is_inside(entry.path, border):
            yield LeftAlone(name, "link that leads out of the folder", problem=True)
        else:
            yield from _file(Path(entry.path), name)


def _is_inside(path: str, border: str) -> bool:
    """Whether a link ends at a file within the folder."""
    target = os.path.realpath(path)
    with contextlib.suppress(ValueError):  # another drive
        return os.path.isfile(target) and os.path.commonpath([target, border]) == border
    return False


def _file(path: Path, name: str) -> Found:
    """A file of a folder: a picture, an archive of pictures, or something to leave alone."""
    if (reason := _unwanted(name)) is not None:
        yield reason
    elif not _is_regular(path):
        yield LeftAlone(name, "not an ordinary file", problem=True)
    elif path.suffix.lower() in ARCHIVES:
        yield from _in_archive(path, f"{name}/")
    else:
        yield Original(name, path)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _is_hidden(name: str) -> bool:
    """What systems and tools put beside pictures for themselves."""
    return name.startswith(".") or name.lower() in _RUBBISH


def _unwanted(name: str) -> LeftAlone | None:
    base = name.rpartition("/")[2]
    suffix = PurePosixPath(base).suffix.lower()
    if _is_hidden(base):
        return LeftAlone(name, "hidden file")
    if CLOAKED_MARK in base.lower():
        return LeftAlone(name, "looks cloaked already")
    if suffix not in PICTURES | ARCHIVES:
        return LeftAlone(name, f"{suffix} file" if suffix else "file without extension")
    return None


def _in_archive(path: Path, prefix: str) -> Found:
    """The pictures of an archive; a member's name never leads out of the folder that it is mapped to."""
    try:
        members = _archive(path, path.stat().st_mtime_ns).infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        yield LeftAlone(prefix.rstrip("/") or path.name, f"archive that cannot be opened ({error})", problem=True)
        return
    seen: set[str] = set()
    for member in sorted(members, key=lambda each: each.filename):
        parts = PurePosixPath(member.filename.replace("\\", "/")).parts
        if member.is_dir() or any(part.lower() in _RUBBISH for part in parts):
            continue
        name = prefix + member.filename
        if (problem := _suspicious(member, parts)) is not None:
            yield LeftAlone(name, problem, problem=True)
        elif (reason := _unwanted(name)) is not None:
            yield reason
        elif PurePosixPath(name).suffix.lower() in ARCHIVES:
            yield LeftAlone(name, "archive in an archive", problem=True)
        elif member.filename in seen:
            yield LeftAlone(name, "second member of the same name", problem=True)
        else:
            seen.add(member.filename)
            yield Original(prefix + "/".join(parts), path, member.filename)


def _suspicious(member: zipfile.ZipInfo, parts: tuple[str, ...]) -> str | None:
    """Why a member is not touched: archives are made by strangers, too."""
    if not parts or parts[0] in ("/", "//") or ".." in parts or ":" in parts[0] or "\0" in member.filename:
        return "member with a path that leads out of the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "link in an archive"
    if member.flag_bits & 0x1:
        return "encrypted member"
    if member.file_size > MAX_BYTES:
        return "member that is too large"
    return None


@functools.lru_cache(maxsize=4)
def _archive(path: Path, changed: int) -> zipfile.ZipFile:  # noqa: ARG001 (a changed file is another one)
    return zipfile.ZipFile(path)


def _unpack(path: Path, member: str) -> bytes:
    """Never more than the member announces: what is packed as zeros can be a thousand times as large."""
    archive = _archive(path, path.stat().st_mtime_ns)
    announced = archive.getinfo(member).file_size
    with archive.open(member) as packed:
        data = packed.read(min(announced, MAX_BYTES) + 1)
    if len(data) > announced:
        raise ValueError("it is larger than the archive says")
    return data


def _listed(path: Path) -> Found:
    """The paths of a text file, one a line, relative to it; # begins a remark."""
    try:
        lines = path.read_bytes().decode("utf-8-sig", "surrogateescape").splitlines()
    except OSError as error:
        raise UsageError(f"Cannot read the list {path}: {error.strerror}.") from error
    paths = [path.parent / line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return _several(list(dict.fromkeys(paths)))


def _matching(pattern: str, skip: Path | None) -> Found:
    paths = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
    files = [path for path in paths if not path.is_dir() and not (skip and _is_below(path, skip))]
    if not files:
        raise UsageError(f"No file matches {pattern}.")
    return _several(files)


def _is_below(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _several(paths: list[Path]) -> Found:
    """Files from several places, named relative to the folder that they have in common."""
    absolute = [Path(os.path.abspath(path)) for path in paths]
    try:
        common = Path(os.path.commonpath([path.parent for path in absolute]))
    except ValueError:  # nothing, or several drives
        common = None
    for path in absolute:
        parts = path.relative_to(common).parts if common else [part.strip(":\\/") for part in path.parts]
        name = "/".join(part for part in parts if part)
        if path.is_file():
            yield from _file(path, name)
        else:
            yield LeftAlone(name, "missing", problem=True)
