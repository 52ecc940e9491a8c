"""Memory sizes and times as people write and read them."""

import re

from cloak.errors import UsageError

__all__ = ["format_about", "format_bytes", "format_seconds", "parse_bytes"]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(text: str) -> int:
    """Number of bytes in "4GB", "3500MB", "2GiB", "1.5g" or "4000000000".

    Raises:
        UsageError: when it is none of these.

    >>> parse_bytes("2GiB")
    2147483648
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([kmgt]?i?)b?\s*", text.lower())
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"Not a memory size: {text!r}; write for example 4GB, 3500MB, 2GiB or a number of bytes.")
    return round(float(match[1]) * _UNITS[match[2]])


def format_bytes(count: int) -> str:
    """`count` in the largest decimal unit that keeps it above one, e.g. "4 GB", "3.5 MB"."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


def format_about(seconds: float) -> str:
    """An estimated duration: "about 12 s", but "less than a second"."""
    text = format_seconds(seconds)
    return text if seconds < 1 else f"about {text}"


def format_seconds(seconds: float) -> str:
    """A duration for people: "less than a second", "12 s", "3 min", "2 h 5 min"."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
