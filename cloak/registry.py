"""Named parts with machine-readable meaning. One file registers one part; importing its package finds them all."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from cloak.errors import UnknownNameError

__all__ = ["Entry", "Registry"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[T]):
    """What is known about a registered part.

    Args:
        name: lower case, unique within its registry.
        value: the part itself (a class or a factory).
        summary: one line.
        reference: paper or project, with year and arXiv id where there is one.
        licence: licence of the released reference code, "own" when there is none.
        requires: capabilities of the surrogate it needs.
        extra: optional dependency group it needs, "" for none.
        higher_is_better: direction, None where it has no meaning.
        value_range: numeric range, None where it has no meaning.
    """

    name: str
    value: T
    summary: str
    reference: str = ""
    licence: str = "own"
    requires: frozenset[str] = frozenset()
    extra: str = ""
    higher_is_better: bool | None = None
    value_range: tuple[float, float] | None = None


class Registry(Generic[T]):
    """Names to parts of one kind.

    Args:
        kind: singular noun for messages, e.g. "objective".
        package: dotted name of the package whose modules register themselves; imported on first use.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._entries: dict[str, Entry[T]] = {}
        self._complete = False

    def register(  # noqa: PLR0913 (what is known about a part, all by keyword)
        self,
        name: str,
        *,
        summary: str,
        reference: str = "",
        licence: str = "own",
        requires: frozenset[str] = frozenset(),
        extra: str = "",
        higher_is_better: bool | None = None,
        value_range: tuple[float, float] | None = None,
    ) -> Callable[[T], T]:
        """Decorator that files the decorated class or factory under `name`."""
        if name != name.lower() or name in self._entries:
            raise ValueError(f"{self.kind} name {name!r} must be lower case and unique")

        def decorate(value: T) -> T:
            self._entries[name] = Entry(
                name=name,
                value=value,
                summary=summary,
                reference=reference,
                licence=licence,
                requires=requires,
                extra=extra,
                higher_is_better=higher_is_better,
                value_range=value_range,
            )
            return value

        return decorate

    def _load(self) -> None:
        if self._complete:
            return
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        self._complete = True

    def names(self) -> list[str]:
        """All names, sorted."""
        self._load()
        return sorted(self._entries)

    def get(self, name: str) -> Entry[T]:
        """The entry called `name`; raises UnknownNameError with close matches."""
        self._load()
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        return self._entries[name]

    def __iter__(self) -> Iterator[Entry[T]]:
        self._load()
        return iter([self._entries[name] for name in sorted(self._entries)])
