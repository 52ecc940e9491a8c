"""Which pictures a worker is given together: small ones of one size, where that is faster; see `cloak.batch`."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from cloak.batch import most_together
from cloak.config import ProtectConfig
from cloak.device import resolve_device
from cloak.gallery.tasks import Task
from cloak.image.sources import announced_size
from cloak.methods import METHODS

__all__ = ["gains", "grouped"]

_HELD = 24  # pictures that wait for others of their size
_PATIENCE = 24  # pictures that may pass those
_MOST_BYTES = 1_000_000  # of a small picture's file
Other = TypeVar("Other")
Size = tuple[int, int]


def gains(config: ProtectConfig) -> bool:
    """Whether pictures may be faster together with these settings."""
    on_cpu = config.device == "cpu" or (config.device == "auto" and resolve_device("auto").type == "cpu")
    return on_cpu and METHODS.get(config.method).value.batches


def grouped(found: Iterator[Task | Other], share: Callable[[int], int]) -> Iterator[list[Task] | Other]:
    """Tasks in groups, and what else is found among them; little is read in advance and nobody waits for long.

    Args:
        found: what there is to do.
        share: how many tasks a worker should have at most, for a number of tasks that are held here.
    """
    held: list[tuple[Task, Size]] = []
    passed = 0
    for each in found:
        if not isinstance(each, Task):
            yield each
        elif (size := _small(each)) is None:
            yield [each]
            passed += bool(held)
        else:
            held.append((each, size))
        if len(held) >= _HELD or passed >= _PATIENCE:
            yield _first(held, share(len(held)))
            passed = 0
    while held:
        yield _first(held, share(len(held)))


def _first(held: list[tuple[Task, Size]], share: int) -> list[Task]:
    """Take the first and others of its size out."""
    _, size = held[0]
    places = [place for place, (_, other) in enumerate(held) if other == size]
    places = places[: min(share, most_together(*size))]
    group = [held[place][0] for place in places]
    for place in reversed(places):
        del held[place]
    return group


def _small(task: Task) -> Size | None:
    """Height and width of a picture that gains from others, as its file says."""
    if len(task.data) > _MOST_BYTES or (size := announced_size(task.data)) is None:
        return None
    return size if most_together(*size) > 1 else None
