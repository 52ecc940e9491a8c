"""Several pictures on their way, each as it would go alone, but small ones of one size attacked together."""

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from cloak.attacks import UnlikeAloneError, descend
from cloak.device import release_memory
from cloak.types import Step

if TYPE_CHECKING:
    from cloak.passage import Passage
    from cloak.protect import Protector

__all__ = ["Batch", "most_together"]

_MOST = 8  # more gain nothing more (docs/gallery.md)
_LARGEST = 128 * 128  # pixels; larger pictures keep a core busy one by one
Told = tuple[int, Step | Exception]


def most_together(height: int, width: int, *, side: int = 512) -> int:
    """How many pictures of a size are worked on together; 1 where that gains nothing.

    Args:
        height: of the pictures, pixels.
        width: likewise.
        side: of the square of pixels that a model may look at in one go; the default is that of the usual efforts.
    """
    pixels = height * width
    return 1 if pixels > _LARGEST else max(1, min(_MOST, side * side // pixels))


class Batch:
    """Pictures that share a configuration.

    Args:
        protector: whose settings and models they share.
        starts: each makes a picture's passage.
    """

    def __init__(self, protector: "Protector", starts: Iterable[Callable[[], "Passage"]]) -> None:
        self.protector, self.starts = protector, starts

    def steps(self) -> Iterator[Told]:
        """Steps of every picture by its place; an error is the end of its picture."""
        waiting: dict[tuple[int, int], dict[int, Passage]] = {}
        for place, start in enumerate(self.starts):
            passages: list[Passage] = []
            if not (yield from _guarded(place, _begun(start, passages))):
                continue
            (passage,) = passages
            passage.pause()
            most = self._most(passage)
            group = waiting.setdefault(passage.size, {}) if most > 1 else {}
            group[place] = passage
            if len(group) >= most:
                waiting.pop(passage.size, None)
                yield from self._through(group)
        while waiting:
            yield from self._through(waiting.pop(next(iter(waiting))))

    def _most(self, passage: "Passage") -> int:
        """Only what was found to gain and to give the same bits: on a CPU, with losses that ask."""
        if self.protector.alone or self.protector.device.type != "cpu":
            return 1
        if not passage.method.batches or passage.loss is None:
            return 1
        return most_together(*passage.size, side=passage.side)

    def _through(self, group: "dict[int, Passage]") -> Iterator[Told]:
        if len(group) == 1:
            ((place, passage),) = group.items()
            passage.resume()
            yield from _guarded(place, itertools.chain(passage.attack(), passage.finish()))
            return
        try:
            yield from self._attack(group)
        except UnlikeAloneError:
            self.protector.alone = True
            parts = len(group)
        except Exception:  # want of memory, or one of them; whose fault it was shows when it is alone
            parts = 2
        else:
            for place in list(group):
                passage = group.pop(place)
                passage.resume()
                yield from _guarded(place, passage.finish())
            return
        release_memory()
        places = list(group)
        for part in range(parts):
            yield from self._through({place: group.pop(place) for place in places[part::parts]})

    def _attack(self, group: "dict[int, Passage]") -> Iterator[Told]:
        began = time.perf_counter()
        places, passages = list(group), list(group.values())
        descents = [descent for passage in passages if (descent := passage.descent()) is not None]
        for steps in descend(descents, alike=self.protector.alike[passages[0].size]):
            for index, step in steps.items():
                yield places[index], passages[index].moved(step)
        for passage in passages:
            passage.spent += (time.perf_counter() - began) / len(group)


def _begun(start: "Callable[[], Passage]", passages: "list[Passage]") -> Iterator[Step]:
    passages.append(start())
    yield from passages[0].prepare()


def _guarded(place: int, steps: Iterable[Step]) -> Generator[Told, None, bool]:
    """Steps, or in the end what went wrong; whether nothing did."""
    try:
        for step in steps:
            yield place, step
    except Exception as error:
        yield place, error
        return False
    return True
