"""Writes a file so that it is either there as a whole or not at all."""

import contextlib
import errno
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cloak.errors import OutputError

__all__ = ["WrittenPicture", "write_file"]

NO_HARD_LINKS = frozenset([errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV])


@dataclass(frozen=True)
class WrittenPicture:
    """A file that was written.

    Args:
        path: where.
        size_bytes: its length.
        sha256: of its bytes, in hexadecimal.
    """

    path: Path
    size_bytes: int
    sha256: str


def write_file(data: bytes, destination: Path, *, overwrite: bool = False, mode: int = 0o666) -> WrittenPicture:
    """Write bytes to a temporary file in the same folder, flush it to the disk and give it its name.

    Args:
        data: all that the file shall hold.
        destination: its path; the folder must exist.
        overwrite: whether a file of that name may be replaced.
        mode: permissions of the file, of which the umask takes its share; 0o600 for what nobody else may read.

    Raises:
        OutputError: the file exists, the folder does not, there is no space or no permission; nothing is left behind.
    """
    destination = Path(destination)
    _check_free(destination, overwrite)
    temporary = destination.with_name(f".{destination.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        _write_through(data, temporary, mode)
        _give_name(temporary, destination, overwrite)
    except (OSError, ValueError) as error:
        raise OutputError(_unwritable(destination, error)) from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)
    _flush_folder(destination.parent)
    return WrittenPicture(destination, len(data), hashlib.sha256(data).hexdigest())


def _check_free(destination: Path, overwrite: bool) -> None:
    try:
        if destination.is_dir():
            raise OutputError(f"{destination} is a folder; name a file in it.")
        if not overwrite and os.path.lexists(destination):
            raise FileExistsError
    except FileExistsError as error:
        raise OutputError(_unwritable(destination, error)) from error
    except (OSError, ValueError) as error:
        raise OutputError(_unwritable(destination, error)) from error


def _write_through(data: bytes, path: Path, mode: int) -> None:
    """Create a new file with the permissions that the umask leaves, and flush it to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _give_name(temporary: Path, destination: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, destination)
        return
    try:
        os.link(temporary, destination)  # fails where a file appeared meanwhile, which a rename would replace
    except (AttributeError, NotImplementedError):
        _rename_new(temporary, destination)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        _rename_new(temporary, destination)


def _rename_new(temporary: Path, destination: Path) -> None:
    if os.path.lexists(destination):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    os.replace(temporary, destination)


def _flush_folder(folder: Path) -> None:
    """Make the new name durable; some systems cannot flush a folder, and the file itself is safe without it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _unwritable(destination: Path, error: OSError | ValueError) -> str:
    if isinstance(error, FileExistsError):
        return f"{destination} exists already; choose another name or allow overwriting (--overwrite)."
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return f"{destination} cannot be written since the folder {destination.parent} does not exist; make it first."
    if isinstance(error, PermissionError):
        return f"{destination} may not be written by this user; choose another folder or change its permissions."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{destination} cannot be written since the disk is full; free some space or choose another disk."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{str(destination)!r} cannot be written ({reason}); choose another folder or name."
