"""What results are called, so that no two of them, and none on any file system, are taken for one another."""

import hashlib
import itertools
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cloak.destination import certificate_path, plan_output
from cloak.types import FormatChoice

__all__ = ["certificate_name", "folded", "result_names"]

_LONGEST = 240  # bytes; file systems allow 255, and ".json" is longer than ".png"


def result_names(name: str, choice: FormatChoice) -> Iterator[str]:
    """Names for the cloak of an original, best first: a.cloaked.png, a.png.cloaked.png, a.png.2.cloaked.png, ...

    Args:
        name: of the original, relative, with "/" between folders.
        choice: format of the output.
    """
    original = PurePosixPath(name)
    first = plan_output(Path(original.name), None, choice).name
    ending = first[len(original.stem) :]  # .cloaked.png
    stems = itertools.chain(
        [original.stem, original.name], (f"{original.name}.{count}" for count in itertools.count(2))
    )
    for stem in stems:
        yield str(original.with_name(_shortened(stem, _LONGEST - len(os.fsencode(ending))) + ending))


def _shortened(stem: str, longest: int) -> str:
    """A stem of at most so many bytes; what is cut is replaced by its hash."""
    encoded = os.fsencode(stem)
    if len(encoded) <= longest:
        return stem
    tail = f"~{hashlib.sha256(encoded).hexdigest()[:8]}"
    return encoded[: longest - len(tail)].decode("utf-8", "ignore") + tail


def certificate_name(output: str) -> str:
    """Where the certificate of a result lies, beside it."""
    return str(certificate_path(PurePosixPath(output)))


def folded(name: str) -> str:
    """Equal for names that one file system or another takes for the same: case and Unicode form are ignored."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
