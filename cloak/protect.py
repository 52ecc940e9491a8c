"""Protecting pictures, one or several; `cloak.passage` has the way of one."""

import collections
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from cloak.batch import Batch
from cloak.config import ProtectConfig
from cloak.device import resolve_device, working_dtype
from cloak.errors import UsageError
from cloak.memory import is_large
from cloak.passage import Passage, Result, Source
from cloak.surrogates import Surrogate, load_surrogate, resolve_models
from cloak.types import Step

__all__ = ["Protector", "Result", "protect"]


def protect(
    source: Source,
    output: Path | str | None = None,
    *,
    config: ProtectConfig | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> Result:
    """Protect one picture.

    Args:
        source: a file, its contents, or a Pillow image. A file's result is written beside it; others only to `output`.
        output: file or folder to write to.
        config: settings; or give them as keywords, see `ProtectConfig`.
        overwrite: whether an existing output may be replaced.
        **settings: fields of `ProtectConfig`.

    Raises:
        CloakError: a subclass that says what was wrong and what to do.

    Example:
        >>> result = protect("painting.png", strength="subtle")  # doctest: +SKIP
        >>> result.certificate.visibility.lpips  # doctest: +SKIP
    """
    if config is not None and settings:
        raise UsageError("Give either a config or single settings, not both.")
    protector = Protector(config or ProtectConfig(**settings))
    *_, last = protector.steps(source, output=output, overwrite=overwrite)
    result: Result = last.result
    return result


class Protector:
    """Protects pictures with one configuration; models are loaded once, at the first picture.

    Args:
        config: settings, the same for every picture.
    """

    def __init__(self, config: ProtectConfig | None = None, **settings: Any) -> None:
        self.config = config or ProtectConfig(**settings)
        self.device = resolve_device(self.config.device)
        self._surrogates: list[Surrogate] | None = None
        self.alike: dict[tuple[int, int], set[int]] = collections.defaultdict(set)  # by size, see `descend`
        self.alone = False  # whether pictures are worked on one by one, since the bits depend on the neighbours here

    @property
    def surrogates(self) -> list[Surrogate]:
        """The models that the configuration names, loaded on first use."""
        if self._surrogates is None:
            names = resolve_models(list(self.config.models))
            loaded = [load_surrogate(name).to(self.device, working_dtype(self.device)) for name in names]
            self._surrogates = [surrogate.checkpoint(is_large(surrogate)) for surrogate in loaded]
        return self._surrogates

    def __call__(self, source: Source, output: Path | str | None = None, *, overwrite: bool = False) -> Result:
        """Protect one picture and return the result; see `protect`."""
        *_, last = self.steps(source, output=output, overwrite=overwrite)
        result: Result = last.result
        return result

    def steps(
        self,
        source: Source,
        output: Path | str | None = None,
        *,
        overwrite: bool = False,
        name: str | None = None,
        enough: Callable[[], bool] = lambda: False,
    ) -> Iterator[Step]:
        """Protect one picture, as a stream of typed steps; the last one carries the result. Closing it cancels.

        Args:
            source: see `protect`.
            output: see `protect`.
            overwrite: see `protect`.
            name: what messages and the certificate call the picture; the file's name when None.
            enough: asked after each optimiser step; once it is true, what was reached is fitted, written and certified.
        """
        yield from Passage(self, source, output, name=name, overwrite=overwrite).steps(enough)

    def batch(self, pictures: Iterable[tuple[Source, str | None]]) -> Iterator[tuple[int, Step | Exception]]:
        """Protect several pictures, those of one size together where that is faster: streams of steps with their place.

        Each gets the bytes that it gets alone. An error is the end of its picture, the others go on.

        Args:
            pictures: each with what messages and the certificate call it; results are written as `steps` does it.
        """
        starts = [functools.partial(Passage, self, each, None, name=name, overwrite=False) for each, name in pictures]
        yield from Batch(self, starts).steps()
