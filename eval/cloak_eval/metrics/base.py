"""A metric: one row for each drawing or picture, and one figure over the rows with its interval."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from cloak.registry import Registry
from cloak.surrogates import Surrogate
from cloak_eval.metrics.bootstrap import Interval, bootstrap
from cloak_eval.metrics.classifier import StyleClassifier
from cloak_eval.metrics.features import style_features

__all__ = ["METRICS", "Evidence", "Metric"]


@dataclass(frozen=True)
class Evidence:
    """All that a finished mimicry left behind.

    Args:
        artist: whose style was imitated.
        outputs: what the mimic drew, (N, 3, h, w) in [0, 1].
        references: crops of the artist's clean pictures, (M, 3, h, w), none of which the mimic was trained on.
        originals: the pictures before protection, (3, H, W) each.
        published: the same as the artist would post them.
        judge: names artists.
        others: the artist's other clean pictures, whole, (3, H, W) each.
        suspicion: how much a picture (3, H, W) looks cloaked to somebody who has learnt that from the tool itself.
        eye: a model that embeds pictures and perhaps words; metrics say by `requires` what it must be able to.
        see_references: gives the style features of the references, which are the same in many cells.
    """

    artist: str
    outputs: Tensor
    references: Tensor
    originals: Sequence[Tensor]
    published: Sequence[Tensor]
    judge: StyleClassifier
    others: Sequence[Tensor] = ()
    suspicion: Callable[[Tensor], float] | None = None
    eye: Surrogate | None = None
    see_references: Callable[[Tensor], Tensor] = style_features

    @functools.cached_property
    def output_features(self) -> Tensor:
        """Style features of the outputs, (N, D)."""
        return style_features(self.outputs)

    @functools.cached_property
    def standard_features(self) -> tuple[Tensor, Tensor]:
        """Features of outputs and references in units of the references' spread, float64.

        Most channels hardly answer to one artist's pictures. Each counts as if its spread were at least a thirtieth of
        the root mean square, for otherwise a few of them, which anything else wakes, would decide every distance.
        """
        mean, spread = self.reference_features.mean(0), self.reference_features.std(0)
        spread = spread.clamp_min(max(1e-3, float(spread.square().mean().sqrt()) / 30))
        outputs, references = ((each - mean) / spread for each in (self.output_features, self.reference_features))
        return outputs.double(), references.double()

    @functools.cached_property
    def reference_features(self) -> Tensor:
        """Style features of the references, (M, D)."""
        return self.see_references(self.references)


class Metric(ABC):
    """A measure of a mimicry.

    Attributes:
        backbone: the network it looks through, "" for none.
        of_pictures: whether it is about the published pictures, and so means something whatever the mimic does.
    """

    backbone: ClassVar[str] = ""
    of_pictures: ClassVar[bool] = False

    @abstractmethod
    def samples(self, evidence: Evidence) -> Tensor:
        """One row for each drawing or picture, (N,) or (N, D)."""

    def statistic(self, rows: Tensor, evidence: Evidence) -> float:  # noqa: ARG002
        """The figure that the rows give; their mean unless a metric is about the set."""
        return float(rows.double().mean())

    def seen_through(self, evidence: Evidence) -> str:  # noqa: ARG002
        """Name of the network it looks through, "" for none."""
        return self.backbone

    @final
    def __call__(self, evidence: Evidence, *, resamples: int = 400, seed: int = 0) -> tuple[Interval, list[float]]:
        """The figure with its interval, and its rows where they are numbers of their own (else none)."""
        with torch.no_grad():
            rows = self.samples(evidence)
            figure = bootstrap(rows, lambda some: self.statistic(some, evidence), resamples=resamples, seed=seed)
        return figure, [float(row) for row in rows] if rows.ndim == 1 else []


METRICS: Registry[type[Metric]] = Registry("metric", "cloak_eval.metrics")
