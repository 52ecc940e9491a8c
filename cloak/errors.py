"""Every error a user can cause or meet; each says what was received and what to do.

CloakError
├── UsageError            wrong settings or names (exit code 2)
│   └── UnknownNameError  a name that no registry entry has, with close matches
│       └── UnknownModelError  the same for models (5, as for one that is missing)
├── InputError            a picture that cannot be read (1 or 3)
├── OutputError           a result that cannot be written (1 or 3)
├── FloorError            the asked-for effect was not reached within the visibility cap (4)
├── MissingModelError     a model that is not on this machine (5)
├── MissingExtraError     a package that is not installed (5)
└── ModelError            a model file that cannot be used (1)
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "CloakError",
    "FloorError",
    "InputError",
    "MissingExtraError",
    "MissingModelError",
    "ModelError",
    "OutputError",
    "UnknownModelError",
    "UnknownNameError",
    "UsageError",
]


class CloakError(Exception):
    """Base of all errors of this project; `str(error)` is one sentence or two, fit to show to a person."""

    exit_code = 1


class UsageError(CloakError):
    """Settings that contradict each other or are out of range."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not registered.

    Args:
        kind: what was looked for, e.g. "method".
        name: what was received.
        known: the names there are.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}."
        super().__init__(f"Unknown {kind} {name!r}; {hint}")
        self.kind, self.name, self.known = kind, name, known


class UnknownModelError(UnknownNameError):
    """A model's name that the catalogue does not have; for whoever asked it is missing like any other."""

    exit_code = 5


class InputError(CloakError):
    """A picture that cannot be read: missing, not an image, truncated, too large, animated, unreadable."""


class OutputError(CloakError):
    """A result that cannot be written: it exists, the disk is full, no permission."""


class FloorError(CloakError):
    """The asked-for minimum effect was not reached within the visibility cap; nothing was written."""

    exit_code = 4


class MissingModelError(CloakError):
    """A model that is known but not on this machine; the message names the command that brings it."""

    exit_code = 5


class MissingExtraError(CloakError):
    """A package is not installed; the message names the command that brings it.

    Args:
        package: name of the distribution.
        extra: dependency group of artcloak that holds it; "" for one that artcloak always needs.
    """

    exit_code = 5

    def __init__(self, package: str, extra: str = "") -> None:
        what = f"'artcloak[{extra}]'" if extra else package
        super().__init__(f"This needs the package {package!r}; install it with: pip install {what}")


class ModelError(CloakError):
    """A model file that is corrupt, pickled, of an unknown structure or of the wrong family."""
