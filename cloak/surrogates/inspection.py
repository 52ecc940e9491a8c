"""Looks into safetensors files without loading a tensor, and keeps pickled weights out."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloak.errors import ModelError

__all__ = [
    "PICKLE_SUFFIXES",
    "Header",
    "file_sha256",
    "is_pickled",
    "read_header",
    "refuse_pickle",
    "weights_sha256",
]

PICKLE_SUFFIXES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"})
_PROTOCOLS = (b"\x02", b"\x03", b"\x04", b"\x05")
_LONGEST_HEADER = 100_000_000
_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Header:
    """What a safetensors file says about itself.

    Args:
        path: the file.
        shapes: tensor names to shapes.
        metadata: free text entries.
    """

    path: Path
    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]

    def elements(self, names: list[str]) -> int:
        """Numbers stored under `names`."""
        return sum(math.prod(self.shapes[name]) for name in names)


def is_pickled(path: Path) -> bool:
    """Whether a file begins like what `torch.save` writes, whatever it is called: a zip archive, or a bare pickle."""
    with path.open("rb") as file:
        head = file.read(16)
    is_safetensors = head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LONGEST_HEADER
    return not is_safetensors and (head[:4] == b"PK\x03\x04" or (head[:1] == b"\x80" and head[1:2] in _PROTOCOLS))


def refuse_pickle(path: Path) -> None:
    """Raise ModelError when `path` is named like pickled weights, or holds them under another name."""
    if path.suffix.lower() in PICKLE_SUFFIXES or (path.is_file() and is_pickled(path)):
        raise ModelError(
            f"{path} is a pickled weight file, which can run code when it is opened; get the model's .safetensors file "
            "or convert it, for example with diffusers' save_pretrained(safe_serialization=True)."
        )


def read_header(path: Path) -> Header:
    """Read and check the header of a safetensors file.

    Raises:
        ModelError: it is pickled, unreadable, truncated or corrupt.
    """
    try:
        refuse_pickle(path)
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            text = file.read(length) if 2 <= length <= min(_LONGEST_HEADER, size - 8) else b""
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not text:
        raise ModelError(f"{path} is not a safetensors file, or it is truncated; get it again.")
    return _parse_header(path, text, size - 8 - length)


def _parse_header(path: Path, text: bytes, data_bytes: int) -> Header:
    try:
        entries = json.loads(text)
        metadata = dict(entries.pop("__metadata__", {}))
        shapes = {name: tuple(int(side) for side in entry["shape"]) for name, entry in entries.items()}
        end = max((_checked_end(entry) for entry in entries.values()), default=0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is not a sound safetensors file (its header is corrupt); get it again.") from error
    if end != data_bytes:
        raise ModelError(f"{path} is truncated or corrupt: {end} bytes of weights announced, {data_bytes} there.")
    return Header(path, shapes, metadata)


def _checked_end(entry: dict[str, Any]) -> int:
    begin, end = entry["data_offsets"]
    width = _BYTES.get(entry["dtype"])  # None: a packed type that newer files may hold; only its place is checked
    if not 0 <= begin <= end or (width is not None and end - begin != math.prod(entry["shape"]) * width):
        raise ValueError("offsets do not fit the shape")
    return int(end)


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def weights_sha256(paths: Sequence[Path]) -> str:
    """Of the one weight file, or of the files' hexadecimal sha256 written one after the other."""
    hashes = [file_sha256(path) for path in paths]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
